//! Networks of the whole cluster.

use super::host::{Host, option, subnet, with};
use crate::network::*;

fn overlay(name: &str, subnets: &[&str]) -> CreateRequest {
    let config = subnets.iter().map(|net| subnet(net, "")).collect();
    let ipam = Ipam { config, ..Ipam::default() };
    CreateRequest {
        name: name.to_owned(),
        driver: "overlay".to_owned(),
        ipam,
        ..Default::default()
    }
}

fn numbered(name: &str, subnets: &[&str], vnis: &str) -> CreateRequest {
    let options = [(OverlayOptions::VNIS.to_owned(), vnis.to_owned())].into();
    CreateRequest { options, ..overlay(name, subnets) }
}

fn numbers(network: &Network) -> Vec<u32> {
    network.vnis().map(Vni::get).collect()
}

#[test]
fn an_overlay_is_the_whole_clusters_with_a_subnet_apart_from_those_of_hosts() {
    let mut host = Host::default();
    let (network, warnings) = host.create(overlay("a", &[])).unwrap();
    assert_eq!((network.scope, warnings), (Scope::Global, vec![]));
    let shown = Inspect::of(&network);
    assert_eq!((shown.scope.as_str(), shown.driver.as_str()), ("global", "overlay"));
    assert_eq!(network.subnets[0].net.to_string(), "10.0.0.0/24");
    assert_eq!(network.subnets[0].gateway.unwrap().to_string(), "10.0.0.1");
    assert_eq!(Device::of(&network), Ok(None));
    let (second, _) = host.create(overlay("b", &[])).unwrap();
    assert_eq!(second.subnets[0].net.to_string(), "10.0.1.0/24");

    // What hosts take their own from is left to them.
    let rest = CreateRequest { driver: "overlay".into(), ..with("c", subnet("0.0.0.0/10", "")) };
    let third = host.create(rest).unwrap().0.subnets[0].net.to_string();
    assert_eq!(third, "10.64.0.0/10");
    host.networks.clear();
    host.create(overlay("e", &["10.0.0.0/9", "10.128.0.0/10"])).unwrap();
    assert_eq!(host.refused(overlay("f", &[])).0, Kind::Failed);
}

#[test]
fn numbers_are_high_and_random_and_no_two_subnets_have_one() {
    let mut host = Host::default();
    let (a, _) = host.create(overlay("a", &["10.1.0.0/24", "10.2.0.0/24"])).unwrap();
    let of_a = numbers(&a);
    assert!(of_a.len() == 2 && of_a.iter().all(|vni| (0x80_0000..=0xff_ffff).contains(vni)));
    assert_ne!(of_a[0], of_a[1]);

    // What another network was given at the same moment is passed over, also at the end of all.
    let mut again = Network { id: Id::parse(&"f".repeat(64)).unwrap(), ..a };
    let taken = [0xff_ffff, 0x80_0001].map(|n| (Vni::try_from(n).unwrap(), String::new()));
    number_segments(&mut again, &taken.into()).unwrap();
    assert_eq!(numbers(&again), [0x80_0000, 0x80_0002]);
}

#[test]
fn an_overlay_is_encrypted_where_the_option_is_there_whatever_it_says() {
    let mut host = Host::default();
    for value in ["", "true", "false", "0"] {
        let options = [("encrypted".to_owned(), value.to_owned())].into();
        let request = CreateRequest { options, ..overlay(&format!("a{value}"), &[]) };
        let (network, _) = host.create(request).unwrap();
        assert!(network.is_encrypted() && network.overlay(true).unwrap().unwrap().encrypted);
        assert_eq!(Inspect::of(&network).options["encrypted"], value);
    }
    let (open, _) = host.create(overlay("b", &[])).unwrap();
    assert!(!open.is_encrypted() && !open.overlay(true).unwrap().unwrap().encrypted);
}

#[test]
fn both_families_are_one_segment_and_several_subnets_of_one_are_as_many() {
    let mut host = Host::default();
    let both = CreateRequest { enable_ipv6: Some(true), ..overlay("a", &["10.1.0.0/24"]) };
    let (network, _) = host.create(both).unwrap();
    let segments = network.segments();
    assert_eq!((segments.len(), segments[0].subnets.len()), (1, 2));
    let (network, _) = host.create(overlay("b", &["10.2.0.0/24", "10.3.0.0/24"])).unwrap();
    let nets =
        network.segments().iter().map(|it| it.subnets[0].net.to_string()).collect::<Vec<_>>();
    assert_eq!(nets, ["10.2.0.0/24", "10.3.0.0/24"]);
    let mixed = CreateRequest {
        enable_ipv6: Some(true),
        ..overlay("c", &["10.4.0.0/24", "10.5.0.0/24", "fd00:7::/64"])
    };
    host.refuses(mixed, Kind::Invalid, "give one --subnet of each family");
}

#[test]
fn a_number_can_be_named_if_no_other_network_has_it() {
    let mut host = Host::default();
    let (network, _) =
        host.create(numbered("a", &["10.1.0.0/24", "10.2.0.0/24"], "4097,4098")).unwrap();
    assert_eq!(numbers(&network), [4097, 4098]);
    for (name, vnis, why) in [
        ("b", "4098", "names VNI 4098, which another network has"),
        ("c", "1,2", "has 2 numbers: this network needs 1"),
        ("d", "0", "is no list of VNIs: write numbers from 1 to 16777215"),
        ("e", "16777216", "is no list of VNIs"),
        ("f", "7,7", "names 7 twice"),
        ("g", "", "is no list of VNIs"),
    ] {
        host.refuses(numbered(name, &["10.3.0.0/24"], vnis), Kind::Invalid, why);
    }
}

#[test]
fn what_an_overlay_cannot_be_is_refused_with_the_remedy() {
    let mut host = Host::default();
    host.create(with("local", subnet("10.1.0.0/24", ""))).unwrap();
    host.create(overlay("a", &["10.2.0.0/24"])).unwrap();
    let on = |key: &str, value: &str| CreateRequest {
        options: option("overlay", key, value).options,
        ..overlay("b", &[])
    };
    for (request, kind, text) in [
        (overlay("b", &["10.1.0.0/16"]), Kind::Forbidden, "network local has 10.1.0.0/24"),
        (overlay("b", &["10.2.0.128/25"]), Kind::Forbidden, "network a has 10.2.0.0/24"),
        (overlay("a", &[]), Kind::Conflict, "network with name a already exists"),
        (on("com.docker.network.driver.mtu", "67"), Kind::Invalid, "is no MTU"),
        (
            CreateRequest {
                enable_ipv6: Some(true),
                ..on("com.docker.network.driver.mtu", "1279")
            },
            Kind::Invalid,
            "is too small for IPv6",
        ),
        (
            CreateRequest { scope: "local".into(), ..overlay("b", &[]) },
            Kind::Invalid,
            "scope \"local\" of driver overlay is not supported: an overlay is there on every host",
        ),
    ] {
        host.refuses(request, kind, text);
    }
    for (name, scope) in [("c", "global"), ("d", "swarm")] {
        host.create(CreateRequest { scope: scope.into(), ..overlay(name, &[]) }).unwrap();
    }
}

#[test]
fn a_network_that_was_written_before_there_were_scopes_is_the_hosts() {
    let (network, _) = Host::default().create(with("a", subnet("10.1.0.0/24", ""))).unwrap();
    let mut json = serde_json::to_value(&network).unwrap();
    assert_eq!(json.as_object_mut().unwrap().remove("scope"), Some("local".into()));
    assert_eq!(serde_json::from_value::<Network>(json).unwrap(), network);
}
