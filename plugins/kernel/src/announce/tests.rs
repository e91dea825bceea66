use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with};

use super::*;
use crate::testing::{in_new_host, new_container, sh, sh_in};

/// A wire between the container's `eth0` and the host's `h0`, on which the kernel says nothing of
/// itself, and a socket that hears all on the host's end.
fn wire(container: &Netns) -> OwnedFd {
    let quiet = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";
    sh(quiet);
    sh_in(container, quiet);
    let netns = format!("/proc/{}/fd/{}", std::process::id(), container.raw());
    sh(&format!("ip link add h0 type veth peer name eth0 netns {netns}; ip link set h0 up"));
    sh_in(container, "ip link set eth0 address 02:42:ac:11:00:02 up");
    let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
    socket_with(AddressFamily::PACKET, kind, flags, Some(eth::ALL)).unwrap()
}

/// The next frame on the wire; none where nothing comes.
fn hear(socket: &OwnedFd, wait: Timespec) -> Option<Vec<u8>> {
    let mut fds = [PollFd::new(socket, PollFlags::IN)];
    if poll(&mut fds, Some(&wait)).unwrap() == 0 {
        return None;
    }
    let mut buffer = [0; 2048];
    let (length, _) = recv(socket, &mut buffer, RecvFlags::DONTWAIT).unwrap();
    Some(buffer[..length].to_vec())
}

const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

fn name(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// ARP request, sender 02:42:ac:11:00:02 172.17.0.2, target 172.17.0.2.
const ARP: &str = "ffffffffffff 0242ac110002 0806
    0001 0800 06 04 0001 0242ac110002 ac110002 000000000000 ac110002";
/// From fd00::2 to ff02::1; the kernel accepts this checksum, see below.
const ADVERTISEMENT: &str = "333300000001 0242ac110002 86dd
    60000000 0020 3a ff fd000000000000000000000000000002 ff020000000000000000000000000001
    88 00 ae44 20000000 fd000000000000000000000000000002 02 01 0242ac110002";

#[test]
fn neighbours_hear_each_address_of_both_families() {
    in_new_host(|| {
        let container = new_container();
        let wire = wire(&container);
        let addrs = ["172.17.0.2/16", "fd00::2/64"].map(|a| a.parse().unwrap());
        announce(&container, &name("eth0"), &addrs).unwrap();
        assert_eq!(hear(&wire, PATIENCE).unwrap(), bytes(ARP));
        assert_eq!(hear(&wire, PATIENCE).unwrap(), bytes(ADVERTISEMENT));
        assert_eq!(hear(&wire, AT_ONCE), None);
    });
}

#[test]
fn neighbours_that_know_another_address_learn_the_new_one() {
    in_new_host(|| {
        let container = new_container();
        let _wire = wire(&container);
        sh("sysctl -qw net.ipv6.conf.h0.disable_ipv6=0
            ip address add 172.17.0.1/16 dev h0
            ip address add fd00::1/64 dev h0 nodad
            ip neigh add 172.17.0.2 lladdr 02:00:00:00:00:99 dev h0 nud stale
            ip neigh add fd00::2 lladdr 02:00:00:00:00:99 dev h0 nud stale");
        let addrs = ["172.17.0.2/16", "fd00::2/64"].map(|a| a.parse().unwrap());
        announce(&container, &name("eth0"), &addrs).unwrap();
        let known = sh("ip neigh show dev h0");
        assert_eq!(known.matches("02:42:ac:11:00:02").count(), 2, "{known}");
    });
}

#[test]
fn a_link_that_is_down_or_not_there_is_an_error_that_names_it() {
    in_new_host(|| {
        let container = new_container();
        let wire = wire(&container);
        let addrs = ["172.17.0.2/16".parse().unwrap()];
        sh_in(&container, "ip link set eth0 down");
        let error = announce(&container, &name("eth0"), &addrs).unwrap_err();
        assert_eq!(error.action(), "announce 172.17.0.2 on eth0");
        let error = announce(&container, &name("eth7"), &addrs).unwrap_err();
        assert_eq!(error.action(), "announce the addresses of eth7");
        assert_eq!(error.kind(), Kind::NoDevice);
        assert_eq!(hear(&wire, AT_ONCE), None);
    });
}

#[test]
fn a_link_without_ethernet_addresses_has_nobody_to_tell() {
    let container = new_container();
    sh_in(&container, "ip link set lo up");
    announce(&container, &LinkName::lo(), &["172.17.0.2/16".parse().unwrap()]).unwrap();
}

#[test]
fn without_addresses_nothing_is_opened() {
    let container = new_container();
    announce(&container, &name("eth7"), &[]).unwrap();
}
