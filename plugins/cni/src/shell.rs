//! Plugins for tests: shell scripts in a fresh directory that log how they were called.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A directory with plugins and the log of their calls.
pub(crate) struct Plugins {
    dir: TempDir,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Logged {
    /// `TYPE VERB`.
    pub(crate) name: String,
    env: String,
    pub(crate) stdin: String,
}

impl Logged {
    /// A variable of the plugin's environment; `None` when it is not set.
    pub(crate) fn env(&self, name: &str) -> Option<&str> {
        self.env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

impl Plugins {
    pub(crate) fn new() -> Self {
        let plugins = Self { dir: tempfile::tempdir().unwrap() };
        for dir in ["bin", "log", "conf"] {
            std::fs::create_dir(plugins.path().join(dir)).unwrap();
        }
        plugins
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// CNI_PATH.
    pub(crate) fn bin(&self) -> PathBuf {
        self.path().join("bin")
    }

    /// Makes a plugin that logs its call and then does what `body` says. Calls are not made side
    /// by side.
    pub(crate) fn script(&self, name: &str, body: &str) {
        use std::os::unix::fs::PermissionsExt;
        let file = self.bin().join(name);
        let log = self.path().join("log");
        let text = format!(
            "#!/bin/sh\ncd {}\nn=$(printf %03d $(ls | wc -l))\ncall=$n-{name}-$CNI_COMMAND\nmkdir $call\n\
             env >$call/env\ncat >$call/stdin\n{body}\n",
            log.display()
        );
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// The calls since the last time, in order.
    pub(crate) fn calls(&self) -> Vec<Logged> {
        let entries = std::fs::read_dir(self.path().join("log")).unwrap();
        let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        dirs.sort();
        let logged = |dir: &PathBuf| {
            let name = dir.file_name().unwrap().to_str().unwrap();
            let name = name.split_once('-').unwrap().1.replace('-', " ");
            let text = |file| std::fs::read_to_string(dir.join(file)).unwrap();
            Logged { name, env: text("env"), stdin: text("stdin") }
        };
        let calls = dirs.iter().map(logged).collect();
        dirs.iter().for_each(|dir| std::fs::remove_dir_all(dir).unwrap());
        calls
    }

    /// The names of the calls since the last time.
    pub(crate) fn names(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.name).collect()
    }
}

/// Waits until `condition` holds.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        let step = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
        let _ = rustix::thread::nanosleep(&step);
    }
}
