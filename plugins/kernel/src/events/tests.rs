use std::time::{Duration, Instant};

use netstate::nft::{ChainId, Family, TableId};
use rustix::event::{EventfdFlags, eventfd};

use super::*;
use crate::netlink::Received;
use crate::testing::{in_new_host, sh};

const BOUND: Duration = Duration::from_secs(10);

fn own(thread: &'static str) -> Own {
    let table = TableId::new(Family::Inet, "ours");
    let filter = TableId::new(Family::Ip, "filter");
    let chains = vec![ChainId { table: filter, name: "FORWARD".to_owned() }];
    Own { route_protocol: 78, table, chains, thread }
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
        let (mut others, mut own) =
            (Events::open(own("nobody")).unwrap(), Events::open(own("nft")).unwrap());
        heard(&mut others, "nft add table inet ours", &Notice::Table);
        sh("nft add table inet theirs; ip link add x0 type bridge");
        let silent = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        for events in [&mut others, &mut own] {
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
