//! Records survive what may happen to them.

use std::fs;

use drivers::Owner;
use drivers::ports::{self, Mapping, Snat, Transport};
use netstate::LinkName;

use super::{Namespace, Record, Store, wire};
use crate::Error;

fn owner(ifname: &str) -> Owner {
    Owner { network: "net".into(), container_id: "c1".into(), ifname: ifname.into() }
}

fn store(dir: &tempfile::TempDir) -> Store {
    Store::at(dir.path().join("attachments"), "boot".into())
}

fn full(store: &Store) -> Record {
    let owner = owner("eth0.100");
    let mapping = Mapping {
        transport: Transport::Tcp,
        host_ip: Some("2001:db8::1".parse().expect("address")),
        host_port: 8080,
        container_ip: "fd00::2".parse().expect("address"),
        container_port: 80,
    };
    let bridge = LinkName::new("cni0").expect("name");
    let desired = ports::desired(&owner, &[mapping], &bridge, Snat::Needed, &[]);
    let mut record = store.record(&owner, "portmap").with_elements(&desired);
    record.links.push(LinkName::new("veth0").expect("name"));
    record.netns = Some(Namespace { path: "/run/netns/c1".into(), dev: 4, ino: 4026532000 });
    record.notes.insert("key".into(), "value".into());
    record
}

#[test]
fn a_record_comes_back_as_it_was_written() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    let record = full(&store);
    store.claim(&record).expect("claim");
    assert_eq!(store.get(&record.owner, "portmap").expect("get"), Some(record.clone()));
    assert_eq!(store.list(Some("net"), None).expect("list").len(), 1);
    assert!(store.list(Some("other"), None).expect("list").is_empty());
    assert!(store.list(None, Some("bridge")).expect("list").is_empty());
}

#[test]
fn a_second_claim_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    let record = full(&store);
    store.claim(&record).expect("claim");
    let mut second = record.clone();
    second.links.clear();
    assert!(matches!(store.claim(&second), Err(Error::Attached { .. })));
    assert_eq!(store.get(&record.owner, "portmap").expect("get"), Some(record));
    assert_eq!(fs::read_dir(dir.path().join("attachments/net/c1")).expect("read").count(), 1);
}

#[test]
fn removing_leaves_nothing_and_spares_the_other_plugin() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    let record = full(&store);
    let other = store.record(&owner("eth0.100"), "bridge");
    store.claim(&record).expect("claim");
    store.claim(&other).expect("claim");
    let left = dir.path().join("attachments/net/c1/.eth0.100:portmap.77");
    fs::write(&left, "{").expect("write");
    store.remove(&record.owner, "portmap").expect("remove");
    assert!(!left.exists());
    assert_eq!(store.list(None, None).expect("list").len(), 1);
    store.remove(&other.owner, "bridge").expect("remove");
    store.remove(&other.owner, "bridge").expect("remove twice");
    assert!(!dir.path().join("attachments/net").exists());
}

#[test]
fn whose_a_damaged_record_is_tells_its_place() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    let record = full(&store);
    store.claim(&record).expect("claim");
    fs::write(dir.path().join("attachments/net/c1/eth0.100:portmap"), "{").expect("write");
    let listed = store.list(Some("net"), Some("portmap")).expect("list");
    let error = listed.into_iter().next().expect("one record").expect_err("no record");
    assert_eq!(store.owner_of_unreadable(&error), Some(record.owner));
}

#[test]
fn a_sweep_removes_what_killed_writers_left() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    let left = dir.path().join("attachments/net/c1");
    fs::create_dir_all(&left).expect("mkdir");
    fs::write(left.join(".eth0:portmap.77"), "{").expect("write");
    assert!(store.list(None, None).expect("list").is_empty());
    store.sweep("net", "bridge").expect("sweep");
    assert!(left.exists());
    store.sweep("net", "portmap").expect("sweep");
    assert!(!left.exists());
}

#[test]
fn a_record_survives_any_input() {
    corpus::survive("record", |input| {
        if let Ok(record) = wire::decode(input) {
            assert_eq!(wire::decode(&wire::encode(&record)).ok(), Some(record));
        }
    });
}

#[test]
fn elements_of_sets_that_are_no_more_are_left_out_of_a_record() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = store(&dir);
    let record = full(&store);
    let text = String::from_utf8(wire::encode(&record)).expect("text");
    let element = r#"{"set":"inet netd hairpin6","key":["ip6=fd00::2","proto=6","port=80","if=cni0"],"comment":""},"#;
    let older = text.replacen(r#""elements":["#, &format!(r#""elements":[{element}"#), 1);
    assert_ne!(older, text);
    assert_eq!(wire::decode(older.as_bytes()).expect("record"), record);
}
