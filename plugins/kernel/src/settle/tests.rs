use super::*;
use crate::testing::{in_new_host, sh};

const BOUND: Duration = Duration::from_secs(10);

fn pair(options: &str) -> LinkName {
    sh("ip link add near type veth peer name far");
    for end in ["near", "far"] {
        sh(&format!("sysctl -qw net.ipv6.conf.{end}.accept_dad=1"));
    }
    sh(&format!("ip addr add fd00::1/64 dev near {options}"));
    sh("ip link set far up; ip link set near up");
    LinkName::new("near").unwrap()
}

#[test]
fn addresses_that_nobody_has_may_be_used_after_the_wait() {
    in_new_host(|| {
        let near = pair("");
        assert!(sh("ip -6 addr show dev near").contains("tentative"));
        Kernel::open(None).settle(&Ns::Host, &near, BOUND).unwrap();
        assert!(!sh("ip -6 addr show dev near").contains("tentative"));
    });
}

#[test]
fn an_address_that_another_host_has_is_an_error_that_names_it() {
    in_new_host(|| {
        sh("ip link add near type veth peer name far; sysctl -qw net.ipv6.conf.near.accept_dad=1");
        sh("ip addr add fd00::1/64 dev far nodad; ip link set far up");
        sh("ip addr add fd00::1/64 dev near; ip link set near up");
        let near = LinkName::new("near").unwrap();
        let error = Kernel::open(None).settle(&Ns::Host, &near, BOUND).unwrap_err();
        assert_eq!(error.kind(), Kind::Exists);
        assert!(error.to_string().contains("fd00::1"), "{error}");
    });
}

#[test]
fn the_wait_is_bounded() {
    in_new_host(|| {
        let near = pair("");
        let error = Kernel::open(None).settle(&Ns::Host, &near, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), Kind::Busy);
        assert!(error.to_string().contains("tentative"), "{error}");
    });
}
