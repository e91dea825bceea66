use std::os::fd::OwnedFd;
use std::sync::mpsc;

use rustix::fs::{FlockOperation, flock};

use super::*;

#[test]
fn files_that_name_nobody_are_removed_with_a_warning_and_their_addresses_are_free() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/29"]);
    net.write("10.1.2.2", "");
    net.write("10.1.2.3", "\0\0\0\0\0\0\0\0");
    net.write("10.1.2.4", " \r\n");
    assert_eq!(net.add(&sets, "dummy").unwrap(), ["10.1.2.2/29"]);
    assert_eq!(net.names(), ["10.1.2.2"]);
    let mut warnings: Vec<String> =
        net.store.take_warnings().iter().map(ToString::to_string).collect();
    warnings.sort();
    assert_eq!(warnings.len(), 3);
    assert!(warnings[0].starts_with("removed reservation "), "{warnings:?}");
    assert!(warnings[0].ends_with("/net/10.1.2.2: it names no container"), "{warnings:?}");
    assert_eq!(net.store.take_warnings(), []);
}

#[test]
fn a_directory_that_can_never_be_made_is_an_error() {
    let mut store = HostLocal::open("/proc/none/networks", "net").unwrap();
    let made = store.allocate(&sets(&["10.1.2.0/29"]), &Owner::new("dummy", "eth0"), &[]);
    let text = made.unwrap_err().to_string();
    assert!(text.contains("create directory") && text.contains("/proc/none"), "{text}");
}

#[test]
fn a_file_emptied_behind_the_index_is_found_when_its_address_is_asked_for() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24"]);
    net.add(&sets, "dummy").unwrap();
    fs::write(net.path("10.1.2.2"), "").unwrap();
    assert!(net.indexed(), "no file was created or removed");
    assert_eq!(net.add_requested(&sets, "other", &["10.1.2.2"]).unwrap(), ["10.1.2.2/24"]);
    assert_eq!(net.store.take_warnings().len(), 1);
    assert_eq!(net.release("dummy"), ips(&[]));
}

#[test]
fn a_file_that_changed_hands_behind_the_index_is_not_released() {
    let mut net = Fixture::new();
    net.add(&sets(&["10.1.2.0/24"]), "dummy").unwrap();
    fs::write(net.path("10.1.2.2"), "other\r\neth0").unwrap();
    assert!(net.indexed());
    assert_eq!(net.release("dummy"), ips(&[]));
    assert_eq!(net.release("other"), ips(&["10.1.2.2"]));
}

#[test]
fn a_damaged_marker_starts_round_robin_anew_with_a_warning() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24"]);
    net.write("last_reserved_ip.0", "10.1.2.300 and more text than any address can have, by far");
    assert_eq!(net.add(&sets, "one").unwrap(), ["10.1.2.2/24"]);
    assert_eq!(net.read("last_reserved_ip.0"), "10.1.2.2");
    assert!(net.store.take_warnings()[0].to_string().ends_with("0: does not hold an address"));
    net.write("last_reserved_ip.0", "");
    assert_eq!(net.add(&sets, "two").unwrap(), ["10.1.2.3/24"]);
    net.write("last_reserved_ip.0", "10.1.2.200");
    assert_eq!(net.add(&sets, "three").unwrap(), ["10.1.2.201/24"]);
    net.write("last_reserved_ip.0", "10.1.2.254");
    assert_eq!(net.add(&sets, "four").unwrap(), ["10.1.2.4/24"]);
    assert_eq!(net.read("last_reserved_ip.0"), "10.1.2.4", "no rest of the longer text");
    assert_eq!(net.store.take_warnings(), []);
}

#[test]
fn the_wait_for_the_lock_has_a_bound_and_changes_nothing() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24"]);
    net.add(&sets, "one").unwrap();
    let lock: OwnedFd = fs::File::open(net.path("lock")).unwrap().into();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let mut hasty = HostLocal::open(net.data.path(), "net")
        .unwrap()
        .with_lock_timeout(Duration::from_millis(50));
    let error = hasty.allocate(&sets, &owner("two"), &[]).unwrap_err();
    assert!(matches!(error, Error::LockTimeout { .. }));
    assert!(error.to_string().ends_with("held by another process for more than 0.05 s"), "{error}");
    assert_eq!(net.names(), ["10.1.2.2"]);
    flock(&lock, FlockOperation::Unlock).unwrap();
    // The waiter that gave up gets the lock now, and gives it back.
    assert_eq!(net.add(&sets, "two").unwrap(), ["10.1.2.3/24"]);
}

#[test]
fn a_waiter_gets_the_lock_as_soon_as_it_is_free() {
    let net = Fixture::new();
    net.write("lock", "");
    let lock: OwnedFd = fs::File::open(net.path("lock")).unwrap().into();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let (done, outcome) = mpsc::channel();
    let path = net.data.path().to_owned();
    let waiter = std::thread::spawn(move || {
        let mut store = HostLocal::open(path, "net").unwrap();
        let _ = done.send(store.allocate(&sets(&["10.1.2.0/24"]), &owner("one"), &[]));
    });
    assert!(outcome.recv_timeout(Duration::from_millis(100)).is_err(), "it waits");
    drop(lock);
    assert_eq!(outcome.recv_timeout(Duration::from_secs(30)).unwrap().unwrap().len(), 1);
    waiter.join().unwrap();
}

#[test]
fn a_directory_removed_during_the_wait_is_made_again() {
    let net = Fixture::new();
    net.write("lock", "");
    let lock: OwnedFd = fs::File::open(net.path("lock")).unwrap().into();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let (done, outcome) = mpsc::channel();
    let path = net.data.path().to_owned();
    let waiter = std::thread::spawn(move || {
        let mut store = HostLocal::open(path, "net").unwrap();
        let _ = done.send(store.allocate(&sets(&["10.1.2.0/24"]), &owner("one"), &[]));
    });
    assert!(outcome.recv_timeout(Duration::from_millis(100)).is_err(), "it waits");
    fs::remove_dir_all(net.data.path().join("net")).unwrap();
    drop(lock);
    outcome.recv_timeout(Duration::from_secs(30)).unwrap().unwrap();
    waiter.join().unwrap();
    assert_eq!(net.names(), ["10.1.2.2"]);
}

#[test]
fn what_is_not_a_directory_is_named_in_the_error() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("net"), "").unwrap();
    let mut store = HostLocal::open(data.path(), "net").unwrap();
    let error = store.allocate(&sets(&["10.1.2.0/24"]), &owner("one"), &[]).unwrap_err();
    assert!(matches!(error, Error::Io { action: "open directory", .. }));
    assert_eq!(error.to_string(), format!("open directory {}", data.path().join("net").display()));
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("Not a directory"));
}

#[test]
fn links_to_nowhere_are_errors() {
    let data = tempfile::tempdir().unwrap();
    let mut store = HostLocal::open(data.path(), "net").unwrap();
    std::os::unix::fs::symlink("/nonexistent/net", data.path().join("net")).unwrap();
    let error = store.allocate(&sets(&["10.1.2.0/24"]), &owner("one"), &[]).unwrap_err();
    assert!(matches!(error, Error::Io { action: "create directory", .. }));
    let net = Fixture::new();
    fs::create_dir(net.path("")).unwrap();
    std::os::unix::fs::symlink("/nonexistent/lock", net.path("lock")).unwrap();
    let error = HostLocal::open(net.data.path(), "net").unwrap().holds(&owner("one")).unwrap_err();
    assert!(matches!(error, Error::Io { action: "lock directory", .. }));
}

#[test]
fn directories_are_made_with_their_parents() {
    let data = tempfile::tempdir().unwrap();
    let deep = data.path().join("a/b/c");
    let mut store = HostLocal::open(&deep, "net").unwrap();
    store.allocate(&sets(&["10.1.2.0/24"]), &owner("one"), &[]).unwrap();
    for path in ["a", "a/b", "a/b/c", "a/b/c/net"] {
        assert_eq!(mode(data.path().join(path)), 0o755, "{path}");
    }
}
