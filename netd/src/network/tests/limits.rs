use super::host::{Host, named, option, subnet, with};
use crate::network::*;

const MTU: &str = "com.docker.network.driver.mtu";

#[test]
fn a_subnet_without_an_address_for_the_gateway_makes_no_network() {
    let nowhere =
        SubnetRequest { ip_range: "172.30.14.0/32".into(), ..subnet("172.30.14.0/24", "") };
    let (kind, told) = Host::default().refused(with("a", nowhere.clone()));
    assert_eq!(kind, Kind::Forbidden);
    assert!(
        told.contains(
            "no available IPv4 addresses on this network's address pools: all of 172.30.14.0/32"
        ),
        "{told}"
    );
    let given = SubnetRequest { gateway: "172.30.14.9".into(), ..nowhere };
    let (network, _) = Host::default().create(with("a", given)).unwrap();
    assert_eq!(network.subnets[0].gateway.unwrap().to_string(), "172.30.14.9");
}

#[test]
fn what_a_request_gives_and_gets_of_one_family_is_apart() {
    let of_size = || subnet("0.0.0.0/24", "");
    let config = vec![subnet("172.17.0.0/24", ""), of_size()];
    let request = CreateRequest {
        driver: "macvlan".into(),
        ipam: Ipam { config, ..Ipam::default() },
        ..named("m")
    };
    let (network, _) = Host::default().create(request).unwrap();
    let shown: Vec<String> = network.subnets.iter().map(|s| s.net.to_string()).collect();
    assert_eq!(shown, ["172.17.0.0/24", "172.17.1.0/24"]);
}

#[test]
fn a_network_of_half_of_all_addresses_is_in_the_way_of_those_that_are_chosen() {
    let mut host = Host::default();
    host.create(with("most", subnet("172.0.0.0/7", ""))).unwrap();
    let (network, _) = host.create(named("a")).unwrap();
    assert_eq!(network.subnets[0].net.to_string(), "10.192.0.0/24");
}

#[test]
fn ipv6_is_refused_where_the_mtu_leaves_no_room_for_it() {
    for driver in ["bridge", "macvlan", "ipvlan"] {
        let with =
            |mtu: &str| CreateRequest { enable_ipv6: Some(true), ..option(driver, MTU, mtu) };
        let (kind, told) = Host::default().refused(with("1279"));
        assert_eq!(kind, Kind::Invalid);
        assert!(
            told.contains(MTU) && told.contains("write 1280 or more, or leave --ipv6"),
            "{told}"
        );
        Host::default().create(with("1280")).unwrap();
        Host::default().create(with("0")).unwrap();
        Host::default().create(option(driver, MTU, "68")).unwrap();
    }
}

#[test]
fn an_isolated_gateway_is_refused_by_the_key_that_was_given() {
    for key in ["gateway_mode_ipv4", "gateway_mode_ipv6"] {
        let key = format!("com.docker.network.bridge.{key}");
        let (_, told) = Host::default().refused(option("bridge", &key, "isolated"));
        assert!(told.contains(&key), "{told}");
    }
}

#[test]
fn a_name_that_the_kernel_would_replace_is_none_of_a_bridge() {
    for name in ["br%d", "all", "default"] {
        let request = option("bridge", "com.docker.network.bridge.name", name);
        let (kind, told) = Host::default().refused(request);
        assert_eq!(kind, Kind::Invalid);
        assert!(told.contains("is no name of an interface"), "{told}");
    }
}
