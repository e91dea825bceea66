//! Loops of two networks on one host.

use super::*;

/// A network 10.`n`.0.0/16 in which this host has 10.`n`.1.0/24, by plain routes.
fn network(n: u8) -> Goal {
    let mut goal = goal(HOST_GW);
    let subnet: SubnetKey = format!("10.{n}.1.0-24").parse().unwrap();
    let underlay = goal.overlay.underlay().clone();
    let backend = goal.overlay.backend().clone();
    goal.overlay = backend.overlay(underlay, subnet, &Macs::new(), true).unwrap();
    goal.traffic = Traffic {
        name: format!("net{n}"),
        networks: vec![format!("10.{n}.0.0/16").parse().unwrap()],
        subnets: subnet.networks().collect(),
        ..goal.traffic
    };
    goal
}

fn host(subnet: &str) -> Peer {
    let subnet: SubnetKey = subnet.parse().unwrap();
    Peer { subnet, ..peer(2, "host-gw") }
}

fn routes() -> String {
    sh("ip route show proto 78")
}

#[test]
fn what_is_another_networks_stays_and_of_leftovers_goes_what_is_ones_own() {
    in_new_host(|| {
        sh("ip link set lo up; ip link add up0 type bridge; ip link set up0 up
            ip addr add 10.0.0.1/24 dev up0
            for net in 10.6.3 10.7.3 10.9.3 10.5.9; do
                ip route add $net.0/24 via 10.0.0.3 dev up0 proto 78
            done");
        let all = Part::default();
        let before = ["10.9.0.0/16".parse().unwrap()].into();
        let six = network(6);
        let six = all.beside("net6", Share { traffic: six.traffic.clone(), before });
        // Not started yet, as it waits for the store, say.
        let seven = Share { traffic: network(7).traffic, ..Share::default() };
        let seven = all.beside("net7", seven);

        let first = Site::of(network(6), six);
        first.reset(&[host("10.6.2.0-24"), host("10.7.2.0-24")]);
        first.until("the first network is made", || first.health().synced);
        let now = routes();
        assert!(now.contains("10.6.2.0/24 via 10.0.0.2") && !now.contains("10.6.3.0"), "{now}");
        assert!(!now.contains("10.9.3.0"), "a network it had before: {now}");
        assert!(now.contains("10.7.3.0") && now.contains("10.5.9.0"), "not its own: {now}");
        let health = first.health();
        assert_eq!((health.peers, health.unconnected), (2, 1));
        assert!(health.reason.unwrap().contains("is in network net7"));
        let rules = sh("nft list table inet netd_cluster");
        assert!(rules.contains("cluster4-net6") && rules.contains("cluster4-net7"), "{rules}");

        let second = Site::of(network(7), seven);
        second.reset(&[host("10.7.2.0-24")]);
        second.until("the second network is made", || second.health().synced);
        let now = routes();
        assert!(now.contains("10.6.2.0/24") && now.contains("10.7.2.0/24"), "{now}");
        assert!(!now.contains("10.7.3.0"), "{now}");
        assert_eq!(sh("nft list table inet netd_cluster"), rules, "nothing was made anew");
        sh("nft flush ruleset; ip route flush proto 78");
        second.until("all is back", || {
            let now = routes();
            now.contains("10.6.2.0/24")
                && now.contains("10.7.2.0/24")
                && sh("nft list ruleset").contains("here4-net7")
        });
    });
}
