use super::*;
use crate::parse_cidr;

fn spec(subnet: &str, start: &str, end: &str) -> RangeSpec {
    let given = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
    RangeSpec {
        subnet: parse_cidr(subnet).unwrap(),
        range_start: given(start),
        range_end: given(end),
        gateway: None,
    }
}

#[test]
fn a_set_prints_its_ranges_joined_by_commas() {
    let set =
        RangeSet::new(&[spec("10.0.0.0/30", "", ""), spec("10.0.1.0/24", "10.0.1.5", "10.0.1.9")])
            .unwrap();
    assert_eq!(set.to_string(), "10.0.0.1-10.0.0.2,10.0.1.5-10.0.1.9");
    assert_eq!(set.range_for("10.0.1.7".parse().unwrap()), set.ranges().get(1));
    assert!(set.is_gateway("10.0.1.1".parse().unwrap()));
    assert!(!set.contains("10.0.1.1".parse().unwrap()));
}

#[test]
fn a_list_of_sets_is_refused_with_the_texts_of_the_reference() {
    let v4 = || spec("10.0.0.0/24", "", "");
    for (specs, text) in [
        (vec![], "no IP ranges specified"),
        (vec![vec![v4()], vec![]], "invalid range set 1: empty range set"),
        (
            vec![vec![v4(), spec("fd00::/64", "", "")]],
            "invalid range set 0: mixed address families: 10.0.0.1-10.0.0.254 and fd00::1-fd00::ffff:ffff:ffff:ffff",
        ),
        (
            vec![vec![v4(), spec("10.0.0.128/25", "", "")]],
            "invalid range set 0: subnets 10.0.0.1-10.0.0.254 and 10.0.0.129-10.0.0.254 overlap",
        ),
        (
            vec![vec![spec("10.0.0.0/31", "", "")]],
            "invalid range set 0: Network 10.0.0.0/31 too small to allocate from: the prefix length of 'subnet' may be at most 30",
        ),
        (
            vec![
                vec![spec("10.1.0.0/24", "", "")],
                vec![v4()],
                vec![spec("10.0.0.0/16", "", "10.0.0.9")],
            ],
            "range set 1 overlaps with 2: 10.0.0.1-10.0.0.254 and 10.0.0.1-10.0.0.9",
        ),
    ] {
        assert_eq!(range_sets(&specs).unwrap_err().to_string(), text);
    }
}

#[test]
fn two_ranges_of_one_subnet_that_do_not_meet_are_fine() {
    let sets = [
        vec![spec("10.0.0.0/24", "", "10.0.0.9"), spec("10.0.0.0/24", "10.0.0.10", "")],
        vec![spec("fd00::/64", "", "")],
    ];
    assert_eq!(range_sets(&sets).unwrap().len(), 2);
}
