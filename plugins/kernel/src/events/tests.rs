use std::time::{Duration, Instant};

use netstate::Ns;
use netstate::nft::{ChainId, Family, TableId};
use rustix::event::{EventfdFlags, eventfd};

use super::*;
use crate::Kernel;
use crate::netlink::Received;
use crate::testing::{in_new_host, new_container, sh};

const BOUND: Duration = Duration::from_secs(10);

fn own(threads: &'static str) -> Own {
    let table = TableId::new(Family::Inet, "ours");
    let filter = TableId::new(Family::Ip, "filter");
    let chains = vec![ChainId { table: filter, name: "FORWARD".to_owned() }];
    Own { route_protocol: 78, table, chains, threads, ..Own::default() }
}

/// What is heard of a command, up to and with `last`.
fn heard(events: &mut Events, command: &str, last: &Notice) -> Vec<Notice> {
    let silent = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    sh(command);
    let (mut all, bound) = (Vec::new(), Instant::now() + BOUND);
    while !all.contains(last) {
        assert!(Instant::now() < bound, "{command}: waited in vain for {last:?}: {all:?}");
        assert!(!events.wait(silent.as_fd(), bound.saturating_duration_since(Instant::now())));
        all.extend(events.notices());
    }
    all
}

#[test]
fn what_others_do_to_links_addresses_routes_and_neighbours_is_told() {
    in_new_host(|| {
        let mut events = Events::open(own("nobody")).unwrap();
        let name = LinkName::new("x0").unwrap();
        let (ip, mac) = ("10.1.0.9".parse().unwrap(), Mac([2, 0, 0, 0, 0, 9]));
        let add = "ip link add x0 type vxlan id 1 dstport 8472; ip link set x0 up";
        heard(&mut events, add, &Notice::Link(name));
        let route = Notice::Route("10.2.0.0/16".parse().unwrap());
        let add = "ip addr add 10.1.0.1/24 dev x0; ip route add 10.3.0.0/16 dev x0 proto 78; ip \
                   route add 10.2.0.0/16 dev x0";
        let all = heard(&mut events, add, &route);
        assert!(!all.contains(&Notice::Route("10.3.0.0/16".parse().unwrap())), "{all:?}");
        let entry = "10.1.0.9 lladdr 02:00:00:00:00:09 dev x0 nud permanent";
        heard(&mut events, &format!("ip neigh add {entry}"), &Notice::Neighbour(ip, Some(mac)));
        heard(&mut events, "ip neigh del 10.1.0.9 dev x0", &Notice::Neighbour(ip, None));
        let entry = "02:00:00:00:00:09 dev x0 dst 10.1.0.9";
        let there = Notice::Forwarding(mac, Some(ip));
        heard(&mut events, &format!("bridge fdb add {entry} permanent"), &there);
        heard(&mut events, &format!("bridge fdb del {entry}"), &Notice::Forwarding(mac, None));
        heard(
            &mut events,
            "ip route del 10.3.0.0/16",
            &Notice::Route("10.3.0.0/16".parse().unwrap()),
        );
        let new = Notice::NewAddress("10.1.0.2".parse().unwrap());
        heard(&mut events, "ip addr add 10.1.0.2/24 dev x0", &new);
        heard(&mut events, "ip addr change 10.1.0.2/24 dev x0 preferred_lft 0", &new);
        let default = Notice::Route("0.0.0.0/0".parse().unwrap());
        heard(&mut events, "ip route add default dev x0", &default);
        heard(&mut events, "ip route del default", &default);
        heard(
            &mut events,
            "ip addr del 10.1.0.1/24 dev x0",
            &Notice::Address("10.1.0.1".parse().unwrap()),
        );
    });
}

#[test]
fn a_change_of_the_table_is_told_unless_it_is_ones_own_or_of_another_table() {
    in_new_host(|| {
        // Names begin so, and whoever names none of its threads has made nothing.
        let [mut own, mut begins] =
            ["nft", "nf"].map(|name| Events::open(self::own(name)).unwrap());
        let mut others = ["nobody", "nft-", ""].map(|name| Events::open(self::own(name)).unwrap());
        sh("nft add table inet ours");
        for events in &mut others {
            heard(events, "true", &Notice::Table);
        }
        sh("nft add table inet theirs; ip link add x0 type bridge");
        let silent = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        for events in others.iter_mut().chain([&mut own, &mut begins]) {
            assert!(!events.wait(silent.as_fd(), BOUND));
            let all = events.notices();
            assert!(!all.is_empty() && !all.contains(&Notice::Table), "{all:?}");
        }
    });
}

#[test]
fn another_policy_of_a_chain_of_others_is_told_and_a_rule_that_goes_from_it() {
    in_new_host(|| {
        let mut events = Events::open(own("nobody")).unwrap();
        heard(&mut events, "iptables -P FORWARD DROP", &Notice::Chain);
        let all = heard(
            &mut events,
            "iptables -A FORWARD -j ACCEPT; iptables -P INPUT ACCEPT; ip link add x0 type bridge",
            &Notice::Link(LinkName::new("x0").unwrap()),
        );
        assert!(!all.contains(&Notice::Chain), "{all:?}");
        heard(&mut events, "iptables -F FORWARD", &Notice::Chain);
    });
}

#[test]
fn of_many_owners_elements_those_that_go_are_told_by_comment_and_the_administrators_rules_are_not()
{
    in_new_host(|| {
        let own = Own { elements: true, free_chain: "user", ..own("nobody") };
        let mut events = Events::of_networks(own).unwrap();
        let table = "nft add table inet ours; nft add chain inet ours user
                     nft add set inet ours s '{ type ipv4_addr; }'";
        heard(&mut events, table, &Notice::Table);
        let last = Notice::Link(LinkName::new("x0").unwrap());
        let quiet = "nft add element inet ours s '{ 10.1.0.1 comment \"net/box/eth0\", 10.1.0.2 }'
                     nft add rule inet ours user accept; nft flush chain inet ours user
                     ip link add x0 type bridge";
        let all = heard(&mut events, quiet, &last);
        let is_of_rules = |notice: &Notice| matches!(notice, Notice::Table | Notice::Element(_));
        assert!(!all.iter().any(is_of_rules), "{all:?}");
        let gone = Notice::Element("net/box/eth0".to_owned());
        let all = heard(&mut events, "nft flush set inet ours s", &gone);
        assert!(all.contains(&Notice::Element(String::new())) && !all.contains(&Notice::Table));
        heard(&mut events, "nft delete set inet ours s", &Notice::Table);
    });
}

#[test]
fn a_host_that_does_not_forward_any_more_and_a_ports_settings_are_told() {
    in_new_host(|| {
        sh("ip link add br0 type bridge; ip link add x1 type veth peer name x2
            ip link set x1 master br0; echo 1 > /proc/sys/net/ipv4/ip_forward
            echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        let mut events = Events::of_networks(Own::default()).unwrap();
        let name = LinkName::new("x3").unwrap();
        let others = "echo 0 > /proc/sys/net/ipv4/conf/x1/forwarding; ip link add x3 type bridge";
        let all = heard(&mut events, others, &Notice::Link(name));
        assert!(!all.contains(&Notice::NotForwarding), "{all:?}");
        for key in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            let off = format!("echo 0 > /proc/sys/net/{key}");
            heard(&mut events, &off, &Notice::NotForwarding);
        }
        let port = Notice::Port(LinkName::new("x1").unwrap());
        heard(&mut events, "bridge link set dev x1 hairpin on", &port);
    });
}

#[test]
fn more_than_fits_is_told_as_a_loss_and_listening_goes_on() {
    in_new_host(|| {
        let mut events = Events::open(own("nobody")).unwrap();
        set_socket_recv_buffer_size_force(&events.route, 1).unwrap();
        heard(
            &mut events,
            "ip link add x0 type bridge; ip link add x1 type bridge",
            &Notice::Anywhere,
        );
        set_socket_recv_buffer_size_force(&events.route, QUEUE).unwrap();
        let name = LinkName::new("x2").unwrap();
        heard(&mut events, "ip link add x2 type bridge", &Notice::Link(name));
    });
}

#[test]
fn an_event_survives_any_input() {
    corpus::survive("netlink", |bytes| {
        for message in Messages(bytes) {
            let _ = route::notice(message, 78);
        }
        for kind in 16..30 {
            let _ = route::notice(Received { kind, flags: 0, sequence: 0, body: bytes }, 78);
        }
        let _ = Heard::default().take(bytes, &own("nobody"));
    });
}

#[test]
fn who_keeps_bridges_hears_of_the_routes_of_others_and_sleeps_through_those_of_the_cluster() {
    in_new_host(|| {
        sh("ip link add up0 type veth peer name far; ip link set up0 up; ip link set far up");
        let mut events = Events::of_networks(Own { route_protocol: 78, ..Own::default() }).unwrap();
        let net = |text: &str| Notice::Route(text.parse().unwrap());
        let command =
            "ip route add 10.5.1.0/24 dev up0 proto 78; ip -6 route add fd05::/64 dev up0 proto 78
             ip route del 10.5.1.0/24; ip route add 10.6.0.0/16 dev up0; ip route del 10.6.0.0/16";
        let heard = heard(&mut events, command, &net("10.6.0.0/16"));
        assert!(!heard.contains(&net("10.5.1.0/24")), "{heard:?}");
        assert!(!heard.contains(&net("fd05::/64")), "{heard:?}");
    });
}

#[test]
fn that_a_namespace_is_gone_is_told_to_one_that_knew_it_and_it_may_know_it_already() {
    in_new_host(|| {
        let mut events = Events::of_networks(Own::default()).unwrap();
        let container = new_container();
        let mut kernel = Kernel::open(Some(&container));
        for _ in 0..2 {
            kernel.acquaint(&Ns::Host, &Ns::Container).unwrap();
        }
        drop((kernel, container));
        heard(&mut events, "true", &Notice::NamespaceGone);
    });
}
