use super::*;
use crate::{RangeSpec, parse_cidr};
use proptest::prelude::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn spec(subnet: &str, start: &str, end: &str, gateway: &str) -> RangeSpec {
    let given = |text: &str| (!text.is_empty()).then(|| ip(text));
    RangeSpec {
        subnet: parse_cidr(subnet).unwrap(),
        range_start: given(start),
        range_end: given(end),
        gateway: given(gateway),
    }
}

fn order(set: &RangeSet, cursor: Option<&str>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let cursor = cursor.map(ip);
    std::iter::from_fn(|| {
        let address = next_free(set, cursor, &mut taken).unwrap()?.address;
        taken.insert(address);
        Some(address.to_string())
    })
    .collect()
}

#[test]
fn iteration_starts_behind_the_cursor_wraps_and_tries_the_cursor_last() {
    let set = RangeSet::new(&[
        spec("192.0.2.0/29", "", "", ""),
        spec("192.0.3.0/24", "192.0.3.8", "192.0.3.9", ""),
    ])
    .unwrap();
    let last = |n: u8| format!("192.0.2.{n}");
    let far = ["192.0.3.8".to_owned(), "192.0.3.9".to_owned()];
    let all: Vec<String> = (2..=6).map(last).chain(far.clone()).collect();
    assert_eq!(order(&set, None), all, "without a cursor from the start; the gateway is skipped");
    assert_eq!(order(&set, Some("10.0.0.1")), all, "a cursor of another configuration is ignored");
    let rotated = |by: usize| [&all[by..], &all[..by]].concat();
    assert_eq!(order(&set, Some("192.0.2.4")), rotated(3));
    assert_eq!(order(&set, Some("192.0.2.6")), rotated(5));
    assert_eq!(order(&set, Some("192.0.3.9")), all);
    assert_eq!(order(&set, Some("192.0.2.1")), all, "the gateway as cursor is not handed out");
}

#[test]
fn gateways_of_all_ranges_of_the_set_are_skipped() {
    let set = RangeSet::new(&[
        spec("10.0.0.0/24", "10.0.0.2", "10.0.0.3", "10.0.0.5"),
        spec("10.0.0.0/24", "10.0.0.4", "10.0.0.6", "10.0.0.6"),
    ])
    .unwrap();
    assert_eq!(order(&set, None), ["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
}

#[test]
fn the_ends_of_the_number_space_do_not_overflow() {
    let v6 =
        RangeSet::new(&[spec("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126", "", "", "")]).unwrap();
    assert_eq!(order(&v6, None).len(), 2);
    assert_eq!(order(&v6, Some("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")).len(), 2);
    let v4 = RangeSet::new(&[spec("255.255.255.252/30", "", "255.255.255.255", "255.255.255.255")])
        .unwrap();
    assert_eq!(order(&v4, Some("255.255.255.255")), ["255.255.255.253", "255.255.255.254"]);
}

#[test]
fn requested_addresses_are_dealt_out_one_per_set() {
    let sets = crate::range_sets(&[
        vec![spec("10.0.0.0/24", "", "", "")],
        vec![spec("fd00::/64", "", "", "")],
    ])
    .unwrap();
    let assign = |texts: &[&str]| {
        assign_requested(&sets, &texts.iter().map(|text| ip(text)).collect::<Vec<_>>())
            .map_err(|error| error.to_string())
    };
    assert_eq!(assign(&[]), Ok(vec![None, None]));
    assert_eq!(assign(&["fd00::9"]), Ok(vec![None, Some(ip("fd00::9"))]));
    assert_eq!(
        assign(&["fd00::9", "::ffff:10.0.0.9", "10.0.0.9"]),
        Ok(vec![Some(ip("10.0.0.9")), Some(ip("fd00::9"))])
    );
    assert_eq!(
        assign(&["10.0.0.9", "10.0.0.8", "10.2.0.1"]),
        Err("failed to allocate all requested IPs: [10.0.0.8, 10.2.0.1]".to_owned())
    );
    assert_eq!(assign(&["10.0.0.1"]), Err("requested ip 10.0.0.1 is subnet's gateway".to_owned()));
}

/// One to three adjacent ranges of 10.0.0.0/24 or fd00::/120, any gateway.
fn any_set() -> impl Strategy<Value = RangeSet> {
    (any::<bool>(), prop::collection::vec((1u8..40, 0u8..12), 1..4), any::<u8>()).prop_map(
        |(v6, sizes, gateway)| {
            let (base, subnet) =
                if v6 { ("fd00::", "fd00::/120") } else { ("10.0.0.0", "10.0.0.0/24") };
            let at = |offset: u8| {
                let base = ip(base);
                Some(from_number(Family::of(base), number(base) + u128::from(offset)))
            };
            let mut next = 1;
            let mut specs = Vec::new();
            for (size, gap) in sizes {
                specs.push(RangeSpec {
                    subnet: parse_cidr(subnet).unwrap(),
                    range_start: at(next),
                    range_end: at(next + size - 1),
                    gateway: at(gateway % 160),
                });
                next += size + gap;
            }
            RangeSet::new(&specs).unwrap()
        },
    )
}

proptest! {
    #[test]
    fn a_round_hands_out_each_address_once_and_never_a_gateway(
        set in any_set(), offset: u8, taken in prop::collection::btree_set(any::<u8>(), 0..60)
    ) {
        let family = set.family();
        let base = number(set.ranges()[0].subnet().network());
        let at = |offset: u8| from_number(family, base + u128::from(offset));
        let before: BTreeSet<IpAddr> = taken.into_iter().map(at).collect();
        let mut now = before.clone();
        let mut cursor = Some(at(offset));
        let mut given = BTreeSet::new();
        while let Some(candidate) = next_free(&set, cursor, &mut now).unwrap() {
            prop_assert!(set.contains(candidate.address) && candidate.range.contains(candidate.address));
            prop_assert!(!set.is_gateway(candidate.address));
            prop_assert!(now.insert(candidate.address), "handed out twice");
            given.insert(candidate.address);
            cursor = Some(candidate.address);
        }
        let free: BTreeSet<IpAddr> = (0..=255u8).map(at)
            .filter(|a| set.contains(*a) && !set.is_gateway(*a) && !before.contains(a)).collect();
        prop_assert_eq!(given, free, "the round is complete");
    }

    #[test]
    fn what_was_released_can_be_allocated_again(set in any_set(), pick: prop::sample::Index) {
        let mut taken = BTreeSet::new();
        while let Some(candidate) = next_free(&set, None, &mut taken).unwrap() {
            taken.insert(candidate.address);
        }
        if !taken.is_empty() {
            let released = *pick.get(&taken.iter().copied().collect::<Vec<_>>());
            taken.remove(&released);
            let again = next_free(&set, Some(released), &mut taken).unwrap().unwrap();
            prop_assert_eq!(again.address, released);
        }
    }

    #[test]
    fn round_robin_returns_to_an_address_only_after_all_others(set in any_set(), steps in 1usize..200) {
        // One attachment at a time: the address is free again before the next one is taken.
        let mut cursor = None;
        let mut seen = Vec::new();
        for _ in 0..steps {
            let Some(candidate) = next_free(&set, cursor, &mut BTreeSet::new()).unwrap() else { break };
            cursor = Some(candidate.address);
            seen.push(candidate.address);
        }
        let distinct: BTreeSet<_> = seen.iter().collect();
        for (index, address) in seen.iter().enumerate().skip(distinct.len()) {
            prop_assert_eq!(*address, seen[index - distinct.len()]);
        }
    }
}
