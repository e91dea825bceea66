use drivers::bridge::Standing;
use kernel::testing::{in_new_host, sh};
use netstate::{LinkKind, Mac};

use super::*;

fn device(network: &str, bridge: &'static str, subnet: &str) -> Device {
    let standing = Standing {
        name: LinkName::fixed(bridge),
        kind: LinkKind::Bridge { vlan_filtering: None },
        alias: String::new(),
        mac: Some(Mac([2, 0, 0, 0, 0, 7])),
        mtu: None,
        gateways: Vec::new(),
        apart: Vec::new(),
    };
    let (network, subnets) = (network.to_owned(), vec![subnet.parse().unwrap()]);
    Device {
        id: Id::random(),
        network,
        subnets,
        standings: vec![standing],
        adopted: false,
        of_cluster: false,
    }
}

#[test]
fn the_widest_route_by_another_link_and_a_cluster_are_told_until_they_are_gone() {
    in_new_host(|| {
        sh("ip link set lo up; ip link add br-a type bridge; ip addr add 172.17.1.1/24 dev br-a
            ip link set br-a up; ip link add vpn type bridge; ip addr add 192.0.2.1/24 dev vpn; ip link set vpn up
            ip route add 0.0.0.0/1 dev vpn");
        let (tell, told) = watch::channel(ClashTexts::new());
        let (mut clashes, mut kernel) = (Clashes::new(tell), Kernel::open(None));
        let (a, b) = (device("a", "br-a", "172.17.1.0/24"), device("b", "br-b", "172.17.2.0/24"));
        [&a, &b].into_iter().for_each(|device| clashes.add(device));
        let mut look = |clashes: &mut Clashes| {
            let due = clashes.due.unwrap();
            clashes.act(&mut kernel, due);
            let told = told.borrow();
            told.values().flatten().cloned().collect::<Vec<_>>()
        };
        assert_eq!(look(&mut clashes), [""; 0], "its own routes, and a way out");

        sh("ip route add 172.17.1.128/25 dev vpn; ip route add 172.17.0.0/16 dev vpn table 7
            ip route add unreachable 172.17.2.7/32");
        for net in ["192.168.1.0/24", "0.0.0.0/1", "172.17.0.128/25", "172.17.3.0/24"] {
            clashes.heard(net.parse().unwrap());
            assert_eq!(clashes.due, None, "{net} overlaps nothing");
        }
        clashes.heard("172.17.0.0/16".parse().unwrap());
        let mut both = look(&mut clashes);
        both.sort();
        let wide = "overlaps 172.17.0.0/16, which this host has a route to by vpn";
        assert_eq!(
            both,
            [
                format!("subnet 172.17.1.0/24 of network a {wide}"),
                format!("subnet 172.17.2.0/24 of network b {wide}"),
            ]
        );

        sh("ip route del 172.17.0.0/16 table 7; ip route del 172.17.1.128/25");
        clashes.heard("172.17.1.128/25".parse().unwrap());
        let net = "172.17.0.0/23".parse().unwrap();
        clashes.put_clusters(vec![ClusterNetwork { name: String::new(), net }]);
        let mut both = look(&mut clashes);
        both.sort();
        assert_eq!(
            both,
            [
                "subnet 172.17.1.0/24 of network a overlaps 172.17.0.0/23, which is the network of this \
             host's cluster",
                "subnet 172.17.2.0/24 of network b overlaps 172.17.2.7/32, which this host has a route to",
            ]
        );
        clashes.remove(&a);
        clashes.remove(&b);
        assert!(clashes.tell.borrow().is_empty());
    });
}
