use std::collections::BTreeSet;
use std::path::Path;

use netstate::LinkName;

use super::{Netns, NetnsError};
use crate::Kernel;
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
fn a_cookie_is_a_namespaces_own_also_when_the_next_one_gets_its_number() {
    in_new_host(|| {
        let here = Netns::current().unwrap();
        let Some(cookie) = here.cookie().unwrap() else { return };
        assert_eq!(Netns::current().unwrap().cookie().unwrap(), Some(cookie));
        let others = (0..50).map(|_| new_container().cookie().unwrap().unwrap());
        let all: BTreeSet<u64> = others.chain([cookie]).collect();
        assert_eq!(all.len(), 51, "{all:?}");
    });
}

#[test]
fn nobody_is_behind_a_pair_from_the_moment_on_at_which_the_far_ends_namespace_is_gone() {
    in_new_host(|| {
        let (mut kernel, near) = (Kernel::open(None), LinkName::new("near").unwrap());
        assert!(!kernel.has_living_peer(&near).unwrap());
        for _ in 0..5 {
            sh("ip netns add c; ip link add near type veth peer name far netns c");
            assert!(kernel.has_living_peer(&near).unwrap());
            sh("ip netns del c");
            assert!(!kernel.has_living_peer(&near).unwrap());
            sh("ip link del near 2>/dev/null || true");
        }
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
