//! Whether every test that docs/development/easily-missed.md names is built and runs.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use e2e::require;

const PAGE: &str = include_str!("../../../docs/development/easily-missed.md");

/// Rows that the page has at least: the items of both lists.
const ROWS: usize = 27;

#[test]
fn every_test_of_the_page_is_built_and_run() -> Result<()> {
    let rows: Vec<&str> = PAGE.lines().filter(|line| line.starts_with("| ")).collect();
    let rows: Vec<&&str> =
        rows.iter().filter(|row| !row.ends_with("| Tests |") && !row.starts_with("|-")).collect();
    ensure!(rows.len() >= ROWS, "the page has only {} rows", rows.len());
    let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in &rows {
        let (_, tests) = row.trim_end_matches(" |").rsplit_once(" | ").context("two columns")?;
        let tests: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        ensure!(!tests.is_empty(), "no test in {row}");
        for test in tests {
            let (program, name) = test.split_once("::").with_context(|| test.to_owned())?;
            wanted.entry(program).or_default().insert(name);
        }
    }
    let mut missing = Vec::new();
    for (program, names) in wanted {
        let built = built(program)?;
        if !require(&format!("the test program {program} (cargo test)"), !built.is_empty())? {
            continue;
        }
        let (run, ignored) = (listed(&built, &[])?, listed(&built, &["--ignored"])?);
        let is_run = |name: &str| {
            let is_it = |test: &&String| test.rsplit("::").next() == Some(name);
            run.iter().any(|test| is_it(&test)) && !ignored.iter().any(|test| is_it(&test))
        };
        missing
            .extend(names.iter().filter(|n| !is_run(n)).map(|name| format!("{program}::{name}")));
    }
    ensure!(missing.is_empty(), "these are not run: {missing:#?}");
    Ok(())
}

/// The test programs of a name: those that stand beside this one, the newest of each build.
fn built(program: &str) -> Result<Vec<PathBuf>> {
    let own = std::env::current_exe()?;
    let dir = own.parent().context("the directory of test programs")?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_it = name.strip_prefix(program).is_some_and(|rest| {
            rest.strip_prefix('-').is_some_and(|hash| hash.chars().all(|c| c.is_ascii_hexdigit()))
        });
        let mode = path.metadata()?.permissions().mode();
        if is_it && path.is_file() && mode & 0o111 != 0 {
            found.push(path);
        }
    }
    Ok(found)
}

/// The tests that the programs list.
fn listed(programs: &[PathBuf], options: &[&str]) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for program in programs {
        all.extend(list(program, options)?);
    }
    Ok(all)
}

/// A program of the same name that is no test program lists nothing.
fn list(program: &Path, options: &[&str]) -> Result<Vec<String>> {
    let output = std::process::Command::new(program).arg("--list").args(options).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}
