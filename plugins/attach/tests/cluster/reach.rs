//! Containers of two hosts.

use std::net::UdpSocket;

use kernel::testing::sh;
use netstate::Plan;
use rustix::io::Errno;
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};

use crate::hosts::{PATIENCE, inside, on_wires, source};

#[test]
fn containers_of_two_hosts_reach_each_other_over_ipv4_and_ipv6() {
    on_wires(|hosts| {
        hosts.wire();
        for (here, there) in [("10.5.1.2", "10.5.2.2"), ("fd05:0:0:1::2", "fd05:0:0:2::2")] {
            assert_eq!(source("ca", "cb", there).unwrap(), here);
            assert_eq!(source("cb", "ca", here).unwrap(), there);
        }
    });
}

#[test]
fn the_largest_packet_passes_and_the_next_larger_does_not() {
    on_wires(|hosts| {
        hosts.wire();
        assert_eq!(hosts.a.each_ref().map(|device| device.mtu), [1450, 1430]);
        // 28 bytes of IPv4 and UDP headers, 48 of IPv6 and UDP.
        for (ip, most) in [("10.5.2.2", 1450 - 28), ("fd05:0:0:2::2", 1430 - 48)] {
            let target = inside("cb", || UdpSocket::bind((ip, 0)).unwrap());
            target.set_read_timeout(Some(PATIENCE)).unwrap();
            let to = target.local_addr().unwrap();
            let here = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let from = inside("ca", || UdpSocket::bind(here).unwrap());
            do_not_fragment(&from, to.is_ipv4());
            from.connect(to).unwrap();
            from.send(&vec![1; most]).unwrap();
            let (received, _) = target.recv_from(&mut [0; 2000]).unwrap();
            assert_eq!(received, most);
            // The first host answers that it is too big; the socket learns it with its next call.
            from.set_read_timeout(Some(PATIENCE)).unwrap();
            from.send(&vec![1; most + 1]).unwrap();
            let refused = from.recv(&mut [0; 1]).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(Errno::MSGSIZE.raw_os_error()), "{refused}");
        }
    });
}

#[test]
fn what_is_wired_is_written_as_commands_that_do_the_same() {
    on_wires(|hosts| {
        let desired = crate::hosts::wanted(&hosts.a, &hosts.b);
        let commands = Plan::ensure(&desired).to_string();
        sh(&format!("set -e\n{commands}"));
        let nothing = crate::hosts::wire_here(&desired, &hosts.a);
        assert!(nothing.is_empty(), "{nothing}");
    });
}

/// Packets of the socket are sent whole or not at all (`IP_MTU_DISCOVER`, ip(7)).
fn do_not_fragment(socket: &UdpSocket, is_v4: bool) {
    if is_v4 {
        sockopt::set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO).unwrap();
    } else {
        sockopt::set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO).unwrap();
    }
}
