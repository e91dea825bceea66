use std::fs;
use std::path::{Path, PathBuf};

use super::{Container, ContainerError, Word, find, open, runtimes};

/// A host's files, as far as runtimes write them.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A process that was started then.
    fn process(&self, pid: u32, state: char, started: u64) {
        let fields = "0 ".repeat(18);
        self.put(
            &format!("proc/{pid}/stat"),
            &format!("{pid} (a) b) {state} {fields}{started} 0\n"),
        );
    }

    fn runc(&self, dir: &str, pid: u32, started: u64, bundle: &str) {
        let text = format!(
            r#"{{"id":"x","init_process_pid":{pid},"init_process_start":{started},
            "namespace_paths":{{"NEWNET":"/proc/{pid}/ns/net"}},
            "config":{{"labels":["a=b","bundle={bundle}"]}}}}"#
        );
        self.put(&format!("{dir}/state.json"), &text);
    }

    /// All containers: `ID (RUNTIME) names: process`.
    fn list(&self) -> Vec<String> {
        let line = |one: Container| {
            let pid = one.netns.as_deref().map_or("stopped".to_owned(), |path: &Path| {
                let path = path.strip_prefix(self.0.path()).unwrap();
                path.to_str().unwrap().replace("/ns/net", "")
            });
            format!("{} ({}) {}: {pid}", one.id, one.runtime, one.names.join(","))
        };
        runtimes::list(self.0.path()).into_iter().map(line).collect()
    }
}

#[test]
fn containers_of_every_runtime_are_read_from_what_they_leave_on_disk() {
    let host = Host::new();
    for pid in 1..=7 {
        host.process(pid, 'S', 100 + u64::from(pid));
    }
    host.runc("run/containerd/runc/default/web", 1, 101, "/run/bundle/web");
    host.runc("run/docker/runtime-runc/moby/d0c", 2, 102, "/b");
    host.put("var/lib/docker/containers/d0c/config.v2.json", r#"{"Name":"/db","ID":"d0c"}"#);
    host.runc("run/runc/90d", 3, 103, "/c");
    let storage = "var/lib/containers/storage/overlay-containers/containers.json";
    host.put(
        storage,
        r#"[{"id":"90d","names":["pod"]},{"id":"91d","names":["off"]},{"id":"92d"}]"#,
    );
    host.put("run/crun/c4/status", r#"{"pid":4,"process-start-time":104,"bundle":"/c4"}"#);
    host.put("run/containerd/io.containerd.runtime.v2.task/k8s.io/5a/init.pid", "5\n");
    let bundle = r#"{"annotations":{"io.kubernetes.cri.container-type":"sandbox",
        "io.kubernetes.cri.sandbox-name":"pod-5"}}"#;
    host.put("run/containerd/io.containerd.runtime.v2.task/k8s.io/5a/config.json", bundle);
    host.runc("run/containerd/runc/default/6e", 6, 106, "/b6");
    host.put("run/containerd/io.containerd.runtime.v2.task/default/6e/init.pid", "6");
    host.put("var/lib/nerdctl/1a2b/names/default/proxy", "6e");
    assert_eq!(
        host.list(),
        [
            "5a (containerd) pod-5: proc/5",
            "6e (containerd) proxy: proc/6",
            "90d (runc) pod: proc/3",
            "91d (podman) off: stopped",
            "92d (podman) : stopped",
            "c4 (crun) : proc/4",
            "d0c (docker) db: proc/2",
            "web (containerd) : proc/1",
        ]
    );
}

#[test]
fn storage_that_was_moved_is_found_by_its_file_of_options() {
    let host = Host::new();
    host.put("etc/docker/daemon.json", r#"{"data-root":"/srv/docker"}"#);
    host.put("srv/docker/containers/d1/config.v2.json", r#"{"Name":"/a"}"#);
    host.put("etc/containers/storage.conf", "[storage]\ngraphroot = \"/srv/podman\"\n");
    host.put("srv/podman/vfs-containers/containers.json", r#"[{"id":"b2","names":["b"]}]"#);
    assert_eq!(host.list(), ["b2 (podman) b: stopped", "d1 (docker) a: stopped"]);
}

#[test]
fn a_process_that_ended_or_has_anothers_number_is_no_containers() {
    let host = Host::new();
    host.process(1, 'S', 999);
    host.process(2, 'Z', 102);
    host.runc("run/runc/other", 1, 101, "/b");
    host.runc("run/runc/zombie", 2, 102, "/b");
    host.runc("run/runc/gone", 3, 103, "/b");
    host.put("run/runc/broken/state.json", "{");
    assert_eq!(
        host.list(),
        ["gone (runc) : stopped", "other (runc) : stopped", "zombie (runc) : stopped"]
    );
}

fn containers() -> Vec<Container> {
    let of = |id: &str, names: &[&str], runtime, netns: Option<&str>| Container {
        id: id.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        hostname: None,
        runtime,
        netns: netns.map(PathBuf::from),
    };
    vec![
        of("abc1", &["web"], "docker", Some("/nowhere/abc1")),
        of("abc2", &["db", "abd"], "runc", Some("/proc/self/ns/net")),
        of("abd3", &["db"], "podman", None),
        of("web", &[], "containerd", None),
        of("web", &[], "crun", None),
    ]
}

#[test]
fn a_container_is_meant_by_id_then_by_name_then_by_the_beginning_of_an_id() {
    let all = containers();
    for (word, want) in
        [("abc1", "abc1"), ("/abd", "abc2"), ("abd", "abc2"), ("abd3", "abd3"), ("abc2", "abc2")]
    {
        assert_eq!(find(&all, word).unwrap().id, want, "{word}");
    }
    for (word, want) in [
        ("nobody", "No such container: nobody"),
        ("ABC1", "No such container: ABC1"),
        ("abc", "Multiple containers found with abc: abc1 (docker), abc2 (runc): "),
        ("db", "Multiple containers found with db: abc2 (runc), abd3 (podman): "),
        ("web", "Multiple containers found with web: web (containerd), web (crun): "),
    ] {
        let told = find(&all, word).expect_err(word).to_string();
        assert!(told.starts_with(want), "{word}: {told}");
    }
}

#[test]
fn words_are_read_and_those_of_no_sense_refused() {
    assert_eq!(Word::read("pid:17").unwrap(), Word::Pid(17));
    assert_eq!(Word::read("netns:/run/netns/x").unwrap(), Word::Netns("/run/netns/x".into()));
    assert_eq!(Word::read("pid").unwrap(), Word::Named("pid".to_owned()));
    for (word, want) in [
        ("", "invalid container name or ID \"\": value is empty"),
        ("pid:0", "invalid container name or ID \"pid:0\": write the number"),
        ("pid:x", "invalid container name or ID \"pid:x\": write the number"),
        ("netns:x", "invalid container name or ID \"netns:x\": write a path from / on"),
    ] {
        let told = Word::read(word).expect_err(word).to_string();
        assert!(told.starts_with(want), "{word}: {told}");
    }
}

#[test]
fn the_hosts_namespace_and_what_is_none_are_refused() {
    let all = containers();
    let told = |word: &str| open(&all, &Word::read(word).unwrap()).unwrap_err();
    let own = format!("pid:{}", std::process::id());
    for word in ["abc2", &own, "netns:/proc/self/ns/net"] {
        let error = told(word);
        assert!(matches!(error, ContainerError::OfHost), "{word}: {error}");
    }
    assert_eq!(told("abd3").to_string(), "Container abd3 is not running: start it first");
    for word in ["abc1", "pid:4194305", "netns:/etc/hosts"] {
        let error = told(word);
        assert!(matches!(error, ContainerError::Netns { .. }), "{word}: {error}");
    }
}

#[test]
fn d1_a_container_is_found_by_its_names_and_by_its_hostname() {
    let one = |names: &[&str], hostname: &str| Container {
        id: "0123456789abcdef".to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        hostname: Some(hostname.to_owned()),
        runtime: "runc",
        netns: None,
    };
    assert_eq!(one(&["web"], "box.example").found_by(), ["web", "box.example"]);
    assert_eq!(one(&["web"], "web").found_by(), ["web"]);
    assert_eq!(one(&["web"], "0123456789ab").found_by(), ["web"], "as Docker calls it");
    assert_eq!(one(&[], "box").found_by(), ["0123456789abcdef", "box"]);
}
