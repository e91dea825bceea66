//! Fresh namespaces for tests of this and other crates. They need root, and say so where it is
//! missing: a test that cannot run fails.
//!
//! Everything here panics on failure, as tests do.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "only compiled into tests, where a panic is the report"
)]

use std::process::Command;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::Netns;

/// Runs `f` on a thread of its own in fresh network and mount namespaces, with an empty `/run`.
/// What it starts inherits them. All of it is gone afterwards.
///
/// # Panics
/// Without root; and where `f` does.
pub fn in_new_host<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    let result = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS);
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).expect("make all mounts private");
            mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), None).expect("mount a tmpfs");
            f()
        });
        thread.join()
    });
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A fresh network namespace, as that of a container. It lives as long as the value.
///
/// # Panics
/// Without root.
#[must_use]
pub fn new_container() -> Netns {
    let thread = std::thread::spawn(|| {
        unshare(UnshareFlags::NEWNET);
        Netns::current().expect("open the new network namespace")
    });
    thread.join().expect("the thread that made a network namespace")
}

/// Runs a shell command in the calling thread's namespaces and gives its standard output.
///
/// # Panics
/// Where it fails, with all it printed.
pub fn sh(command: &str) -> String {
    let out = Command::new("sh").args(["-c", command]).output().expect("start sh");
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    assert!(out.status.success(), "{command}\n{}\n{stdout}{stderr}", out.status);
    stdout
}

/// Like [`sh`], in another network namespace.
///
/// # Panics
/// As [`sh`], and where the namespace cannot be entered.
pub fn sh_in(netns: &Netns, command: &str) -> String {
    netns.with(|| sh(command)).expect("enter the namespace")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn unshare(flags: UnshareFlags) {
    #[expect(unsafe_code, reason = "the only way to make a namespace")]
    // SAFETY: descriptors stay shared; only namespaces are left.
    let result = unsafe { unshare_unsafe(flags) };
    if let Err(e) = result {
        panic!("make a namespace: {e}: these tests must be run as root");
    }
}
