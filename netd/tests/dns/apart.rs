//! Networks with a namespace of their own.

use std::net::IpAddr;
use std::os::fd::{AsFd as _, AsRawFd as _};

use kernel::Netns;
use kernel::testing::{new_container, sh, sh_in};
use netd::dns::{Network, Server};

use super::site::{Container, endpoint, network, on_host, wait_until};

/// A network's namespace, with its bridge.
fn namespace() -> Netns {
    let netns = new_container();
    sh_in(&netns, "ip link set lo up");
    bridge(&netns);
    netns
}

fn bridge(netns: &Netns) {
    sh_in(
        netns,
        "ip link add br1 type bridge; ip link set br1 up; ip addr add 10.1.0.1/24 dev br1
         ip addr add fd01::1/64 dev br1 nodad
         for port in $(ip -o link | grep -o 'veth[^@:]*'); do ip link set $port master br1; done",
    );
}

/// A container on that bridge, with address 10.1.0.2.
fn container(within: &Netns) -> Container {
    let netns = new_container();
    let (pid, fd) = (std::process::id(), netns.as_fd().as_raw_fd());
    sh_in(
        within,
        &format!(
            "ip link add veth1 type veth peer name eth0 netns /proc/{pid}/fd/{fd}
             ip link set veth1 master br1 up"
        ),
    );
    sh_in(&netns, "ip link set lo up; ip link set eth0 up; ip addr add 10.1.0.2/24 dev eth0");
    Container { netns, gateway: IpAddr::from([10, 1, 0, 1]) }
}

/// A network whose bridge is in a namespace.
fn apart(name: &str) -> Network {
    Network { apart: true, ..network(name, 1) }
}

fn put(server: &Server, network: &str, netns: &Netns) {
    server.put_namespace(&format!("id-of-{network}"), netns);
    server.put_endpoint(endpoint(network, 1, &format!("in-{network}"), 2));
}

#[test]
fn networks_with_equal_addresses_in_namespaces_of_their_own_have_each_its_own_names() {
    on_host(|site| {
        let server = site.serve(&[apart("red"), apart("blue")]);
        let (red, blue) = (namespace(), namespace());
        let (in_red, in_blue) = (container(&red), container(&blue));
        put(&server, "red", &red);
        put(&server, "blue", &blue);
        // When the call returns they are answered.
        for (asks, own, other) in [(&in_red, "red", "blue"), (&in_blue, "blue", "red")] {
            assert_eq!(asks.ask(&format!("A in-{own}")), "10.1.0.2");
            assert_eq!(asks.ask_tcp(&format!("AAAA in-{own}.{own}")), "fd01::2");
            assert_eq!(asks.ask("PTR 2.0.1.10.in-addr.arpa"), format!("in-{own}.{own}."));
            assert_eq!(asks.ask(&format!("A in-{other}")), "Server Failure", "of nobody here");
        }
        assert_eq!(sh("ss -H -lntu sport = :53"), "", "nobody listens on the host");
        assert_eq!(*server.trouble().borrow(), None);
    });
}

#[test]
fn a_bridge_that_is_made_anew_in_a_namespace_is_listened_on_when_it_is_told_of_again() {
    on_host(|site| {
        let server = site.serve(&[apart("red")]);
        let red = namespace();
        let asks = container(&red);
        put(&server, "red", &red);
        assert!(asks.is_served());
        sh_in(&red, "ip link del br1");
        bridge(&red);
        server.put_namespace("id-of-red", &red);
        assert_eq!(asks.ask("A in-red"), "10.1.0.2");
        // Another namespace in the place of this one.
        let next = namespace();
        let also = container(&next);
        server.put_namespace("id-of-red", &next);
        assert_eq!(also.ask("A in-red"), "10.1.0.2");
        assert!(!asks.is_served());
    });
}

#[test]
fn a_namespace_goes_when_it_is_to_also_with_connections_that_are_open() {
    on_host(|site| {
        site.resolvers(&["192.0.2.9"]);
        let server = site.serve(&[apart("red")]);
        let red = namespace();
        let asks = container(&red);
        put(&server, "red", &red);
        let _open = asks.connect();
        server.remove_namespace("id-of-red");
        drop(red);
        wait_until("its end of the pair is gone, and with it the container's", || {
            !sh_in(&asks.netns, "ip -o link").contains("eth0")
        });
    });
}
