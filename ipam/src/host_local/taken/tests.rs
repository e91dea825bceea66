use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::allocator::Taken;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn ten_thousand_addresses_in_a_row_are_skipped_in_a_few_steps() {
    let mut table = Table::new();
    let start = wide(ip("10.0.0.0"));
    for offset in 0..60_000 {
        mark(&mut table, narrow(start + offset)).unwrap();
    }
    let found = first_free(&mut table, ip("10.0.0.0"), ip("10.255.255.255")).unwrap();
    assert_eq!(found, Some(narrow(start + 60_000)));
    assert_eq!(first_free(&mut table, ip("10.0.0.0"), ip("10.0.99.0")).unwrap(), None);
    assert!(table.used() < 480, "{} words for 469 full ones", table.used());
    clear(&mut table, ip("10.0.7.7")).unwrap();
    let found = first_free(&mut table, ip("10.0.0.0"), ip("10.0.99.0")).unwrap();
    assert_eq!(found, Some(ip("10.0.7.7")));
}

#[test]
fn families_and_the_ends_of_the_number_space_do_not_meet() {
    let mut table = Table::new();
    let all = |table: &mut Table, first: &str, last: &str| {
        first_free(table, ip(first), ip(last)).unwrap()
    };
    for address in ["255.255.255.254", "255.255.255.255", "::", "::1"] {
        mark(&mut table, ip(address)).unwrap();
    }
    let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    mark(&mut table, ip(last)).unwrap();
    assert_eq!(all(&mut table, "255.255.255.254", "255.255.255.255"), None);
    assert_eq!(all(&mut table, last, last), None);
    assert_eq!(all(&mut table, "::", last), Some(ip("::2")));
    assert_eq!(all(&mut table, "0.0.0.0", "255.255.255.255"), Some(ip("0.0.0.0")));
    assert_eq!(narrow(wide(ip("255.255.255.255"))), ip("255.255.255.255"));
}

/// Addresses around the borders of words of several levels.
fn address() -> impl Strategy<Value = u128> {
    let base = wide(ip("10.0.0.0"));
    prop_oneof![
        (0u128..600).prop_map(move |offset| base + offset),
        (0u128..40_000).prop_map(move |offset| base + offset),
        (0u128..300).prop_map(|offset| u128::MAX - offset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_tree_finds_what_a_set_finds(
        runs in prop::collection::vec((address(), 1u128..9_000, any::<bool>()), 1..6),
        queries in prop::collection::vec((address(), 0u128..40_000), 1..20),
    ) {
        let mut table = Table::new();
        let mut model = BTreeSet::new();
        for (start, length, set) in runs {
            let length = length.min(u128::MAX - start);
            for number in start..start + length {
                let address = narrow(number);
                if set {
                    mark(&mut table, address).unwrap();
                    model.insert(address);
                } else if model.remove(&address) {
                    clear(&mut table, address).unwrap();
                }
            }
        }
        for (first, length) in queries {
            // Ranges are of one family.
            let last = first.saturating_add(length);
            let (first, last) = (narrow(first), narrow(last));
            let Ok(wanted) = model.first_free(first, last);
            prop_assert_eq!(first_free(&mut table, first, last).unwrap(), wanted);
        }
    }
}
