use proptest::prelude::*;

use super::*;

#[test]
fn keys_are_written_as_flannel_writes_them() {
    for text in ["10.5.52.0-24", "10.5.52.0-24&fd00:12:13::-56", "0.0.0.0-0", "10.0.0.2-31"] {
        let key: SubnetKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
    }
    let key: SubnetKey = "10.5.52.0-24&FD00:0012:13:0:0:0:0:0-56".parse().unwrap();
    assert_eq!(key.to_string(), "10.5.52.0-24&fd00:12:13::-56");
}

#[test]
fn what_flannel_refuses_is_refused() {
    // flannel `pkg/subnet/subnet_test.go`.
    for text in [
        "10",
        "10.12.13.0",
        "10.12.13-24",
        "10.12.13.300-24",
        "10.12.13.0-24hi",
        "&2001::-56",
        "10.12.13.0-24&:12:13:-56",
        "10.12.13.0-24&20011::-56",
        "10.12.13.0-24&2001-56",
        "10.12.13.0-24&2001::",
        "10.12.13.0-24&2001::-56hi",
        // Lengths of more than five and seven bits.
        "10.12.13.1-32",
        "10.12.13.0-24&2001::-128",
    ] {
        let error = text.parse::<SubnetKey>().unwrap_err().to_string();
        assert!(error.contains(&format!("{text:?} names no subnet")), "{error}");
    }
}

#[test]
fn what_nobody_writes_is_refused() {
    for (text, reason) in [
        ("foo10.12.13.0-24", "no address of IPv4"),
        ("10.12.13.7-24", "write 10.12.13.0/24"),
        ("10.12.13.0-+24", "no prefix length"),
        ("10.12.13.0-24&2001::1-56", "write 2001::/56"),
        ("10.12.13.0-24&2001::-56&2001::-56", "no address of IPv6"),
        ("", "is no IPv4 address"),
    ] {
        let error = text.parse::<SubnetKey>().unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn subnets_overlap_if_either_family_does() {
    let overlaps = |a: &str, b: &str| {
        let (a, b): (SubnetKey, SubnetKey) = (a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(a.overlaps(&b), b.overlaps(&a));
        a.overlaps(&b)
    };
    assert!(overlaps("10.5.52.0-24", "10.5.0.0-16"));
    assert!(!overlaps("10.5.52.0-24", "10.5.53.0-24"));
    assert!(overlaps("10.5.52.0-24&fd00::-64", "10.5.53.0-24&fd00::-64"));
    assert!(!overlaps("10.5.52.0-24&fd00::-64", "10.5.53.0-24"));
}

proptest! {
    #[test]
    fn any_subnet_is_read_back(v4: u32, length in 0_u8..=31, v6: Option<(u128, u8)>) {
        let v6 = v6.map(|(v6, length)| Ipv6Network::new(v6.into(), length % 128).unwrap());
        let key = SubnetKey::new(Ipv4Network::new(v4.into(), length).unwrap(), v6);
        prop_assert_eq!(key.to_string().parse::<SubnetKey>().unwrap(), key);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9a-f.:&/ -]{0,40}|\\PC*") {
        if let Ok(key) = text.parse::<SubnetKey>() {
            prop_assert_eq!(key.to_string().parse::<SubnetKey>().unwrap(), key);
        }
    }
}
