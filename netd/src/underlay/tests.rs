use kernel::UplinkAddr;

use super::*;

fn addr(text: &str) -> UplinkAddr {
    let net: ipnetwork::IpNetwork = text.parse().unwrap();
    let local = matches!(net.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local());
    let (permanent, host) = (true, net.ip().is_loopback());
    let temporary = false;
    UplinkAddr { net, global: !local && !host, host, deprecated: false, permanent, temporary }
}

fn link(name: &str, mtu: u32, addrs: &[&str]) -> Uplink {
    let addrs = addrs.iter().map(|text| addr(text)).collect();
    Uplink { name: LinkName::new(name).unwrap(), index: 0, mtu, addrs }
}

/// Two uplinks; eth1 has no IPv6.
fn seen() -> Seen {
    Seen {
        links: vec![
            link("lo", 65536, &["127.0.0.1/8", "::1/128"]),
            link(
                "eth0",
                1500,
                &["fe80::1/64", "192.0.2.10/24", "192.0.2.11/24", "2001:db8::10/64"],
            ),
            link("eth1", 9000, &["10.0.0.2/24"]),
        ],
        default_v4: Some(LinkName::new("eth0").unwrap()),
        default_v6: Some(LinkName::new("eth0").unwrap()),
        reach: None,
    }
}

fn iface(names: &[&str]) -> IfaceOptions {
    IfaceOptions { iface: names.iter().map(|n| (*n).to_owned()).collect(), ..Default::default() }
}

fn chosen(options: &IfaceOptions, dual: bool) -> (String, String, Option<String>, String) {
    let found = choose(options, dual, &seen()).unwrap();
    let v6 = found.v6.map(|ip| ip.to_string());
    (found.link.to_string(), found.v4.to_string(), v6, found.public_v4.to_string())
}

#[test]
fn without_options_the_default_routes_interface_and_its_first_global_address_are_taken() {
    let (link, v4, v6, public) = chosen(&IfaceOptions::default(), true);
    assert_eq!((link.as_str(), v4.as_str()), ("eth0", "192.0.2.10"));
    assert_eq!((v6.as_deref(), public.as_str()), (Some("2001:db8::10"), "192.0.2.10"));
}

#[test]
fn the_first_interface_that_is_there_is_taken_by_name_or_address() {
    assert_eq!(chosen(&iface(&["nope", "eth1"]), false).1, "10.0.0.2");
    let (link, v4, ..) = chosen(&iface(&["192.0.2.11"]), false);
    assert_eq!((link.as_str(), v4.as_str()), ("eth0", "192.0.2.11"));
    let regex = IfaceOptions { iface_regex: vec!["^10[.]".to_owned()], ..iface(&["nope"]) };
    assert_eq!(chosen(&regex, false).0, "eth1");
    let regex = IfaceOptions { iface_regex: vec!["th1$".to_owned()], ..Default::default() };
    assert_eq!(chosen(&regex, false).0, "eth1");
}

#[test]
fn a_regular_expression_must_match_both_families_of_a_dual_stack() {
    let regex = IfaceOptions { iface_regex: vec!["^10[.]".to_owned()], ..Default::default() };
    assert!(matches!(choose(&regex, true, &seen()), Err(Unsuitable::None { .. })));
    let regex = IfaceOptions { iface_regex: vec!["^(192|2001)".to_owned()], ..Default::default() };
    assert_eq!(chosen(&regex, true).2.as_deref(), Some("2001:db8::10"));
}

#[test]
fn what_can_be_reached_decides_link_and_source() {
    let way = Way {
        link: LinkName::new("eth1").unwrap(),
        via: None,
        src: Some("10.0.0.2".parse().unwrap()),
    };
    let options =
        IfaceOptions { can_reach: Some("10.0.0.9".parse().unwrap()), ..Default::default() };
    let found = choose(&options, false, &Seen { reach: Some(way), ..seen() }).unwrap();
    assert_eq!((found.link.as_str(), found.mtu), ("eth1", 9000));
    let error = choose(&options, false, &seen()).unwrap_err();
    assert!(error.to_string().contains("no route to it"), "{error}");
}

#[test]
fn a_public_address_alone_names_the_interface_and_with_iface_it_may_be_anybodys() {
    let own = IfaceOptions { public_ip: Some("10.0.0.2".parse().unwrap()), ..Default::default() };
    assert_eq!(chosen(&own, false).0, "eth1");
    let nat = IfaceOptions { public_ip: Some("203.0.113.1".parse().unwrap()), ..iface(&["eth0"]) };
    let (_, v4, _, public) = chosen(&nat, false);
    assert_eq!((v4.as_str(), public.as_str()), ("192.0.2.10", "203.0.113.1"));
    let alone = IfaceOptions { iface: Vec::new(), ..nat };
    let error = choose(&alone, false, &seen()).unwrap_err().to_string();
    assert!(error.contains("name the interface with --iface"), "{error}");
    assert!(error.contains("eth1 (10.0.0.2)"), "{error}");
}

#[test]
fn lasting_addresses_come_before_others_and_deprecated_ones_are_not_used() {
    let mut seen = seen();
    let addrs = &mut seen.links[1].addrs;
    addrs[1].deprecated = true;
    addrs[3].permanent = false;
    addrs.push(addr("2001:db8::20/64"));
    let found = choose(&IfaceOptions::default(), true, &seen).unwrap();
    assert_eq!(found.v4.to_string(), "192.0.2.11");
    assert_eq!(found.v6.unwrap().to_string(), "2001:db8::20");
}

#[test]
fn what_is_missing_is_named_with_the_remedy() {
    let error = choose(&iface(&["eth1"]), true, &seen()).unwrap_err().to_string();
    assert!(error.contains("eth1 has no usable IPv6 address"), "{error}");
    let none = Seen { default_v4: None, ..seen() };
    let error = choose(&IfaceOptions::default(), false, &none).unwrap_err().to_string();
    assert!(error.contains("no IPv4 default route"), "{error}");
    let two = Seen { default_v6: Some(LinkName::new("eth1").unwrap()), ..seen() };
    let error = choose(&IfaceOptions::default(), true, &two).unwrap_err().to_string();
    assert!(error.contains("name one interface with --iface"), "{error}");
}

fn carried(options: &IfaceOptions, seen: &Seen) -> (String, String, String) {
    let found = choose_carrier(options, seen).unwrap();
    (found.link.to_string(), found.address.to_string(), found.public.to_string())
}

fn of(texts: [&str; 3]) -> (String, String, String) {
    texts.map(str::to_owned).into()
}

#[test]
fn networks_of_the_cluster_are_carried_by_ipv6_where_it_is_asked_for_or_there_is_no_ipv4() {
    let by_default = IfaceOptions::default();
    assert_eq!(carried(&by_default, &seen()), of(["eth0", "192.0.2.10", "192.0.2.10"]));
    let asked = iface(&["2001:db8::10"]);
    assert_eq!(carried(&asked, &seen()), of(["eth0", "2001:db8::10", "2001:db8::10"]));

    let only = Seen {
        links: vec![
            link("lo", 65536, &["127.0.0.1/8", "::1/128"]),
            link("eth0", 1500, &["fe80::1/64", "2001:db8::10/64"]),
            link("eth1", 1500, &["fe80::2/64"]),
        ],
        default_v4: None,
        ..seen()
    };
    let public = IfaceOptions { public_ipv6: Some("2001:db8::10".parse().unwrap()), ..iface(&[]) };
    let matching = IfaceOptions { iface_regex: vec!["^2001:".to_owned()], ..iface(&[]) };
    for options in [by_default, iface(&["eth0"]), public, matching] {
        assert_eq!(carried(&options, &only), of(["eth0", "2001:db8::10", "2001:db8::10"]));
    }
    // An address that no router leads to is none, and what was said about IPv4 is.
    let told = choose_carrier(&iface(&["eth1"]), &only).unwrap_err().to_string();
    assert!(told.contains("interface eth1 has no usable IPv4 address"), "{told}");
}

#[test]
fn an_address_of_ipv4_stays_while_it_is_there_though_its_default_route_is_gone() {
    let options = IfaceOptions::default();
    let both = seen();
    let in_force = choose_carrier(&options, &both).unwrap();
    let mut without = Seen { default_v4: None, ..both.clone() };
    without.links[1].mtu = 1400;
    assert!(choose_carrier(&options, &without).unwrap().public.is_ipv6());
    let kept = follow_carrier(&options, &without, &in_force).unwrap();
    assert_eq!(kept, Carrier { mtu: 1400, ..in_force.clone() });
    without.links[1].addrs.retain(|addr| addr.net.is_ipv6());
    let moved = follow_carrier(&options, &without, &in_force).unwrap();
    assert_eq!(moved.public.to_string(), "2001:db8::10");
    // Who began by IPv6, as what gave it IPv4 was late, goes to what the others have.
    assert_eq!(follow_carrier(&options, &both, &moved).unwrap(), in_force);
}
