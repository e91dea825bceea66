use std::time::{Duration, Instant};

use hickory_proto::op::Query;
use hickory_proto::rr::{DNSClass, Name, RecordType};

use super::*;

/// Digits of a container's id, of which the first are its short one.
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn network(name: &str, internal: bool, subnets: &[&str]) -> Network {
    Network {
        id: format!("id-of-{name}"),
        name: name.to_owned(),
        internal,
        named: name != "bridge",
        gateways: Vec::new(),
        apart: false,
        subnets: subnets.iter().map(|subnet| subnet.parse().expect("a subnet")).collect(),
    }
}

fn endpoint(network: &str, container: &str, names: &[&str], addresses: &[&str]) -> Endpoint {
    Endpoint {
        key: EndpointKey {
            network: format!("id-of-{network}"),
            container: container.to_owned(),
            interface: "eth0".to_owned(),
        },
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        addresses: addresses.iter().map(|ip| ip.parse().expect("an address")).collect(),
    }
}

fn names() -> Names {
    Names {
        networks: vec![
            network("front", false, &["10.1.0.0/24", "fd01::/64"]),
            network("back", true, &["10.2.0.0/24"]),
            network("lan", false, &["192.168.7.0/24"]),
            network("bridge", false, &["172.17.0.0/16"]),
            network("Other.Net", false, &["10.9.0.0/24"]),
        ],
        endpoints: vec![
            endpoint("front", ID, &["Web1", "web"], &["10.1.0.2", "fd01::2"]),
            endpoint("front", "pod-2", &["web2", "web", "api.example.org"], &["10.1.0.3"]),
            endpoint("front", "app", &["app"], &["10.1.0.4"]),
            endpoint("back", "app", &["app", "hidden"], &["10.2.0.4"]),
            endpoint("lan", "app", &[], &["192.168.7.4"]),
            endpoint("back", "db", &["db"], &["10.2.0.2"]),
            endpoint("bridge", "plain", &["plain"], &["172.17.0.2"]),
            endpoint("bridge", "half", &["half"], &["172.17.0.3"]),
            endpoint("back", "half", &["half"], &["10.2.0.3"]),
            endpoint("Other.Net", "far", &["far"], &["10.9.0.2"]),
        ],
    }
}

fn zone(now: Instant) -> Zone {
    let mut zone = Zone::default();
    zone.update(names(), now);
    zone
}

/// What `source` gets to know on a network, as text.
fn ask(zone: &Zone, (network, source): (&str, &str), question: &str, now: Instant) -> String {
    ask_turn(zone, (network, source), question, 0, now)
}

fn ask_turn(
    zone: &Zone,
    (network, source): (&str, &str),
    question: &str,
    turn: usize,
    now: Instant,
) -> String {
    let (kind, name) = question.split_once(' ').expect("a type and a name");
    let mut query = Query::new();
    query.set_name(Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).expect("a name"));
    query.set_query_type(kind.parse().expect("a type"));
    query.set_query_class(DNSClass::IN);
    let network = format!("id-of-{network}");
    let client = Client { network: &network, source: source.parse().expect("an address") };
    match zone.answer(client, &query, turn, now) {
        Verdict::Records(records) => {
            assert!(records.iter().all(|record| record.ttl == 0 && record.name == *query.name()));
            let texts: Vec<String> = records.iter().map(|record| record.data.to_string()).collect();
            if texts.is_empty() { "nothing".to_owned() } else { texts.join(" ") }
        }
        Verdict::NoName => "no name".to_owned(),
        Verdict::Forward => "others".to_owned(),
        Verdict::Refuse => "refused".to_owned(),
    }
}

#[test]
fn a_container_knows_the_names_of_the_networks_that_it_is_on_and_no_others() {
    let now = Instant::now();
    let zone = zone(now);
    let (web, app, db) = (("front", "10.1.0.3"), ("front", "10.1.0.4"), ("back", "10.2.0.2"));
    let cases = [
        // By its names, an alias that two have, in any case, and with the network's name.
        (web, "A web1", "10.1.0.2"),
        (web, "AAAA web1", "fd01::2"),
        (web, "A WEB1.", "10.1.0.2"),
        (web, "A web1.front", "10.1.0.2"),
        (web, "A wEb1.fRONT", "10.1.0.2"),
        (web, "A web", "10.1.0.2 10.1.0.3"),
        (web, "ANY web1", "10.1.0.2 fd01::2"),
        (web, "A api.example.org", "10.1.0.3"),
        (web, "A api.example.org.front", "10.1.0.3"),
        // By the short id, by an id that fits into a label, and its own.
        (web, "A 0123456789ab", "10.1.0.2"),
        (web, "A 0123456789AB.front", "10.1.0.2"),
        (web, "A pod-2", "10.1.0.3"),
        // None of the other family, and of no other type, but the name is there.
        (web, "AAAA web2", "nothing"),
        (web, "MX web1", "nothing"),
        (web, "TXT app", "nothing"),
        // Names of networks that this one is not on are as any other's.
        (web, "A db", "others"),
        (web, "A db.back", "others"),
        (web, "A hidden", "others"),
        (web, "A far.other.net", "others"),
        (web, "A example.com", "others"),
        (web, "A web.front.example", "others"),
        (web, "NS .", "others"),
        // One that is on several knows all of them, whichever it asks on, also one without a server.
        (app, "A web2", "10.1.0.3"),
        (app, "A db", "10.2.0.2"),
        (app, "A app", "10.2.0.4 10.1.0.4 192.168.7.4"),
        (app, "A app.lan", "192.168.7.4"),
        (app, "A app.back", "10.2.0.4"),
        (("back", "10.2.0.4"), "A web2", "10.1.0.3"),
        (("back", "10.2.0.4"), "A example.com", "others"),
        (("Other.Net", "10.9.0.2"), "A far.OTHER.net", "10.9.0.2"),
        // With internal networks alone nobody else is asked.
        (db, "A app", "10.2.0.4"),
        (db, "A example.com", "no name"),
        (db, "A web1", "no name"),
        (db, "A web1.front", "no name"),
        // Docker's default bridge has no names; still it leads out.
        (("bridge", "172.17.0.2"), "A plain", "others"),
        (("bridge", "172.17.0.2"), "A plain.bridge", "others"),
        (("back", "10.2.0.3"), "A db", "10.2.0.2"),
        (("back", "10.2.0.3"), "A plain", "others"),
        // The host's own name for itself (RFC 6761).
        (db, "A localhost", "127.0.0.1"),
        (db, "AAAA x.localhost", "::1"),
        // Addresses that nobody has on the network where they ask.
        (("front", "10.1.0.9"), "A web1", "refused"),
        (("front", "10.2.0.2"), "A web1", "refused"),
        (("front", "10.1.0.1"), "A example.com", "refused"),
        (("nowhere", "10.1.0.2"), "A web1", "refused"),
    ];
    for (client, question, answer) in cases {
        assert_eq!(ask(&zone, client, question, now), answer, "{client:?} asks {question}");
    }
}

#[test]
fn an_address_has_the_first_name_of_its_container() {
    let now = Instant::now();
    let mut zone = zone(now);
    zone.put_endpoint(endpoint("front", "nameless", &[], &["10.1.0.7"]), now);
    let arpa = |ip: &str| {
        let ip: IpAddr = ip.parse().expect("an address");
        match ip {
            IpAddr::V4(ip) => Name::from(ip),
            IpAddr::V6(ip) => Name::from(ip),
        }
    };
    let (web, app, db) = (("front", "10.1.0.3"), ("front", "10.1.0.4"), ("back", "10.2.0.2"));
    for (client, kind, ip, answer) in [
        (web, "PTR", "10.1.0.2", "web1.front."),
        (web, "PTR", "fd01::2", "web1.front."),
        (web, "A", "10.1.0.2", "nothing"),
        (web, "PTR", "10.1.0.7", "nameless.front."),
        (app, "PTR", "192.168.7.4", "app.lan."),
        (app, "PTR", "10.2.0.2", "db.back."),
        // Nobody's, in a subnet that is known here: no resolver knows more of it.
        (web, "PTR", "10.1.0.9", "no name"),
        (web, "PTR", "10.1.0.1", "no name"),
        (web, "PTR", "fd01::9", "no name"),
        // Elsewhere.
        (web, "PTR", "10.2.0.2", "others"),
        (web, "PTR", "192.0.2.1", "others"),
        (db, "PTR", "192.0.2.1", "no name"),
        (db, "PTR", "10.1.0.2", "no name"),
    ] {
        let question = format!("{kind} {}", arpa(ip));
        assert_eq!(ask(&zone, client, &question, now), answer, "{client:?} asks {question}");
    }
    // A part of an address is none.
    assert_eq!(ask(&zone, web, "PTR 0.1.10.in-addr.arpa", now), "others");
    assert_eq!(ask(&zone, web, "PTR x.0.1.10.in-addr.arpa", now), "others");
}

#[test]
fn of_several_addresses_another_one_is_first_each_time() {
    let now = Instant::now();
    let zone = zone(now);
    let ask = |turn| ask_turn(&zone, ("front", "10.1.0.4"), "A web", turn, now);
    assert_eq!(ask(0), "10.1.0.2 10.1.0.3");
    assert_eq!(ask(1), "10.1.0.3 10.1.0.2");
    assert_eq!(ask(2), "10.1.0.2 10.1.0.3");
}

#[test]
fn a_name_that_is_gone_is_nobodys_and_nobody_else_is_asked_for_it() {
    let now = Instant::now();
    let mut zone = zone(now);
    let client = ("front", "10.1.0.4");
    let gone = |names: &[&str], id| endpoint("front", id, names, &[]).key;
    zone.remove_endpoint(&gone(&[], "pod-2"), now);
    for question in ["A web2", "AAAA web2", "A web2.front", "A pod-2", "A pod-2.front"] {
        assert_eq!(ask(&zone, client, question, now), "no name", "{question}");
    }
    // Another one still has the alias; and the name that stood in for one on the internet does so no more.
    assert_eq!(ask(&zone, client, "A web", now), "10.1.0.2");
    assert_eq!(ask(&zone, client, "A api.example.org", now), "others");
    // It asks no more either.
    assert_eq!(ask(&zone, ("front", "10.1.0.3"), "A web1", now), "refused");
    // After an hour it may be some other host's.
    let later = now + Duration::from_secs(3600);
    assert_eq!(ask(&zone, client, "A web2", later), "others");
    // And it may come back, with another address.
    zone.put_endpoint(endpoint("front", "new", &["web2"], &["10.1.0.3"]), now);
    assert_eq!(ask(&zone, client, "A web2", now), "10.1.0.3");
    zone.put_endpoint(endpoint("front", "new", &["web2"], &["10.1.0.8"]), now);
    assert_eq!(ask(&zone, client, "A web2", now), "10.1.0.8");
    assert_eq!(ask(&zone, ("front", "10.1.0.3"), "A web2", now), "refused");
}

#[test]
fn what_is_told_anew_replaces_all_that_was_told() {
    let now = Instant::now();
    let mut zone = zone(now);
    let mut less = names();
    less.networks.retain(|network| network.name != "lan");
    less.endpoints
        .retain(|endpoint| endpoint.key.container != ID && !endpoint.key.network.ends_with("lan"));
    zone.update(less, now);
    let app = ("front", "10.1.0.4");
    assert_eq!(ask(&zone, app, "A web1", now), "no name");
    assert_eq!(ask(&zone, app, "A app", now), "10.2.0.4 10.1.0.4");
    assert_eq!(ask(&zone, app, "A app.lan", now), "others");
    zone.update(names(), now);
    assert_eq!(ask(&zone, app, "A web1", now), "10.1.0.2");
    zone.update(Names::default(), now);
    assert_eq!(ask(&zone, app, "A web1", now), "refused");
    assert!(zone.nets.is_empty() && zone.joined.is_empty());
}

#[test]
fn an_address_that_another_container_has_got_is_the_other_ones() {
    let now = Instant::now();
    let mut zone = zone(now);
    zone.put_endpoint(endpoint("front", "next", &["next"], &["10.1.0.3"]), now);
    zone.remove_endpoint(&endpoint("front", "pod-2", &[], &[]).key, now);
    assert_eq!(ask(&zone, ("front", "10.1.0.3"), "A next", now), "10.1.0.3");
}

#[test]
fn no_more_names_that_are_gone_are_remembered_than_there_is_room_for() {
    let start = Instant::now();
    let mut zone = zone(start);
    for number in 0..5000_u64 {
        let now = start + Duration::from_millis(number);
        let passing = endpoint("front", "passing", &[&format!("n{number}")], &[]);
        zone.put_endpoint(passing.clone(), now);
        zone.remove_endpoint(&passing.key, now);
    }
    let client = ("front", "10.1.0.4");
    let now = start + Duration::from_secs(6);
    assert_eq!(ask(&zone, client, "A n4999", now), "no name");
    assert_eq!(ask(&zone, client, "A n0", now), "others");
}

#[test]
fn nothing_is_answered_of_another_class() {
    let now = Instant::now();
    let mut query = Query::query(Name::from_ascii("web1.").expect("a name"), RecordType::A);
    query.set_query_class(DNSClass::CH);
    let source = IpAddr::from([10, 1, 0, 3]);
    let client = Client { network: "id-of-front", source };
    assert_eq!(zone(now).answer(client, &query, 0, now), Verdict::Refuse);
}
