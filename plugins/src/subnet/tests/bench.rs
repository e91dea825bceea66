//! Directories, delegates and requests for these tests.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use cni::json::{self, Value};
use cni::{Env, Request, Verb};
use tempfile::TempDir;

use crate::subnet::{Settings, Source};
use crate::testing;

pub(super) const V4: &str = "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.17.1/24\n\
    FLANNEL_MTU=1472\nFLANNEL_IPMASQ=true\n";

/// Writes down its calls and what it reads; `fail.VERB` beside it makes it fail.
const SCRIPT: &str = r#"#!/bin/sh
cd "${0%/*}" || exit
cat >"$CNI_COMMAND.json"
echo "${0##*/} $CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME" >>calls
if [ -e "fail.$CNI_COMMAND" ]; then echo '{"code":11,"msg":"busy"}'; exit 1; fi
if [ "$CNI_COMMAND" = ADD ]; then echo '{"cniVersion":"1.1.0","ips":[{"address":"10.1.17.2/24"}]}'; fi
"#;

/// A directory with delegates and a `subnet.env`.
pub(super) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().expect("directory") };
        std::fs::create_dir(bench.path("bin")).expect("bin");
        std::fs::write(bench.path("subnet.env"), V4).expect("subnet.env");
        for name in ["bridge", "ptp"] {
            let path = bench.path("bin").join(name);
            std::fs::write(&path, SCRIPT).expect("script");
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&path, mode).expect("mode");
        }
        bench
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts this program there, under the name of a plugin.
    pub(super) fn own(&self, name: &str) {
        let own = std::env::current_exe().expect("own path");
        let path = self.path("bin").join(name);
        let _ = std::fs::remove_file(&path);
        std::fs::copy(own, path).expect("copy");
    }

    /// Makes the scripts fail at a verb, or no more.
    pub(super) fn fail(&self, verb: &str, fails: bool) {
        let path = self.path("bin").join(format!("fail.{verb}"));
        if fails {
            std::fs::write(path, "").expect("write");
        } else {
            std::fs::remove_file(path).expect("remove");
        }
    }

    /// `PLUGIN VERB CONTAINER INTERFACE` of the calls since the last time.
    pub(super) fn calls(&self) -> Vec<String> {
        let path = self.path("bin").join("calls");
        let calls = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(path);
        calls.lines().map(str::to_owned).collect()
    }

    /// What the last call of a verb read.
    pub(super) fn told(&self, verb: &str) -> Value {
        let path = self.path("bin").join(format!("{verb}.json"));
        json::parse(&std::fs::read(path).expect("a call")).expect("JSON")
    }

    /// Names and contents of what is kept.
    pub(super) fn kept(&self) -> Vec<(String, String)> {
        let Ok(entries) = std::fs::read_dir(self.path("state")) else { return Vec::new() };
        let file = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.expect("entry");
            let content = std::fs::read_to_string(entry.path()).expect("content");
            (entry.file_name().to_string_lossy().into_owned(), content)
        };
        let mut all: Vec<_> = entries.map(file).collect();
        all.sort();
        all
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.kept().into_iter().map(|(name, _)| name).collect()
    }

    pub(super) fn keep(&self, name: &str, content: &str) {
        std::fs::create_dir_all(self.path("state")).expect("state");
        std::fs::write(self.path("state").join(name), content).expect("write");
    }

    /// Flannel's settings with these files.
    pub(super) fn settings(&self, delegate: &str) -> Settings {
        let delegate = json::parse(delegate.as_bytes()).expect("JSON");
        Settings {
            plugin: "flannel",
            delegate: delegate.as_object().expect("an object").clone(),
            force_address: false,
            data_dir: self.path("state"),
            source: Source::File {
                file: self.path("subnet.env"),
                socket: self.path("attach.sock"),
            },
            wait: std::time::Duration::ZERO,
        }
    }

    pub(super) fn request(&self, verb: Verb, keys: &str) -> Request {
        self.of(verb, keys, "c1", "eth0")
    }

    pub(super) fn of(&self, verb: Verb, keys: &str, id: &str, ifname: &str) -> Request {
        Request {
            verb,
            container_id: id.to_owned(),
            ifname: ifname.to_owned(),
            path: vec![self.path("bin")],
            env: Env::default().with("CNI_CONTAINERID", id).with("CNI_IFNAME", ifname),
            ..testing::request(keys)
        }
    }
}
