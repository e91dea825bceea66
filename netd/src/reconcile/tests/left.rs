//! What leads to nobody, while the kernel refuses what is to lead to somebody.

use super::*;

/// Neighbour and forwarding entry of peer `n` as its tunnel has them, which nothing wants.
fn entries(n: u8) -> String {
    format!(
        "ip neigh replace 10.5.{n}.0 lladdr 02:00:00:00:01:{n:02x} dev flannel.1 nud permanent
         bridge fdb replace 02:00:00:00:01:{n:02x} dev flannel.1 dst 10.0.0.{n}"
    )
}

fn left() -> String {
    sh("ip neigh show dev flannel.1; bridge fdb show dev flannel.1")
}

#[test]
fn what_is_left_of_hosts_that_are_gone_goes_though_a_peer_is_refused() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        site.reset(&[peer(2, "vxlan")]);
        drop(site);
        // The next hop to a peer is an address of this host, which no route may lead by.
        sh(&format!("ip addr add 10.5.3.0/32 dev up0\n{}", entries(7)));
        assert!(left().contains("10.5.7.0") && left().contains("10.0.0.7"), "{}", left());
        let site = Site::resume(VXLAN);
        site.reset(&[peer(2, "vxlan"), peer(3, "vxlan")]);
        assert_eq!(site.health().reasons, [("kernel-refused", 1)].into());
        assert!(is_connected(2));
        assert!(!left().contains("10.5.7.0") && !left().contains("10.0.0.7"), "{}", left());
        sh("ip addr del 10.5.3.0/32 dev up0");
        site.until("the other one", || is_connected(3));
    });
}

#[test]
fn the_old_way_to_a_peer_stays_as_long_as_the_new_one_is_refused_and_no_longer() {
    in_new_host(|| {
        let direct = r#"{"Type":"vxlan","DirectRouting":true}"#;
        let site = Site::start(direct);
        sh("ip route add default via 10.0.0.254");
        let mut behind = peer(2, "vxlan");
        behind.value.public_ip = "10.9.0.2".parse().unwrap();
        site.reset(std::slice::from_ref(&behind));
        let old = || sh("ip route show 10.5.2.0/24").contains("via 10.5.2.0 dev flannel.1");
        assert!(old(), "{}", sh("ip route"));
        // On a link, but not on that between hosts.
        sh("ip link add other0 type bridge; ip link set other0 up
            ip addr add 10.8.0.1/24 dev other0");
        let near = || Peer { revision: 2, ..peer(2, "vxlan") };
        let mut aside = near();
        aside.value.public_ip = "10.8.0.2".parse().unwrap();
        site.tell(ClusterEvent::Put(aside));
        let rounds = || site.reconciler.counts().borrow().rounds;
        let first = rounds();
        site.until("two rounds", || rounds() >= first + 2);
        assert_eq!(site.health().reasons, [("kernel-refused", 1)].into());
        assert!(old() && left().contains("10.5.2.0 lladdr") && left().contains("10.9.0.2"));
        site.tell(ClusterEvent::Put(near()));
        site.until("the new way alone", || {
            let gone = !left().contains("10.5.2.0") && !left().contains("10.9.0.2");
            gone && sh("ip route show 10.5.2.0/24").contains("via 10.0.0.2 dev up0")
        });
    });
}
