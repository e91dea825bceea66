//! Which bus is asked, and what happens where there is none.

use std::ffi::OsStr;
use std::os::unix::net::UnixListener;

use super::super::address::{Address, parse};
use super::super::{DEFAULT_BUS, Error, Firewalld};
use super::fake_bus::{FakeBus, flag};
use super::{HASTY, PATIENT, chain, connect};

fn path(path: &str) -> Address {
    Address::Path(path.into())
}

#[test]
fn lists_escapes_and_foreign_keys_are_read() {
    let cases: [(&str, Vec<Address>); 6] = [
        ("unix:path=/a", vec![path("/a")]),
        ("unix:guid=00,path=/a%20b%2cc%3B;", vec![path("/a b,c;")]),
        ("unix:abstract=/x%00y", vec![Address::Abstract(b"/x\0y".to_vec())]),
        ("tcp:host=localhost,port=4;unix:path=/a;;unix:path=/b", vec![path("/a"), path("/b")]),
        ("unix:runtime=yes;unix:path=/a", vec![path("/a")]),
        ("unix:path=/a,guid=", vec![path("/a")]),
    ];
    for (list, addresses) in cases {
        assert_eq!(parse(list.as_bytes()), Ok(addresses), "{list}");
    }
    let default = ["/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket"].map(path);
    assert_eq!(parse(DEFAULT_BUS), Ok(default.to_vec()));
}

#[test]
fn lists_that_name_no_bus_are_refused_with_the_list() {
    let cases = [
        ("/run/dbus/socket", "no ':'"),
        ("unix:/run/dbus/socket", "no '='"),
        ("unix:path=/a%2", "escape"),
        ("unix:path=/a%zz", "escape"),
        ("unix:path=/a,abstract=b", "more than one"),
        ("tcp:host=localhost,port=4", "none of it"),
        ("unix:tmpdir=/tmp", "none of it"),
        (";;", "none of it"),
    ];
    for (list, why) in cases {
        let error = Firewalld::connect_to(Some(OsStr::new(list)), HASTY).expect_err(list);
        let error = chain(&error);
        assert!(error.contains(why) && error.contains(list), "{error}");
    }
}

#[test]
fn without_a_listener_there_is_no_firewalld() {
    let dir = tempfile::tempdir().expect("a directory");
    let dead = dir.path().join("dead");
    drop(UnixListener::bind(&dead).expect("bind"));
    let dir = dir.path().display();
    let lists = [
        format!("unix:path={dir}/none"),
        format!("unix:path={dir}/dead"),
        format!("unix:path={dir}/dead/below"),
        format!("unix:abstract={dir}/none"),
        format!("unix:path={dir}/none;unix:path={dir}/dead"),
    ];
    for list in lists {
        let found = Firewalld::connect_to(Some(OsStr::new(&list)), HASTY);
        assert!(found.expect(&list).is_none(), "{list}");
    }
}

#[test]
fn a_path_over_the_kernels_limit_is_an_error_with_the_path() {
    let long = format!("/{}", "x".repeat(120));
    let found = Firewalld::connect_to(Some(OsStr::new(&format!("unix:path={long}"))), HASTY);
    // The path does not exist, which is found first; an abstract name has no such look.
    assert!(found.expect("no bus").is_none());
    let list = format!("unix:abstract={long}");
    let error = Firewalld::connect_to(Some(OsStr::new(&list)), HASTY).expect_err("too long");
    assert!(chain(&error).contains(&list), "{}", chain(&error));
}

#[test]
fn the_first_bus_that_answers_is_taken_whatever_those_before_it_did() {
    let broken = FakeBus::new(drop);
    let good = FakeBus::new_abstract(|mut line| {
        line.log_in();
        assert!(line.answer(&flag(true)).has("org.fedoraproject.FirewallD1"));
    });
    let list = format!("unix:path=/nonexistent;{};{}", broken.address(), good.address());
    let found = Firewalld::connect_to(Some(OsStr::new(&list)), PATIENT);
    assert!(found.expect("the last").is_some());
}

#[test]
fn a_bus_without_firewalld_is_none() {
    let bus = FakeBus::new(|mut line| {
        line.log_in();
        line.answer(&flag(false));
    });
    assert!(connect(&bus, PATIENT).expect("a bus").is_none());
}

#[test]
fn a_listener_with_a_full_queue_is_waited_for_with_a_bound() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("bus");
    let listener = UnixListener::bind(&path).expect("bind");
    rustix::net::listen(&listener, 0).expect("the shortest queue");
    let _queued = std::os::unix::net::UnixStream::connect(&path).expect("the one place");
    let list = format!("unix:path={}", path.display());
    let error = Firewalld::connect_to(Some(OsStr::new(&list)), HASTY).expect_err("full");
    assert!(matches!(error, Error::Login { .. }), "{error:?}");
    assert!(chain(&error).ends_with("no answer within 100ms"), "{}", chain(&error));
}

#[test]
fn a_list_of_buses_survives_any_input() {
    corpus::survive("bus-address", |list| {
        for address in parse(list).into_iter().flatten() {
            let _ = (address.socket(), address.to_string());
        }
    });
}
