//! A netd that answers before it has read the request, and hangs up.

use std::io::Write as _;
use std::os::unix::net::UnixListener;

use cni::Code;

use super::super::*;
use super::framed;

/// Longer than a socket takes before anything is read.
fn long() -> Gc {
    let kept =
        |number: usize| Kept { container: format!("{number:064}"), ifname: "eth0".to_owned() };
    Gc { network: "blue".to_owned(), keep: (0..6000).map(kept).collect() }
}

#[test]
fn who_is_refused_before_all_is_asked_is_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attach.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let netd = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&framed(r#"{"error":"not for you","code":7}"#)).unwrap();
    });
    let refused = gc(&path, long()).unwrap_err();
    netd.join().unwrap();
    assert!(
        matches!(&refused, Error::Refused { text, code: Code::InvalidConfig } if text == "not for you"),
        "{refused:?}"
    );
}

#[test]
fn who_is_hung_up_on_without_a_word_is_told_that() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attach.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let netd = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let failed = gc(&path, long()).unwrap_err();
    netd.join().unwrap();
    assert!(matches!(failed, Error::Socket { action: "write to", .. }), "{failed:?}");
}
