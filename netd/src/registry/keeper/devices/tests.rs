use drivers::bridge::Standing;
use kernel::testing::{in_new_host, sh};
use netstate::Mac;

use super::*;
use crate::network::Id;

fn device() -> Device {
    let standing = Standing {
        name: LinkName::fixed("app1"),
        kind: LinkKind::Bridge { vlan_filtering: None },
        alias: "netd:network:0123456789ab".to_owned(),
        mac: Some(Mac([2, 0, 0, 0, 0, 7])),
        mtu: None,
        gateways: vec!["172.30.1.1/24".parse().unwrap()],
        apart: Vec::new(),
    };
    Device {
        id: Id::random(),
        network: "app".to_owned(),
        subnets: vec!["172.30.1.0/24".parse().unwrap()],
        standings: vec![standing],
        adopted: false,
        of_cluster: false,
    }
}

#[test]
fn a_bridge_of_the_same_name_that_somebody_else_made_is_neither_changed_nor_removed() {
    in_new_host(|| {
        sh("ip link add app1 type bridge; ip link set app1 up; ip addr add 192.0.2.1/24 dev app1");
        let (mut kernel, device) = (Kernel::open(None), device());
        let before = sh("ip -o addr show app1");
        let told = settle(&mut kernel, &[&device], true, true).unwrap_err();
        assert_eq!(told, "bridge app1 is somebody else's: rename or remove it");
        remove(&mut kernel, &device, |_| false).unwrap();
        assert_eq!(sh("ip -o addr show app1"), before);
    });
}

#[test]
fn what_a_failure_left_of_a_bridge_before_it_had_its_alias_is_completed_or_removed() {
    in_new_host(|| {
        let (mut kernel, device) = (Kernel::open(None), device());
        let half = || sh("ip link add app1 address 02:00:00:00:00:07 type bridge");
        half();
        settle(&mut kernel, &[&device], true, true).unwrap();
        assert!(sh("ip link show app1").contains("alias netd:network:0123456789ab"));
        sh("ip link del app1");
        half();
        remove(&mut kernel, &device, |_| false).unwrap();
        assert!(!sh("ip -o link").contains("app1"));
    });
}

#[test]
fn what_a_network_of_the_cluster_is_on_is_no_trouble_where_it_is_not_or_is_something_else() {
    in_new_host(|| {
        let (mut kernel, mut device) = (Kernel::open(None), device());
        let parent = LinkRef { ns: Ns::Host, name: LinkName::fixed("none0") };
        device.of_cluster = true;
        device.standings[0].name = LinkName::fixed("none0.10");
        device.standings[0].kind = LinkKind::Vlan { parent, id: 10 };
        let before = sh("ip -o link");
        assert_eq!(settle(&mut kernel, &[&device], true, true), Ok(Vec::new()));
        // A network of this host is not made without it.
        let own = Device { of_cluster: false, ..device.clone() };
        settle(&mut kernel, &[&own], true, true).unwrap_err();
        assert_eq!(sh("ip -o link"), before);
        sh("ip link add none0.10 type bridge");
        assert_eq!(settle(&mut kernel, &[&device], true, true), Ok(Vec::new()));
        remove(&mut kernel, &device, |_| false).unwrap();
        assert!(sh("ip -o link").contains("none0.10"), "it is somebody else's");
    });
}
