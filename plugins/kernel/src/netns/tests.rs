use std::path::Path;

use super::{Netns, NetnsError};
use crate::testing::{in_new_host, new_container, sh};

#[test]
fn what_is_not_there_and_what_is_no_network_namespace_are_told_apart() {
    let open = |path: &str| Netns::open(Path::new(path));
    assert!(matches!(open("/run/none/such"), Err(NetnsError::NotThere(_))));
    assert!(matches!(open("/etc/passwd/ns"), Err(NetnsError::NotThere(_))));
    assert!(matches!(open("/etc/passwd"), Err(NetnsError::NotNamespace(_))));
    assert!(matches!(open("/proc/self/status"), Err(NetnsError::NotNamespace(_))));
    assert!(matches!(open("/proc/self/ns/mnt"), Err(NetnsError::NotNamespace(_))));
    let text = open("/run/none/such").unwrap_err().to_string();
    assert_eq!(text, "network namespace /run/none/such does not exist");
}

#[test]
fn a_fifo_in_place_of_a_namespace_does_not_block() {
    in_new_host(|| {
        sh("mkfifo /run/fifo");
        let result = Netns::open(Path::new("/run/fifo"));
        assert!(matches!(result, Err(NetnsError::NotNamespace(_))));
    });
}

#[test]
fn namespaces_are_compared_by_device_and_inode() {
    in_new_host(|| {
        let here = Netns::current().unwrap();
        assert!(here.is_same(&Netns::current().unwrap()).unwrap());
        assert!(!here.is_same(&new_container()).unwrap());
        let links = sh("readlink /proc/thread-self/ns/net");
        assert_eq!(links.trim(), format!("net:[{}]", here.id().unwrap().ino));
    });
}

#[test]
fn a_thread_comes_back_even_from_a_panic() {
    in_new_host(|| {
        let (home, container) = (Netns::current().unwrap(), new_container());
        let inside = container.with(|| Netns::current().unwrap().id().unwrap()).unwrap();
        assert_eq!(inside, container.id().unwrap());
        let panicked = std::panic::catch_unwind(|| container.with(|| panic!("inside")));
        assert!(panicked.is_err());
        assert!(Netns::current().unwrap().is_same(&home).unwrap());
    });
}
