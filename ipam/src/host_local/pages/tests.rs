use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::allocator::Taken;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn find(pages: &mut Table<Page>, first: &str, last: &str) -> Option<String> {
    first_free(pages, ip(first), ip(last)).unwrap().map(|address| address.to_string())
}

#[test]
fn sixty_thousand_addresses_in_a_row_are_sixty_pages() {
    let mut pages = Table::new();
    let start = wide(ip("10.0.0.0"));
    for offset in 0..60_000 {
        mark(&mut pages, narrow(start + offset)).unwrap();
    }
    assert_eq!(find(&mut pages, "10.0.0.0", "10.255.255.255").unwrap(), "10.0.234.96");
    assert_eq!(find(&mut pages, "10.0.0.0", "10.0.99.0"), None);
    assert_eq!(pages.used(), 59);
    clear(&mut pages, ip("10.0.7.7")).unwrap();
    assert_eq!(find(&mut pages, "10.0.0.0", "10.0.99.0").unwrap(), "10.0.7.7");
}

#[test]
fn families_and_the_ends_of_the_number_space_do_not_meet() {
    let mut pages = Table::new();
    let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    for address in ["255.255.255.254", "255.255.255.255", "::", "::1", last] {
        mark(&mut pages, ip(address)).unwrap();
    }
    assert_eq!(find(&mut pages, "255.255.255.254", "255.255.255.255"), None);
    assert_eq!(find(&mut pages, last, last), None);
    assert_eq!(find(&mut pages, "::", last).unwrap(), "::2");
    assert_eq!(find(&mut pages, "0.0.0.0", "255.255.255.255").unwrap(), "0.0.0.0");
    assert_eq!(narrow(wide(ip("255.255.255.255"))), ip("255.255.255.255"));
    for address in ["255.255.255.254", "255.255.255.255", "::", "::1", last] {
        clear(&mut pages, ip(address)).unwrap();
    }
    assert_eq!(pages.used(), 0, "free pages are not stored");
}

#[test]
fn the_families_have_no_home_in_common() {
    for offset in (0..1 << 20).step_by(1000) {
        let home = |start: &str| {
            let number = (wide(ip(start)) + offset) >> PAGE_BITS;
            Page { number, ..Page::EMPTY }.home() % 2
        };
        assert_eq!((home("10.0.0.0"), home("fd00::")), (0, 1));
    }
}

/// Addresses around the borders of words, pages and the number space.
fn address() -> impl Strategy<Value = u128> {
    let base = wide(ip("10.0.0.0"));
    prop_oneof![
        (0u128..600).prop_map(move |offset| base + offset),
        (0u128..20_000).prop_map(move |offset| base + offset),
        (0u128..300).prop_map(|offset| u128::MAX - offset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_pages_find_what_a_set_finds(
        runs in prop::collection::vec((address(), 1u128..9_000, any::<bool>()), 1..6),
        queries in prop::collection::vec((address(), 0u128..20_000), 1..20),
    ) {
        let mut pages = Table::new();
        let mut model = BTreeSet::new();
        for (start, length, set) in runs {
            let length = length.min(u128::MAX - start);
            for number in start..start + length {
                let address = narrow(number);
                if set {
                    mark(&mut pages, address).unwrap();
                    model.insert(address);
                } else if model.remove(&address) {
                    clear(&mut pages, address).unwrap();
                }
            }
        }
        for (first, length) in queries {
            // Ranges are of one family.
            let last = first.saturating_add(length);
            let (first, last) = (narrow(first), narrow(last));
            let Ok(wanted) = model.first_free(first, last);
            prop_assert_eq!(first_free(&mut pages, first, last).unwrap(), wanted);
        }
    }
}
