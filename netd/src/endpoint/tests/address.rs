//! Which addresses are given.

use std::collections::BTreeSet;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

fn texts(nets: &[IpNetwork]) -> Vec<String> {
    nets.iter().map(ToString::to_string).collect()
}

#[test]
fn i1_the_lowest_free_address_is_given_and_those_of_others_never_are() {
    let mut network = network("app", &[("172.30.0.0/29", None)]);
    network.subnets[0].aux.insert("router".to_owned(), "172.30.0.3".parse().unwrap());
    let mut addresses = Addresses::of(&network);
    let mut take = || addresses.take(&[]).map(|nets| texts(&nets).concat());
    let given: Vec<String> = (0..4).map(|_| take().unwrap()).collect();
    assert_eq!(given, ["172.30.0.2/29", "172.30.0.4/29", "172.30.0.5/29", "172.30.0.6/29"]);
    let full = take().unwrap_err().to_string();
    let text = "no available IPv4 addresses on this network's address pools: app (";
    assert!(full.starts_with(text), "{full}");
    assert!(addresses.has_room().is_err());
    addresses.give_back("172.30.0.4/29".parse().unwrap());
    assert_eq!(addresses.take(&[]).unwrap(), nets(&["172.30.0.4/29"]));
}

#[test]
fn i1_a_range_bounds_what_is_given_and_not_what_is_asked_for() {
    let network = network("app", &[("172.30.0.0/24", Some("172.30.0.128/31"))]);
    let mut addresses = Addresses::of(&network);
    assert_eq!(addresses.take(&[]).unwrap(), nets(&["172.30.0.128/24"]));
    assert_eq!(addresses.take(&nets(&["172.30.0.9"])).unwrap(), nets(&["172.30.0.9/24"]));
    assert_eq!(addresses.take(&[]).unwrap(), nets(&["172.30.0.129/24"]));
    assert!(addresses.take(&[]).is_err());
    assert_eq!(addresses.take(&nets(&["172.30.0.10/24"])).unwrap(), nets(&["172.30.0.10/24"]));
}

#[test]
fn i1_two_addresses_are_all_of_a_subnet_of_two() {
    let network = network("p2p", &[("172.30.0.0/31", Some("172.30.0.0/31"))]);
    let mut addresses = Addresses::of(&network);
    let mut take = || addresses.take(&[]).map(|nets| texts(&nets).concat());
    assert_eq!(take().unwrap(), "172.30.0.0/31");
    assert_eq!(take().unwrap(), "172.30.0.1/31");
    assert!(take().is_err());
}

#[test]
fn an_address_that_cannot_be_had_is_refused_in_dockers_words_and_none_is_taken() {
    let both = network("app", &[("172.30.0.0/24", None), ("fd00:1::/64", None)]);
    let mut addresses = Addresses::of(&both);
    let before = addresses.clone();
    for (wanted, text) in [
        ("172.30.0.1", "Address already in use: 172.30.0.1"),
        ("172.30.0.0", "Address already in use"),
        ("172.30.0.255", "Address already in use"),
        ("10.0.0.1", "no configured subnet contains IP address 10.0.0.1"),
        ("172.30.0.9/16", "another prefix length"),
    ] {
        // The address of the other family could be had.
        let refused = addresses.take(&nets(&["fd00:1::7", wanted])).unwrap_err().to_string();
        assert!(refused.contains(text), "{wanted}: {refused}");
        assert_eq!(format!("{addresses:?}"), format!("{before:?}"), "{wanted}");
    }
    let given = addresses.take(&nets(&["fd00:1::7"])).unwrap();
    assert_eq!(texts(&given), ["172.30.0.2/24", "fd00:1::7/64"]);
    let refused = addresses.take(&nets(&["fd00:1::7"])).unwrap_err().to_string();
    assert_eq!(refused, "Address already in use: fd00:1::7");
    let mut predefined = Addresses::of(&network("bridge", &[("172.17.0.0/16", None)]));
    let refused = predefined.take(&nets(&["172.17.0.9"])).unwrap_err().to_string();
    assert!(refused.contains("supported on user-defined networks only"), "{refused}");
}

proptest! {
    #[test]
    fn no_address_is_given_twice_and_all_come_back(
        steps in prop::collection::vec((any::<bool>(), 0..40_u8), 0..60),
    ) {
        let network = network("app", &[("172.30.0.0/27", None)]);
        let (mut addresses, mut held) = (Addresses::of(&network), BTreeSet::new());
        for (takes, at) in steps {
            let wanted: IpNetwork = IpAddr::from([172, 30, 0, at]).into();
            if takes {
                let asked: Vec<IpNetwork> = (at % 2 == 0).then_some(wanted).into_iter().collect();
                if let Ok(given) = addresses.take(&asked) {
                    let ip = given[0].ip();
                    prop_assert!(held.insert(ip), "{ip} twice");
                    prop_assert!(asked.is_empty() || ip == wanted.ip());
                    prop_assert!(network.subnets[0].net.contains(ip));
                    prop_assert_ne!(Some(ip), network.subnets[0].gateway);
                }
            } else if held.remove(&wanted.ip()) {
                addresses.give_back(IpNetwork::new(wanted.ip(), 27).unwrap());
            }
        }
        let free = 29 - held.len();
        for _ in 0..free {
            prop_assert!(addresses.take(&[]).is_ok());
        }
        prop_assert!(addresses.take(&[]).is_err());
    }
}
