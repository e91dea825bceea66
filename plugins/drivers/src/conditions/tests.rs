//! Both dialects are read; nothing is passed over.

use proptest::prelude::*;

use super::{ConditionError, parse, text};
use crate::ruleset::Ip;

#[test]
fn both_dialects_say_the_same() {
    let iptables = parse(Ip::V4, "! -s 10.0.0.0/8 -d 192.0.2.7 -i eth0").expect("iptables");
    let nft = parse(Ip::V4, "ip daddr == 192.0.2.7 iifname \"eth0\" ip saddr != 10.0.0.0/8");
    assert_eq!(iptables, nft.expect("nft"));
    assert_eq!(text(&iptables), "! -s 10.0.0.0/8 -d 192.0.2.7/32 -i eth0");
}

#[test]
fn what_is_not_understood_is_named() {
    let unknown = |t: &str| ConditionError::Unknown(t.to_owned());
    assert_eq!(parse(Ip::V4, "-m mark --mark 1"), Err(unknown("-m")));
    assert_eq!(parse(Ip::V4, "tcp dport 80"), Err(unknown("tcp")));
    assert_eq!(parse(Ip::V4, "ip ttl 3"), Err(unknown("ip ttl")));
    assert_eq!(parse(Ip::V4, "ip6 saddr fd00::1"), Err(unknown("ip6")));
    assert_eq!(parse(Ip::V4, "!"), Err(unknown("")));
    assert!(matches!(parse(Ip::V6, "-s 10.0.0.1"), Err(ConditionError::Net { .. })));
    assert!(matches!(parse(Ip::V4, "-s"), Err(ConditionError::Net { .. })));
    assert!(matches!(parse(Ip::V4, "-i eth+"), Err(ConditionError::Wildcard(_))));
    assert!(matches!(parse(Ip::V4, "-i a:b"), Err(ConditionError::Link(_))));
}

#[test]
fn host_bits_of_a_network_do_not_matter() {
    assert_eq!(parse(Ip::V4, "-s 10.1.2.3/8"), parse(Ip::V4, "-s 10.0.0.0/8"));
}

proptest! {
    #[test]
    fn words_of_the_grammar_are_read_or_refused(
        words in proptest::collection::vec(
            proptest::sample::select(vec!["!", "-s", "-d", "-i", "ip", "ip6", "saddr", "!=", "==",
                "iifname", "eth0", "\"lo\"", "10.0.0.0/8", "fd00::/8", "::1"]), 0..9)
    ) {
        let s = words.join(" ");
        for ip in Ip::BOTH {
            if let Ok(conditions) = parse(ip, &s) {
                prop_assert_eq!(parse(ip, &text(&conditions)), Ok(conditions));
            }
        }
    }
}

#[test]
fn conditions_survive_any_input() {
    corpus::survive("conditions", |input| {
        let written = String::from_utf8_lossy(input);
        for ip in Ip::BOTH {
            if let Ok(conditions) = parse(ip, &written) {
                assert_eq!(parse(ip, &text(&conditions)), Ok(conditions));
            }
        }
    });
}
