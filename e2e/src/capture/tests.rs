//! Lines of tcpdump.

use super::*;

#[test]
fn a_line_gives_both_ends() {
    let packet =
        parse("1764412800.000250 IP 192.0.2.10.43210 > 203.0.113.10.80: Flags [S], seq 1").unwrap();
    assert_eq!(packet.source, "192.0.2.10.43210");
    assert_eq!(packet.at, Duration::from_micros(1_764_412_800_000_250));
    assert!(packet.source_is("192.0.2.10".parse().unwrap()));
    assert!(packet.destination_is("203.0.113.10".parse().unwrap()));
    assert!(!packet.destination_is("203.0.113.1".parse().unwrap()));
}

#[test]
fn addresses_without_port_and_of_version_6_are_read() {
    let packet =
        parse("1764412800.000250 IP6 fd00::2 > fd00::1: ICMP6, echo request, id 1, seq 0").unwrap();
    assert!(packet.source_is("fd00::2".parse().unwrap()));
    let packet = parse("1764412800.000250 IP6 fd00::2.53 > fd00::1.80: UDP, length 5").unwrap();
    assert!(packet.destination_is("fd00::1".parse().unwrap()));
}

#[test]
fn what_tcpdump_says_itself_is_no_packet() {
    assert_eq!(parse("listening on eth0, link-type EN10MB (Ethernet)"), None);
    assert_eq!(parse("2 packets captured"), None);
}
