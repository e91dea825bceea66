//! One operation in a process of its own, stopped or disturbed at each of its system calls in
//! turn by strace.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::{NETWORK, assert_sound, names, owner, sets, store};

/// An attachment has an address of each.
const SUBNETS: &[&str] = &["10.0.0.0/16", "fd00::/64"];

/// The attachments that are there before.
const BEFORE: &[&str] = &["one", "two"];

pub(crate) fn killed_anywhere() {
    for operation in ["add", "del", "gc"] {
        for point in points(operation) {
            let inject = format!("inject={}:signal=KILL:when={}", point.name, point.count);
            let context = format!("{operation} killed at {} {}", point.name, point.count);
            for recover in [recover_by_del, recover_by_gc] {
                let data = prepare(operation);
                let status = worker(data.path(), operation, Some(&inject)).0.status;
                assert_eq!(status.signal(), Some(9), "{context}");
                recover(data.path(), &context);
                assert_sound(data.path(), &context);
                assert_eq!(names(data.path()), names(prepare("none").path()), "{context}");
                let given = store(data.path()).allocate(&sets(SUBNETS), &owner("again"), &[]);
                assert_eq!(given.unwrap().len(), 2, "{context}");
            }
        }
    }
}

/// A file system without unnamed files, or a mount namespace without /proc.
pub(crate) fn without_unnamed_files() {
    for (name, error) in [("openat", "EOPNOTSUPP"), ("openat", "EISDIR"), ("linkat", "ENOENT")] {
        let clean = prepare("add");
        let calls = worker(clean.path(), "add", None).1;
        // By the descriptor, and then by its name in /proc.
        let (mark, times) = if name == "openat" { ("O_TMPFILE", 1) } else { ("AT_EMPTY_PATH", 2) };
        let is_it = |line: &String| line.starts_with(name) && line.contains(mark);
        let place = calls.iter().position(is_it).unwrap();
        let nth = calls.iter().take(place + 1).filter(|line| line.starts_with(name)).count();
        let inject = format!("inject={name}:error={error}:when={nth}..{}", nth + times - 1);
        let data = prepare("add");
        assert!(worker(data.path(), "add", Some(&inject)).0.status.success(), "{inject}");
        assert_sound(data.path(), &inject);
        assert_eq!(store(data.path()).holds(&owner("new")).unwrap().len(), 2, "{inject}");
        for (point, times) in [("write", 2), ("linkat", 2), ("unlinkat", 2), ("pwrite64", 4)] {
            for count in 1..=times {
                let kill = format!("{inject},inject={point}:signal=KILL:when={count}");
                let data = prepare("add");
                let status = worker(data.path(), "add", Some(&kill)).0.status;
                assert_eq!(status.signal(), Some(9), "{kill}");
                recover_by_del(data.path(), &kill);
                assert_sound(data.path(), &kill);
                assert_eq!(names(data.path()), names(prepare("none").path()), "{kill}");
            }
        }
    }
}

pub(crate) fn failing_anywhere() {
    for operation in ["add", "del", "gc"] {
        for (error, point) in ["EIO", "ENOSPC", "EACCES", "ENOMEM"]
            .iter()
            .flat_map(|error| points(operation).into_iter().map(move |point| (error, point)))
        {
            // What was written or locked is what fails; a failing close says nothing else.
            if point.name == "close" {
                continue;
            }
            let inject = format!("inject={}:error={error}:when={}", point.name, point.count);
            let context = format!("{operation} with {error} at {} {}", point.name, point.count);
            let data = prepare(operation);
            let failed = !worker(data.path(), operation, Some(&inject)).0.status.success();
            assert_sound(data.path(), &context);
            let holds = store(data.path()).holds(&owner("new")).unwrap();
            let expected: &[usize] = match (operation, failed) {
                ("add", false) => &[2],
                ("add", true) | (_, false) => &[0],
                (_, true) => &[0, 1, 2],
            };
            assert!(expected.contains(&holds.len()), "{context}: {holds:?}, failed: {failed}");
            recover_by_del(data.path(), &context);
            assert_eq!(names(data.path()), names(prepare("none").path()), "{context}");
        }
    }
}

pub(crate) fn constant_number() {
    let count = |reservations: usize| {
        let data = tempfile::tempdir().unwrap();
        let sets = sets(SUBNETS);
        let mut store = store(data.path());
        for number in 0..reservations {
            store.allocate(&sets, &owner(&number.to_string()), &[]).unwrap();
        }
        ["add", "del", "del"].map(|operation| traced_calls(data.path(), operation).len())
    };
    let (few, many) = (count(10), count(3000));
    println!("system calls of ADD, DEL and DEL of an unknown owner: {few:?}");
    assert_eq!(few, many);
}

/// A directory with the attachments of [`BEFORE`], and that of the operation if it is to go.
fn prepare(operation: &str) -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let last = matches!(operation, "del" | "gc").then_some("new");
    for container in BEFORE.iter().copied().chain(last) {
        store(data.path()).allocate(&sets(SUBNETS), &owner(container), &[]).unwrap();
    }
    data
}

fn recover_by_del(data: &Path, context: &str) {
    store(data).release(&owner("new")).unwrap_or_else(|error| panic!("{context}: {error}"));
}

fn recover_by_gc(data: &Path, context: &str) {
    let valid: BTreeSet<_> = BEFORE.iter().copied().map(owner).collect();
    store(data).gc(&valid).unwrap_or_else(|error| panic!("{context}: {error}"));
}

/// The `count`th call of `name` in a process.
struct Point {
    name: String,
    count: usize,
}

/// Every system call of the operation from the opening of the directory on.
fn points(operation: &str) -> Vec<Point> {
    let data = prepare(operation);
    let calls = worker(data.path(), operation, None).1;
    let start = first_call(&calls, data.path());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut points = Vec::new();
    for (index, line) in calls.iter().enumerate() {
        let Some((name, _)) = line.split_once('(') else { continue };
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        if index >= start {
            points.push(Point { name: name.to_owned(), count: *count });
        }
    }
    assert!(points.len() > 15, "{operation}: {calls:?}");
    points
}

fn traced_calls(data: &Path, operation: &str) -> Vec<String> {
    let (output, mut calls) = worker(data, operation, None);
    assert!(output.status.success(), "{output:?}");
    calls.split_off(first_call(&calls, data))
}

fn first_call(calls: &[String], data: &Path) -> usize {
    let dir = format!("\"{}\"", data.join(NETWORK).display());
    calls.iter().position(|line| line.contains(&dir)).unwrap()
}

/// Runs the operation on container `new` under strace. Returns its system calls.
fn worker(data: &Path, operation: &str, inject: Option<&str>) -> (Output, Vec<String>) {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-s", "4096", "-o"]).arg(trace.path());
    strace.args(inject.iter().flat_map(|inject| inject.split(',')).flat_map(|one| ["-e", one]));
    strace.arg(std::env::current_exe().unwrap()).args(["worker", operation]).arg(data);
    let name = if operation == "gc" { BEFORE.join("+") } else { "new".to_owned() };
    let output = strace.arg(name).args(SUBNETS).output().unwrap_or_else(|error| {
        panic!("run strace: {error}; the remedy is: apt-get install strace")
    });
    let calls = std::fs::read_to_string(trace.path()).unwrap();
    let is_call = |line: &&str| !line.starts_with("+++") && !line.starts_with("---");
    (output, calls.lines().filter(is_call).map(str::to_owned).collect())
}
