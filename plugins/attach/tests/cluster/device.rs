//! The device and its peers over time: taken over, moved, lost, changed.

use drivers::vxlan::{self, Peer};
use kernel::Kernel;
use kernel::testing::sh;
use netstate::{Datapath, Desired, Mac, Plan};

use crate::hosts::{applied, difference, merge, on_wires, peer, source, wanted, wire_here};

#[test]
fn flanneld_s_device_is_taken_over_with_its_mac_and_its_source_put_right() {
    on_wires(|hosts| {
        // As flanneld leaves it behind NAT, with a peer that is there and one that is gone.
        sh("set -e
            ip link add flannel.1 mtu 1450 address 0a:00:00:00:00:01 type vxlan id 1 \
               local 203.0.113.7 dev u0 dstport 8472 nolearning
            ip addr add 10.5.1.0/32 dev flannel.1; ip link set flannel.1 up
            for n in 2 77; do
                ip neigh add 10.5.$n.0 lladdr 0a:00:00:00:00:02 dev flannel.1 nud permanent
                ip route add 10.5.$n.0/24 via 10.5.$n.0 dev flannel.1 onlink
            done
            bridge fdb append 0a:00:00:00:00:02 dev flannel.1 dst 192.0.2.2 self permanent
            bridge fdb append 0a:00:00:00:00:77 dev flannel.1 dst 192.0.2.77 self permanent");
        let index = sh("ip -o link show flannel.1 | cut -d: -f1");
        let mut own = hosts.a.clone();
        let [v4, _] = &mut own;
        v4.mac = None;
        let plan = wire_here(&wanted(&own, &hosts.b), &own);
        assert_eq!(sh("ip -o link show flannel.1 | cut -d: -f1"), index);
        let link = sh("ip -d link show flannel.1");
        assert!(link.contains("0a:00:00:00:00:01") && link.contains("local 192.0.2.1"), "{link}");
        let text = plan.to_string();
        assert!(text.contains("ip link set dev flannel.1 type vxlan local 192.0.2.1"), "{text}");
        assert!(text.contains("ip route del 10.5.77.0/24"), "{text}");
        assert!(text.contains("bridge fdb del 0a:00:00:00:00:77"), "{text}");
        let routes = sh("ip route show dev flannel.1");
        assert_eq!(routes.trim(), "10.5.2.0/24 via 10.5.2.0 proto 78 onlink");
    });
}

#[test]
fn a_device_on_another_port_is_made_anew_with_all_its_peers() {
    on_wires(|hosts| {
        sh("ip link add flannel.1 type vxlan id 1 local 192.0.2.1 dev u0 dstport 4789");
        let plan = wire_here(&wanted(&hosts.a, &hosts.b), &hosts.a).to_string();
        assert!(plan.contains("ip link del dev flannel.1"), "{plan}");
    });
}

#[test]
fn a_device_that_was_removed_comes_back_with_all_its_peers() {
    on_wires(|hosts| {
        hosts.wire();
        sh("ip link del flannel.1");
        wire_here(&wanted(&hosts.a, &hosts.b), &hosts.a);
        assert_eq!(source("ca", "cb", "10.5.2.2").unwrap(), "10.5.1.2");
    });
}

#[test]
fn a_peer_with_a_new_mac_and_address_leaves_no_entry_behind() {
    on_wires(|hosts| {
        hosts.wire();
        let ([own, _], [other, _]) = (&hosts.a, &hosts.b);
        let before = peer(other);
        let mac = Mac([0x0a, 0, 0, 0, 9, 9]);
        let after = Peer { mac, public_ip: [192, 0, 2, 99].into(), ..before.clone() };
        let plan = Plan::update(&one(own, &before), &one(own, &after));
        assert_eq!(
            plan.to_string(),
            "ip neigh replace 10.5.2.0 lladdr 0a:00:00:00:09:09 dev flannel.1 nud permanent\n\
             bridge fdb replace 0a:00:00:00:09:09 dev flannel.1 dst 192.0.2.99 self permanent\n\
             bridge fdb del 0a:00:00:00:00:02 dev flannel.1 dst 192.0.2.2 self\n"
        );
        let mut kernel = Kernel::open(None);
        applied(&kernel.apply(&plan));
        let fdb = sh("bridge fdb show dev flannel.1");
        assert_eq!(fdb.trim(), "0a:00:00:00:09:09 dst 192.0.2.99 self permanent");
        // Gone twice is gone.
        for _ in 0..2 {
            applied(&kernel.apply(&Plan::update(&one(own, &after), &Desired::default())));
        }
        assert_eq!(sh("bridge fdb show dev flannel.1; ip route show dev flannel.1"), "");
    });
}

#[test]
fn a_peer_that_turns_direct_keeps_its_route_all_the_time() {
    on_wires(|hosts| {
        hosts.wire();
        let ([own, _], [other, _]) = (&hosts.a, &hosts.b);
        let (far, near) = (peer(other), Peer { direct: true, ..peer(other) });
        let plan = Plan::update(&one(own, &far), &one(own, &near));
        let text = plan.to_string();
        assert!(!text.contains("route del"), "{text}");
        assert!(text.contains("ip route replace 10.5.2.0/24 via 192.0.2.2 dev u0"), "{text}");
        let mut kernel = Kernel::open(None);
        applied(&kernel.apply(&plan));
        assert_eq!(sh("bridge fdb show dev flannel.1; ip neigh show dev flannel.1"), "");
        applied(&kernel.apply(&Plan::update(&one(own, &near), &one(own, &far))));
        assert_eq!(source("ca", "cb", "10.5.2.2").unwrap(), "10.5.1.2");
    });
}

#[test]
fn direct_routes_of_dead_peers_are_found_and_removed_and_those_of_others_are_not() {
    on_wires(|hosts| {
        hosts.wire();
        sh(
            "ip route add 10.5.8.0/24 via 192.0.2.2 proto 78; ip route add 10.5.9.0/24 via 192.0.2.2",
        );
        let scope = vxlan::scope(&hosts.a);
        let plan =
            difference(&mut Kernel::open(None), &wanted(&hosts.a, &hosts.b), &scope).to_string();
        assert_eq!(plan, "ip route del 10.5.8.0/24 via 192.0.2.2 dev u0 proto 78\n");
    });
}

#[test]
fn a_route_of_the_hosts_own_network_is_in_the_way_and_stays() {
    on_wires(|hosts| {
        hosts.wire();
        let [own, _] = &hosts.a;
        let [other, _] = &hosts.b;
        // Somebody's bridge still bears what is another host's subnet by now.
        let stale = Peer { subnet: "198.51.100.0/24".parse().unwrap(), ..peer(other) };
        let report =
            Kernel::open(None).apply(&Plan::update(&Desired::default(), &one(own, &stale)));
        let (_, error) = report.failed.unwrap();
        let text = error.to_string();
        assert!(text.contains("there is already 198.51.100.0/24 dev w0"), "{text}");
        assert!(sh("ip route").contains("198.51.100.0/24 dev w0 proto kernel"));
    });
}

fn one(own: &vxlan::Device, peer: &Peer) -> Desired {
    let mut desired = Desired::default();
    merge(&mut desired, vxlan::peer(own, peer));
    desired
}
