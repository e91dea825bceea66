//! Leases that want the same entries.

use super::*;

/// A peer with the subnet, MAC and address of other peers, by the last number of each.
fn mixed(subnet: &str, mac: u8, at: u8, revision: i64) -> Peer {
    let of = peer(mac, "vxlan");
    let mut value = of.value;
    value.public_ip = [10, 0, 0, at].into();
    Peer { subnet: subnet.parse().unwrap(), value, revision, session: None }
}

fn fdb() -> String {
    sh("bridge fdb show dev flannel.1")
}

/// A host that was given another subnet: its old lease ends a day later, and nothing of the new one
/// may go with it.
#[test]
fn a_host_with_two_leases_stays_connected_when_one_of_them_ends() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        let old = mixed("10.5.7.0-24", 2, 2, 1);
        site.reset(&[old.clone(), peer(2, "vxlan")]);
        assert!(is_connected(2) && sh("ip route").contains("10.5.7.0/24"));
        assert_eq!(site.health().unconnected, 0, "both lead to one host");
        site.tell(ClusterEvent::Deleted(old.subnet));
        site.settled();
        assert!(is_connected(2) && !sh("ip route").contains("10.5.7.0/24"), "{}", fdb());
    });
}

#[test]
fn of_two_hosts_with_one_mac_the_later_has_it_and_the_other_gets_it_back() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        let first = peer(2, "vxlan");
        site.reset(std::slice::from_ref(&first));
        let later = mixed("10.5.9.0-24", 2, 9, 5);
        site.tell(ClusterEvent::Put(later.clone()));
        site.settled();
        assert!(fdb().contains(":01:02 dst 10.0.0.9") && !fdb().contains("10.0.0.2"), "{}", fdb());
        let health = site.health();
        let reason = health.reason.unwrap();
        assert_eq!((health.peers, health.unconnected), (2, 1));
        assert!(reason.contains("10.5.2.0-24: the later lease 10.5.9.0-24 has the VtepMAC"));
        // What somebody else takes away comes back as it was.
        sh("bridge fdb del 02:00:00:00:01:02 dev flannel.1");
        site.until("the later entry", || fdb().contains(":01:02 dst 10.0.0.9"));
        site.tell(ClusterEvent::Deleted(later.subnet));
        site.settled();
        assert!(is_connected(2) && site.health().unconnected == 0, "{}", fdb());
    });
}

#[test]
fn subnets_that_begin_with_one_address_share_its_neighbour() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        let half = mixed("10.5.2.0-25", 3, 3, 5);
        site.reset(&[peer(2, "vxlan"), half.clone()]);
        let neighs = || sh("ip neigh show dev flannel.1 nud permanent");
        assert!(neighs().contains("10.5.2.0 lladdr 02:00:00:00:01:03"), "{}", neighs());
        assert_eq!(plan::of(&site), Vec::<String>::new(), "a look at everything agrees");
        site.tell(ClusterEvent::Deleted(half.subnet));
        site.settled();
        assert!(is_connected(2), "{}", neighs());
        let left = neighs() + &fdb() + &sh("ip route");
        assert!(!left.contains(":01:03") && !left.contains("10.5.2.0/25"), "{left}");
    });
}

#[test]
fn a_peer_outside_the_network_is_connected_and_told() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        site.reset(&[mixed("10.6.9.0-24", 9, 9, 1)]);
        assert!(
            sh("ip route show proto 78").contains("10.6.9.0/24 via 10.6.9.0 dev flannel.1 onlink")
        );
        let health = site.health();
        assert_eq!((health.outside, health.unconnected), (1, 0));
        assert_eq!(health.outsider.map(|key| key.to_string()).as_deref(), Some("10.6.9.0-24"));
        site.tell(ClusterEvent::Deleted("10.6.9.0-24".parse().unwrap()));
        site.settled();
        assert_eq!(site.health().outside, 0);
    });
}
