//! What the pages promise: commands that exist, links that lead somewhere, keys that are explained.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{bins, require};

/// The longest that `make demo`'s program may take.
const DEMO: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(root().join(file)).with_context(|| format!("read {file}"))
}

#[test]
fn the_commands_of_the_readme_are_make_targets() -> Result<()> {
    let (readme, makefile) = (read("README.md")?, read("Makefile")?);
    let commands: Vec<&str> =
        readme.lines().filter_map(|line| line.strip_prefix("    make ")).collect();
    ensure!(commands.len() == 2, "the README starts with two commands, not {commands:?}");
    for command in commands {
        let target = command.split_whitespace().next().unwrap_or_default();
        let rule = format!("{target}:");
        ensure!(makefile.lines().any(|line| line.starts_with(&rule)), "no target {target}");
    }
    Ok(())
}

#[test]
fn every_relative_link_of_the_pages_leads_to_a_file_and_a_heading() -> Result<()> {
    let mut pages = Vec::new();
    pages_below(&root().join("docs"), &mut pages)?;
    for page in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        pages.push(root().join(page));
    }
    let mut broken = Vec::new();
    for page in &pages {
        let text = std::fs::read_to_string(page)?;
        let dir = page.parent().context("a page outside of any directory")?;
        for link in links(&text).filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { dir.join(file) };
            if !target.exists() || !(heading.is_empty() || has_heading(&target, heading)?) {
                let page = page.strip_prefix(root()).unwrap_or(page);
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    ensure!(pages.len() > 10, "found only {pages:?}");
    ensure!(broken.is_empty(), "these lead nowhere: {broken:#?}");
    Ok(())
}

/// Whether a page has the heading that an anchor is made from: in small letters, spaces as dashes,
/// without other signs.
fn has_heading(page: &Path, anchor: &str) -> Result<bool> {
    let text = std::fs::read_to_string(page).with_context(|| format!("{}", page.display()))?;
    let headings = text.lines().filter(|line| line.starts_with('#'));
    Ok(headings.map(|line| line.trim_start_matches('#').trim().to_lowercase()).any(|heading| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).eq(anchor.chars())
    }))
}

fn pages_below(dir: &Path, pages: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            pages_below(&path, pages)?;
        } else if path.extension().is_some_and(|end| end == "md") {
            pages.push(path);
        }
    }
    Ok(())
}

/// Targets of `[text](target)`, but for those in code.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    let prose = text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence && !line.starts_with("    ")
    });
    prose.flat_map(|line| {
        line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
    })
}

#[test]
fn every_list_of_plugins_is_the_same() -> Result<()> {
    let registry = read("plugins/src/registry.rs")?;
    let ours: BTreeSet<String> = registry
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.split_once('"'))
        .map(|(name, _)| name.to_owned())
        .collect();
    ensure!(ours.len() >= 9, "registry.rs names only {ours:?}");
    let makefile = read("Makefile")?;
    let line = makefile.lines().find_map(|line| line.strip_prefix("PLUGINS := "));
    let installed: BTreeSet<String> =
        line.context("no PLUGINS in the Makefile")?.split_whitespace().map(str::to_owned).collect();
    ensure!(installed == ours, "the Makefile installs {installed:?}, registry.rs has {ours:?}");
    let page = read("docs/plugins/README.md")?;
    let shown: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| [")?.split_once(']'))
        .map(|(name, _)| name.to_owned())
        .collect();
    ensure!(shown == ours, "docs/plugins/README.md shows {shown:?}, registry.rs has {ours:?}");
    Ok(())
}

#[test]
fn every_key_that_is_read_is_on_the_plugins_page() -> Result<()> {
    let mut missing = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("plugins/src"))? {
        let dir = entry?;
        let Ok(source) = std::fs::read_to_string(dir.path().join("conf.rs")) else { continue };
        let module = dir.file_name().to_string_lossy().into_owned();
        let name =
            if module == "static_ipam" { "static".to_owned() } else { module.replace('_', "-") };
        let page = read(&format!("docs/plugins/{name}.md"))?;
        let words: BTreeSet<&str> = page.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        for key in keys(&source) {
            count += 1;
            if !words.contains(key.as_str()) {
                missing.push(format!("{name}: {key}"));
            }
        }
    }
    ensure!(count > 40, "found only {count} keys");
    ensure!(missing.is_empty(), "not on the page of the plugin: {missing:#?}");
    Ok(())
}

/// The keys of all structures that are decoded from JSON.
fn keys(source: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let (mut derived, mut camel, mut inside) = (false, false, false);
    let mut renamed = None;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[derive(") {
            (derived, camel) = (line.contains("Deserialize"), false);
        } else if line.contains("rename_all = \"camelCase\"") {
            camel = true;
        } else if let Some(name) = between(line, "rename = \"", "\"") {
            renamed = Some(name.to_owned());
        } else if line.contains("struct ") && line.ends_with('{') {
            inside = derived;
        } else if line == "}" {
            (inside, derived) = (false, false);
        } else if inside
            && !line.starts_with("//")
            && let Some((field, _)) = line.split_once(':')
        {
            let field = field.rsplit(' ').next().unwrap_or_default().trim_start_matches("r#");
            let key = if camel { camel_case(field) } else { field.to_owned() };
            keys.push(renamed.take().unwrap_or(key));
        }
    }
    keys
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    text.split_once(start)?.1.split_once(end).map(|(found, _)| found)
}

fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let mut key = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        key.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        key.push_str(letters.as_str());
    }
    key
}

#[test]
fn the_demo_runs_to_its_end() -> Result<()> {
    if !require("a built demo (make build)", bins::find("demo").is_some())? {
        return Ok(());
    }
    let mut output = tempfile::tempfile()?;
    let mut demo = std::process::Command::new(bins::program("demo")?)
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()
        .context("start the demo")?;
    let start = Instant::now();
    let ended = e2e::wait_until("the demo has ended", DEMO, || {
        demo.try_wait().is_ok_and(|status| status.is_some())
    });
    if ended.is_err() {
        demo.kill()?;
    }
    let status = demo.wait()?;
    let text = read_all(&mut output)?;
    if !status.success() {
        bail!("the demo: {status} after {:?}\n{text}", start.elapsed());
    }
    let steps: Vec<usize> = text.lines().filter_map(step).collect();
    ensure!(steps == (1..=21).collect::<Vec<_>>(), "steps {steps:?} in\n{text}");
    let last = text.lines().last().unwrap_or_default();
    for page in ["docs/guide/networks.md", "docs/guide/overlay.md"] {
        ensure!(last.contains(page) && root().join(page).exists(), "no {page} in {last:?}");
    }
    Ok(())
}

/// The number of a title, which is printed bold.
fn step(line: &str) -> Option<usize> {
    line.strip_prefix("\u{1b}[1m")?.split_once(". ")?.0.parse().ok()
}

fn read_all(file: &mut std::fs::File) -> Result<String> {
    use std::io::{Read as _, Seek as _};
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}
