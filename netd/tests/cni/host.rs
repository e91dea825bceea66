//! A host: directories for configurations, plugins and results, and the log of the plugins' calls.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A first plugin: makes an interface and an address.
pub(crate) const FIRST: &str = r#"[ $CNI_COMMAND = ADD ] || exit 0
echo '{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","mac":"02:00:00:00:00:05","sandbox":"'$CNI_NETNS'"}],"ips":[{"address":"10.0.0.5/24","interface":0}]}'"#;

/// A chained plugin: passes on what it was given.
pub(crate) const CHAINED: &str = r#"[ $CNI_COMMAND = ADD ] || exit 0
sed 's/.*"prevResult":\(.*\)}$/\1/; s/,"runtimeConfig".*//' $call/stdin"#;

pub(crate) struct Host {
    dir: TempDir,
}

/// One call of a plugin.
#[derive(Debug)]
pub(crate) struct Call {
    /// `TYPE VERB`.
    pub(crate) name: String,
    env: String,
    /// Its stdin.
    pub(crate) conf: Value,
}

impl Call {
    /// A variable of the plugin's environment.
    pub(crate) fn env(&self, name: &str) -> &str {
        let value = |line: &'_ str| line.strip_prefix(name)?.strip_prefix('=').map(str::len);
        let line = self.env.lines().find(|line| value(line).is_some());
        line.unwrap_or_default().split_once('=').map_or("", |(_, value)| value)
    }
}

/// What `netd` did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// stdout of a run without failure.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.stdout
    }

    /// The JSON on stdout of a run without failure.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// stderr of a run with this exit status, and nothing on stdout.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:#?}");
        self.stderr
    }
}

impl Host {
    /// A host with the network `net1` of the plugins `first` and `second`.
    pub(crate) fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap() };
        for dir in ["bin", "log", "conf"] {
            fs::create_dir(host.path(dir)).unwrap();
        }
        host.plugin("first", FIRST);
        host.plugin("second", CHAINED);
        host.network("net1", &["first", "second"]);
        host
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Configures a network of these plugins; each declares the capability `mac`.
    pub(crate) fn network(&self, name: &str, plugins: &[&str]) {
        let plugin = |p: &&str| format!(r#"{{"type":"{p}","capabilities":{{"mac":true}}}}"#);
        let plugins: Vec<String> = plugins.iter().map(plugin).collect();
        self.conflist(
            name,
            &format!(
                r#"{{"cniVersion":"1.1.0","name":"{name}","plugins":[{}]}}"#,
                plugins.join(",")
            ),
        );
    }

    /// Writes a network list.
    pub(crate) fn conflist(&self, name: &str, text: &str) {
        fs::write(self.path("conf").join(format!("{name}.conflist")), text).unwrap();
    }

    /// Makes a plugin that logs its call and then does what `body` says. Calls are not made side
    /// by side.
    pub(crate) fn plugin(&self, name: &str, body: &str) {
        let file = self.path("bin").join(name);
        let text = format!(
            "#!/bin/sh\ncd {}\nn=$(printf %03d $(ls | wc -l))\ncall=$n-{name}-$CNI_COMMAND\n\
             mkdir $call\nenv >$call/env\ncat >$call/stdin\n{body}\n",
            self.path("log").display()
        );
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// The calls since the last time, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let entries = fs::read_dir(self.path("log")).unwrap();
        let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        dirs.sort();
        let call = |dir: &PathBuf| {
            let name = dir.file_name().unwrap().to_str().unwrap();
            let name = name.split_once('-').unwrap().1.replace('-', " ");
            let text = |file| fs::read_to_string(dir.join(file)).unwrap();
            Call { name, env: text("env"), conf: serde_json::from_str(&text("stdin")).unwrap() }
        };
        let calls = dirs.iter().map(call).collect();
        dirs.iter().for_each(|dir| fs::remove_dir_all(dir).unwrap());
        calls
    }

    /// `TYPE VERB CONTAINER` of the calls since the last time.
    pub(crate) fn called(&self) -> Vec<String> {
        let called = |call: Call| format!("{} {}", call.name, call.env("CNI_CONTAINERID"));
        self.calls().into_iter().map(called).map(|text| text.trim_end().to_owned()).collect()
    }

    /// Runs `netd cni` with words of a line, in this host's directories.
    pub(crate) fn cni(&self, line: &str) -> Ran {
        self.cni_with(line, &[])
    }

    /// The same, with more of an environment.
    pub(crate) fn cni_with(&self, line: &str, env: &[(&str, &str)]) -> Ran {
        let mut words: Vec<&str> = line.split(' ').collect();
        let cache = self.path("cache");
        if !matches!(words.first(), Some(&("status" | "version" | "list" | "repair"))) {
            words.extend(["--cache-dir", cache.to_str().unwrap()]);
        }
        let mut command = netd();
        command
            .arg("cni")
            .args(words)
            .env("NETCONFPATH", self.path("conf"))
            .env("CNI_PATH", self.path("bin"))
            .envs(env.iter().copied());
        ran(command.output().unwrap())
    }

    /// The names of the files in the cache.
    pub(crate) fn cached(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("cache/results")).into_iter().flatten();
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.unwrap().file_name().to_str().unwrap().to_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    /// A file of the cache.
    pub(crate) fn cache_file(&self, name: &str) -> PathBuf {
        self.path("cache/results").join(name)
    }
}

/// The program, with none of cnitool's variables set.
pub(crate) fn netd() -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_netd")));
    for name in ["NETCONFPATH", "CNI_PATH", "CNI_ARGS", "CAP_ARGS", "CNI_IFNAME"] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn ran(output: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
