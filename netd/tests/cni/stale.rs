//! What became of namespaces: every test in a mount namespace with an empty `/run`, so that the
//! records are its own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use attach::{Namespace, Store, record};
use drivers::Owner;
use kernel::Netns;
use kernel::testing::{in_new_host, sh_in};
use serde_json::json;

use crate::host::{FIRST, Host};
use crate::process::Process;

fn add(host: &Host, network: &str, id: &str, netns: &str) {
    host.cni(&format!("add {network} {netns} --container-id {id}")).ok();
    host.calls();
}

/// Writes the record of `plugin` for an attachment of `net1`.
fn write_record(store: &Store, id: &str, plugin: &str, netns: Option<Namespace>) {
    let owner = Owner { network: "net1".into(), container_id: id.into(), ifname: "eth0".into() };
    let mut record = store.record(&owner, plugin);
    record.netns = netns;
    store.claim(&record).unwrap();
}

fn namespace(path: &str) -> Namespace {
    let found = fs::metadata(path).unwrap();
    Namespace { path: path.into(), dev: found.dev(), ino: found.ino() }
}

fn record_file(id: &str, plugin: &str) -> PathBuf {
    Path::new(record::ROOT).join(format!("net1/{id}/eth0:{plugin}"))
}

/// A plugin as ours: DEL removes its record.
fn with_record(name: &str) -> String {
    let file = format!("{}/$net/$CNI_CONTAINERID/$CNI_IFNAME:{name}", record::ROOT);
    format!("net=net1; [ $CNI_COMMAND = DEL ] && rm -f {file}\n{FIRST}")
}

#[test]
fn only_attachments_whose_namespace_is_gone_are_removed_each_by_a_del() {
    in_new_host(|| {
        let host = Host::new();
        let (alive, ended) = (Process::new(), Process::new());
        add(&host, "net1", "alive", &alive.netns());
        add(&host, "net1", "ended", &ended.netns());
        add(&host, "net1", "unmounted", "/run/netns/unmounted");
        fs::create_dir("/run/netns").unwrap();
        fs::write("/run/netns/leftover", "").unwrap();
        add(&host, "net1", "leftover", "/run/netns/leftover");
        let gone = ended.netns();
        drop(ended);

        let table = host.cni("gc --stale --dry-run").ok();
        let rows: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["NETWORK", "CONTAINER", "INTERFACE", "NETNS", "KNOWN", "BY"]);
        assert_eq!(rows[1], ["net1", "ended", "eth0", &gone, "cache"]);
        assert_eq!(rows[2], ["net1", "leftover", "eth0", "/run/netns/leftover", "cache"]);
        assert_eq!(rows[3], ["net1", "unmounted", "eth0", "/run/netns/unmounted", "cache"]);
        assert!(host.called().is_empty());
        assert_eq!(host.cached().len(), 4);

        host.cni("gc --stale").ok();
        let calls = host.calls();
        assert_eq!(calls.len(), 6, "{calls:?}");
        assert!(calls.iter().all(|c| c.name.ends_with("DEL") && c.env("CNI_NETNS").is_empty()));
        assert_eq!(host.cached(), ["net1-alive-eth0"]);

        let ran = host.cni("gc --stale");
        assert_eq!(ran.stderr, "nothing is stale\n");
        assert_eq!(ran.ok(), "");
    });
}

#[test]
fn the_configuration_of_the_add_is_used() {
    in_new_host(|| {
        let host = Host::new();
        add(&host, "net1", "c1", "/run/netns/gone");
        host.network("net1", &["other"]);
        let document = host.cni("gc --stale --output json").json();
        let removed = json!({"removed": [{
            "network": "net1", "containerID": "c1", "ifname": "eth0",
            "netns": "/run/netns/gone", "knownBy": ["cache"],
        }]});
        assert_eq!(document, removed);
        assert_eq!(host.called(), ["second DEL c1", "first DEL c1"]);
    });
}

#[test]
fn the_network_may_be_named() {
    in_new_host(|| {
        let host = Host::new();
        host.network("net2", &["first"]);
        add(&host, "net1", "c1", "/run/netns/gone");
        add(&host, "net2", "c2", "/run/netns/gone");
        host.cni("gc --stale net2").ok();
        assert_eq!(host.called(), ["first DEL c2"]);
        assert_eq!(host.cached(), ["net1-c1-eth0"]);
    });
}

#[test]
fn a_record_tells_that_another_namespace_is_behind_the_path() {
    in_new_host(|| {
        let host = Host::new();
        let store = Store::open().unwrap();
        host.plugin("first", &with_record("first"));
        let process = Process::new();
        for id in ["reused", "same"] {
            add(&host, "net1", id, &process.netns());
        }
        let found = namespace(&process.netns());
        write_record(&store, "same", "first", Some(found.clone()));
        write_record(&store, "reused", "first", Some(Namespace { ino: found.ino + 1, ..found }));
        let table = host.cni("gc --stale").ok();
        assert!(table.contains(" cache record\n"), "{table}");
        assert_eq!(host.called(), ["second DEL reused", "first DEL reused"]);
        assert!(!record_file("reused", "first").exists());
        assert!(record_file("same", "first").exists());
    });
}

#[test]
fn what_only_a_record_knows_is_deleted_with_the_configuration_of_today() {
    in_new_host(|| {
        let host = Host::new();
        host.plugin("first", &with_record("first"));
        let rebooted = Store::at(record::ROOT.into(), "another boot".into());
        write_record(&rebooted, "c1", "first", Some(namespace("/proc/self/ns/net")));
        write_record(&Store::open().unwrap(), "c2", "first", None);
        let table = host.cni("gc --stale").ok();
        assert!(table.ends_with(" record\n"), "{table}");
        assert_eq!(host.called(), ["second DEL c1", "first DEL c1"]);
        assert!(!record_file("c1", "first").exists());
        assert!(record_file("c2", "first").exists(), "nothing says that its namespace is gone");
    });
}

#[test]
fn without_any_configuration_the_recording_plugins_are_called() {
    in_new_host(|| {
        let host = Host::new();
        host.plugin("first", &with_record("first"));
        host.plugin("third", &with_record("third"));
        fs::remove_file(host.path("conf/net1.conflist")).unwrap();
        let process = Process::new();
        let store = Store::open().unwrap();
        for plugin in ["first", "third"] {
            write_record(&store, "c1", plugin, Some(namespace(&process.netns())));
        }
        drop(process);
        let ran = host.cni("gc --stale");
        assert!(ran.stderr.contains("an address that its IPAM plugin reserved stays"), "{ran:?}");
        assert!(ran.ok().contains("record"));
        assert_eq!(host.called(), ["third DEL c1", "first DEL c1"]);
        assert_eq!(fs::read_dir(record::ROOT).unwrap().count(), 1);
    });
}

#[test]
fn a_record_of_a_plugin_that_is_not_in_the_list_is_undone_too() {
    in_new_host(|| {
        let host = Host::new();
        host.plugin("third", &with_record("third"));
        add(&host, "net1", "c1", "/run/netns/gone");
        let process = Process::new();
        let found = Some(namespace(&process.netns()));
        write_record(&Store::open().unwrap(), "c1", "third", found);
        drop(process);
        host.cni("gc --stale").ok();
        assert_eq!(host.called(), ["second DEL c1", "first DEL c1", "third DEL c1"]);
        assert!(!record_file("c1", "third").exists());
    });
}

#[test]
fn a_process_id_in_use_again_is_told_by_start_time_and_interface_together() {
    in_new_host(|| {
        let host = Host::new();
        let process = Process::new();
        add(&host, "net1", "c1", &process.netns());
        let file = host.cache_file("net1-c1-eth0");
        let inside = Netns::open(Path::new(&process.netns())).unwrap();
        assert_eq!(host.cni("gc --stale").ok(), "", "it was there before the ADD");

        let file = fs::File::options().write(true).open(file).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        sh_in(&inside, "ip link add eth0 address 02:00:00:00:00:05 type veth peer name p0");
        assert_eq!(host.cni("gc --stale").ok(), "", "it has the attachment's interface");

        sh_in(&inside, "ip link set eth0 address 02:00:00:00:00:06");
        assert!(host.cni("gc --stale").ok().contains("c1"));
        assert_eq!(host.called(), ["second DEL c1", "first DEL c1"]);
        assert!(host.cached().is_empty());
    });
}

#[test]
fn an_attachment_without_a_namespace_is_never_stale() {
    in_new_host(|| {
        let host = Host::new();
        host.cni("add net1 --container-id c1").ok();
        host.calls();
        assert_eq!(host.cni("gc --stale").ok(), "");
        assert!(host.called().is_empty());
    });
}

#[test]
fn a_failing_del_is_told_and_the_others_go_on() {
    in_new_host(|| {
        let host = Host::new();
        let fails = r#"[ $CNI_CONTAINERID = c1 ] && { echo '{"code":11,"msg":"busy"}'; exit 1; }"#;
        host.plugin("first", &format!("{fails}\n{FIRST}"));
        host.plugin("second", "[ $CNI_COMMAND = DEL ] || echo '{}'");
        host.network("net2", &["second"]);
        add(&host, "net2", "c1", "/run/netns/gone");
        host.network("net2", &["first"]);
        add(&host, "net1", "c2", "/run/netns/gone");
        break_config(&host, "net2-c1-eth0");
        let ran = host.cni("gc --stale");
        assert_eq!(ran.code, 1);
        assert!(ran.stdout.contains("c2") && !ran.stdout.contains("c1"), "{ran:?}");
        let says = "error: c1 eth0 of \"net2\": plugin type=\"first\" failed (delete): busy\n  \
                    code: 11 (try again later)\n";
        assert_eq!(ran.stderr, says);
        assert_eq!(host.cached(), ["net2-c1-eth0"]);
    });
}

#[test]
fn disable_gc_keeps_what_is_stale() {
    in_new_host(|| {
        let host = Host::new();
        add(&host, "net1", "c1", "/run/netns/gone");
        host.conflist(
            "net1",
            r#"{"cniVersion":"1.1.0","name":"net1","disableGC":true,"plugins":[{"type":"first"}]}"#,
        );
        let ran = host.cni("gc --stale");
        assert!(ran.stderr.contains("kept c1 eth0 of network \"net1\""), "{ran:?}");
        assert_eq!(ran.ok(), "");
        assert!(host.called().is_empty());
    });
}

#[test]
fn a_record_that_cannot_be_read_is_told() {
    in_new_host(|| {
        let host = Host::new();
        let file = record_file("c1", "first");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "{").unwrap();
        add(&host, "net1", "c2", "/run/netns/gone");
        let ran = host.cni("gc --stale");
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("read the attachment record"), "{ran:?}");
        assert_eq!(host.called(), ["second DEL c2", "first DEL c2"]);
    });
}

/// Makes the configuration in a cache entry unreadable.
fn break_config(host: &Host, name: &str) {
    let file = host.cache_file(name);
    let mut entry: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    entry["config"] = "e30=".into();
    fs::write(&file, entry.to_string()).unwrap();
}
