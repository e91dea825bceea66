use ipnetwork::IpNetwork;
use proptest::prelude::*;

use crate::network::pools::without_ways_out;
use crate::network::{Moment, Pools, Span, host_network, of_new_host};

fn net(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

fn pools() -> Pools {
    Pools::new(host_network(0x12_3456_789a))
}

#[test]
fn the_first_subnet_is_in_dockers_range_and_what_the_host_has_routes_to_is_passed_over() {
    let first = |taken: &[IpNetwork]| pools().choose(false, None, taken).unwrap().to_string();
    assert_eq!(first(&[]), "172.17.0.0/24");
    assert_eq!(first(&[net("172.17.0.0/16")]), "172.18.0.0/24");
    assert_eq!(first(&[net("172.17.0.77/32"), net("172.17.1.0/25")]), "172.17.2.0/24");
    assert_eq!(first(&[net("172.16.0.0/12")]), "10.192.0.0/24");
}

#[test]
fn a_default_route_in_halves_takes_nothing_and_a_route_to_all_private_addresses_takes_them() {
    let halves = [net("0.0.0.0/1"), net("128.0.0.0/1"), net("0.0.0.0/0")];
    let taken: Vec<_> = without_ways_out(&halves).collect();
    assert_eq!(pools().choose(false, None, &taken), Some(net("172.17.0.0/24")));
    let private = [net("10.0.0.0/8"), net("172.16.0.0/12")];
    assert_eq!(pools().choose(false, None, &private), None);
}

#[test]
fn what_is_to_be_avoided_is_however_much_it_is() {
    let most = [net("172.0.0.0/7")];
    let of_new_host = |routes, avoid| of_new_host(Moment::now(), &pools(), routes, avoid);
    assert_eq!(of_new_host(&most, &[])[0].subnets[0].net, net("172.17.0.0/24"), "a way out");
    assert_eq!(of_new_host(&[], &most)[0].subnets[0].net, net("10.192.0.0/24"));
    assert!(of_new_host(&[], &[net("0.0.0.0/0")])[0].subnets.is_empty());
}

#[test]
fn a_size_may_be_asked_for() {
    let choose = |v6, size| pools().choose(v6, Some(size), &[net("172.17.0.0/24")]);
    assert_eq!(choose(false, 26), Some(net("172.17.1.0/26")));
    assert_eq!(choose(false, 20), Some(net("172.17.16.0/20")));
    assert_eq!(choose(false, 15), Some(net("172.18.0.0/15")));
    assert_eq!(choose(false, 8), None, "no pool is that large");
    assert_eq!(choose(true, 80), Some(net("fd12:3456:789a::/80")));
}

#[test]
fn there_are_subnets_for_thousands_of_networks() {
    let mut taken = Vec::new();
    for _ in 0..5000 {
        taken.push(pools().choose(false, None, &taken).unwrap());
    }
    assert_eq!(taken.last(), Some(&net("10.196.135.0/24")));
}

fn any_network() -> impl Strategy<Value = IpNetwork> {
    let v4 = (any::<[u8; 2]>(), 12_u8..=32).prop_map(|([a, b], prefix)| {
        IpNetwork::new([172, 16 + a % 16, b, 0].into(), prefix).unwrap()
    });
    let v6 = (any::<[u16; 2]>(), 48_u8..=128).prop_map(|([a, b], prefix)| {
        let ip = std::net::Ipv6Addr::new(0xfd12, 0x3456, 0x789a, a % 8, b, 0, 0, 0);
        IpNetwork::new(ip.into(), prefix).unwrap()
    });
    prop_oneof![v4, v6]
}

proptest! {
    #[test]
    fn what_is_chosen_overlaps_nothing_and_is_the_first_that_does_not(
        taken in prop::collection::vec(any_network(), 0..40),
        v6: bool,
        size in prop::option::of(16_u8..=30),
    ) {
        let size = size.map(|size| if v6 { size + 40 } else { size });
        let Some(chosen) = pools().choose(v6, size, &taken) else { return Ok(()) };
        let overlaps = |net: IpNetwork| taken.iter().any(|t| Span::of(*t).overlaps(Span::of(net)));
        prop_assert!(!overlaps(chosen));
        prop_assert_eq!(chosen.ip(), chosen.network());
        prop_assert_eq!(chosen.prefix(), size.unwrap_or(if v6 { 64 } else { 24 }));
        // The one before, of the same size, is taken, or in no pool.
        let own = Span::of(chosen);
        let Some(before) = own.first.checked_sub(1).and_then(|last| own.address(last)) else {
            return Ok(());
        };
        let before = IpNetwork::new(before, chosen.prefix()).unwrap();
        let in_a_pool = if v6 { net("fd12:3456:789a::/48") } else { net("172.17.0.0/16") };
        if Span::of(in_a_pool).contains(Span::of(before)) {
            prop_assert!(overlaps(before), "{before} is free before {chosen}");
        }
    }
}
