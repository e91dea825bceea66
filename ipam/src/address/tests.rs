use super::*;
use proptest::prelude::*;

#[test]
fn a_cidr_keeps_its_host_bits() {
    assert_eq!(parse_cidr("10.0.0.5/24").unwrap().to_string(), "10.0.0.5/24");
    assert_eq!(parse_cidr("fd00::5/64").unwrap().to_string(), "fd00::5/64");
}

#[test]
fn what_go_would_not_take_for_a_cidr_is_refused_with_the_text() {
    for text in [
        "",
        "/",
        "10.0.0.5",
        "10.0.0.5/",
        "10.0.0.5/33",
        "10.0.0.5/024",
        "10.0.0.5/+4",
        "10.0.0.5/-1",
        "10.0.0.5/255.255.255.0",
        "10.0.0.05/24",
        "fd00::/129",
        "a/24",
        "10.0.0.5/24/24",
        " 10.0.0.5/24",
        "::ffff:10.0.0.5/120",
        "10.0.0.0/99999999999",
    ] {
        let error = parse_cidr(text).unwrap_err();
        assert!(error.to_string().contains(&format!("'{text}'")), "{error}");
    }
}

#[test]
fn a_requested_address_may_carry_a_prefix_length_that_is_dropped() {
    let ip = |text: &str| parse_ip_or_cidr(text).unwrap().to_string();
    assert_eq!(ip("10.0.0.5"), "10.0.0.5");
    assert_eq!(ip("10.0.0.5/24"), "10.0.0.5");
    assert_eq!(ip("fd00::5/64"), "fd00::5");
    assert_eq!(ip("::ffff:10.0.0.5"), "10.0.0.5");
    let error = parse_ip_or_cidr("10.0.0").unwrap_err().to_string();
    assert!(error.starts_with("cannot understand ip: '10.0.0'"), "{error}");
}

proptest! {
    #[test]
    fn numbers_and_addresses_convert_both_ways(v4: u32, v6: u128) {
        let four = from_number(Family::V4, u128::from(v4));
        prop_assert_eq!(number(four), u128::from(v4));
        let six = from_number(Family::V6, v6);
        prop_assert_eq!(number(six), v6);
    }
}

#[test]
fn addresses_survive_any_input() {
    corpus::survive("address", |input| {
        let text = String::from_utf8_lossy(input);
        let _ = (parse_cidr(&text), parse_ip_or_cidr(&text));
    });
}
