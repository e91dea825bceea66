use super::*;
use crate::SubnetEnv;

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;

const ENV: &str = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.72.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

fn held() -> Subnet {
    let env = Some(SubnetEnv::parse(ENV).unwrap());
    Subnet { lease: Lease::Held, ready: true, env, reason: String::new() }
}

/// A netd that answers one question with these bytes, and what it was asked.
fn answering(dir: &Path, answer: Vec<u8>) -> std::thread::JoinHandle<Vec<u8>> {
    let listener = UnixListener::bind(dir.join("attach.sock")).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = vec![0; Request::Subnet.frame().len()];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(&answer).unwrap();
        asked
    })
}

fn framed(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

#[test]
fn a_client_is_told_the_subnet() {
    let dir = tempfile::tempdir().unwrap();
    let netd = answering(dir.path(), Reply::Subnet(held()).frame());
    assert_eq!(subnet(&dir.path().join("attach.sock")).unwrap(), held());
    let asked = netd.join().unwrap();
    assert_eq!(Request::parse(&asked[4..]), Ok(Request::Subnet));
}

#[test]
fn every_subnet_is_read_as_it_was_written() {
    let none = Subnet { reason: "etcd does not answer".to_owned(), ..Subnet::default() };
    let lost = Subnet { lease: Lease::Lost, ready: false, ..held() };
    for subnet in [none, held(), lost] {
        let reply = Reply::Subnet(subnet);
        assert_eq!(Reply::parse(&reply.frame()[4..]).unwrap(), reply);
    }
}

#[test]
fn a_netd_that_does_not_run_is_told_from_one_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attach.sock");
    assert!(matches!(subnet(&path), Err(Error::Absent { .. })));
    drop(UnixListener::bind(&path).unwrap());
    assert!(matches!(subnet(&path), Err(Error::Absent { .. })), "a socket that was left behind");
}

#[test]
fn broken_answers_are_errors() {
    for (answer, want) in [
        (vec![], "read from"),
        (u32::MAX.to_be_bytes().to_vec(), "a reply of 4294967295 bytes"),
        (framed("{"), "a reply that cannot be read: EOF"),
        (framed(r#"{"version":9}"#), "neither a subnet nor an error, in version 9"),
        (framed(r#"{"error":"no"}"#), "netd refuses: no"),
        (framed(r#"{"subnet":{"lease":"mine"}}"#), "subnet.lease"),
        (framed(r#"{"subnet":{"env":"FLANNEL_MTU=x"}}"#), "subnet.env line 1: FLANNEL_MTU=x"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let netd = answering(dir.path(), answer);
        let error = subnet(&dir.path().join("attach.sock")).unwrap_err();
        assert!(cni::ErrorChain(&error).to_string().contains(want), "{error} has no {want:?}");
        netd.join().unwrap();
    }
}

#[test]
fn requests_that_are_not_known_are_refused_with_the_reason() {
    for (text, want) in [
        (r#"{"version":1,"request":"lunch"}"#, r#"request: expected "subnet", got "lunch""#),
        (r#"{"version":2,"request":"subnet"}"#, "version 1, not 2: upgrade netd"),
        (r#"{"version":"1"}"#, "version"),
        ("", "EOF"),
    ] {
        let error = Request::parse(text.as_bytes()).unwrap_err();
        assert!(error.contains(want), "{text}: {error}");
    }
    assert_eq!(Request::parse(br#"{"version":1,"request":"subnet","new":1}"#), Ok(Request::Subnet));
}
