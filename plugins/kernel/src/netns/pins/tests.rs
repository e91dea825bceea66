use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::thread::UnshareFlags;

use super::{Pins, unshare};
use crate::NetnsId;
use crate::testing::{in_new_host, sh, sh_in};

fn here() -> OwnedFd {
    File::open("/proc/thread-self/ns/mnt").unwrap().into()
}

#[test]
fn a_namespace_lives_by_its_pin_and_is_found_again() {
    in_new_host(|| {
        let pins = Pins::within(PathBuf::from("/run/pins"), None);
        assert_eq!(pins.names().unwrap(), Vec::<String>::new());
        assert!(pins.open("one").unwrap().is_none());
        let made = pins.make("one").unwrap();
        sh_in(&made, "ip link add br0 type bridge");
        let id = made.id().unwrap();
        drop(made);
        assert_eq!(NetnsId::at(&pins.path("one")), Some(id));
        let found = pins.open("one").unwrap().unwrap();
        assert_eq!(found.id().unwrap(), id);
        sh_in(&found, "ip link show br0");
        assert_eq!(pins.names().unwrap(), ["one"]);
        pins.remove("one").unwrap();
        pins.remove("one").unwrap();
        assert!(pins.open("one").unwrap().is_none());
        assert_eq!(pins.names().unwrap(), Vec::<String>::new());
        pins.pin("one", &found).unwrap();
        pins.pin("one", &found).unwrap();
        assert_eq!(pins.open("one").unwrap().unwrap().id().unwrap(), id);
        pins.remove("one").unwrap();
        assert_eq!(sh("grep -c /run/pins /proc/self/mounts || true").trim(), "0");
    });
}

#[test]
fn who_has_mounts_of_its_own_pins_where_others_see_it() {
    in_new_host(|| {
        let outside = here();
        let in_private = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    unshare(UnshareFlags::NEWNS | UnshareFlags::FS).unwrap();
                    sh("mount --make-rprivate /");
                    let pins = Pins::within(PathBuf::from("/run/pins"), Some(outside));
                    let made = pins.make("one").unwrap();
                    let id = made.id().unwrap();
                    assert_eq!(pins.open("one").unwrap().unwrap().id().unwrap(), id);
                    assert_ne!(
                        NetnsId::at(&pins.path("one")),
                        Some(id),
                        "it is not seen from here"
                    );
                    id
                })
                .join()
                .unwrap()
        });
        assert_eq!(NetnsId::at(&PathBuf::from("/run/pins/one")), Some(in_private));
    });
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    in_new_host(|| {
        sh("touch /run/file");
        let pins = Pins::within(PathBuf::from("/run/file/pins"), None);
        let refused = pins.make("one").unwrap_err();
        assert_eq!(refused.to_string(), "pin network namespace /run/file/pins/one");
    });
}
