//! Several processes in one directory.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, PipeWriter, pipe};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{NETWORK, assert_sound, names, store};

/// Few enough addresses that round robin wraps again and again.
const SUBNET: &str = "10.0.0.0/24";
const WORKERS: usize = 6;

struct Workers {
    children: Vec<Child>,
    lines: PipeWriter,
    started: usize,
}

impl Workers {
    fn start(&mut self, data: &Path) {
        self.started += 1;
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["worker", "churn"])
            .arg(data)
            .args([&format!("w{}", self.started), SUBNET])
            .stdout(Stdio::from(self.lines.try_clone().unwrap()))
            .spawn()
            .unwrap();
        self.children.push(child);
    }

    fn kill(&mut self, index: usize) {
        let mut child = self.children.swap_remove(index);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        while !self.children.is_empty() {
            self.kill(0);
        }
    }
}

/// Runs workers and follows what they say; after every `kill_every` lines one is killed and
/// replaced.
fn run(data: &Path, total: usize, kill_every: Option<usize>) {
    let (reader, writer) = pipe().unwrap();
    let mut workers = Workers { children: Vec::new(), lines: writer, started: 0 };
    for _ in 0..WORKERS {
        workers.start(data);
    }
    let mut held: BTreeMap<String, bool> = BTreeMap::new();
    // Bytes, as a worker may be killed within a line; none is, as each is one write.
    for (count, line) in BufReader::new(reader).lines().take(total).enumerate() {
        let line = line.unwrap();
        if let Some(address) = line.strip_prefix('+') {
            assert!(held.insert(address.to_owned(), true).is_none(), "{address} given twice");
        } else if let Some(address) = line.strip_prefix('-') {
            assert!(held.remove(address).is_some(), "{address} given back twice");
        } else {
            panic!("a worker says: {line}");
        }
        if kill_every.is_some_and(|every| count % every == every - 1) {
            workers.kill(count % WORKERS);
            workers.start(data);
        }
    }
}

pub(crate) fn many_at_once() {
    let data = tempfile::tempdir().unwrap();
    run(data.path(), 8000, None);
    assert_sound(data.path(), "after the last worker");
}

pub(crate) fn killed_at_random() {
    let data = tempfile::tempdir().unwrap();
    // Killed workers keep up to 12 addresses each: GC makes room, as the runtime would.
    for round in 0..12 {
        run(data.path(), 700, Some(101));
        let context = format!("round {round}");
        store(data.path()).release(&crate::owner("unknown")).unwrap();
        assert_sound(data.path(), &context);
        let before = names(data.path()).len();
        let released = store(data.path()).gc(&[].into()).unwrap();
        assert_eq!(released.len(), before, "{context}");
        assert_eq!(names(data.path()), [].into(), "{context}");
    }
    assert!(data.path().join(NETWORK).join("lock").exists());
}
