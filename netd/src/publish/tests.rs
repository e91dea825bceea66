use proptest::prelude::*;

use super::{HostPort, Publication, Transport, parse};

/// The first port of each text, as one line: `ADDRESS HOST -> CONTAINER/PROTOCOL`.
fn line(publication: &Publication) -> String {
    let host = match publication.host_port {
        HostPort::Any => "any".to_owned(),
        HostPort::One(port) => port.to_string(),
        HostPort::OneOf(first, last) => format!("one of {first}-{last}"),
    };
    let ip = publication.host_ip.map_or("*".to_owned(), |ip| ip.to_string());
    format!("{ip} {host} -> {}/{}", publication.container_port, publication.protocol.name())
}

#[test]
fn every_form_of_dockers_is_read() {
    for (text, want) in [
        ("80", &["* any -> 80/tcp"][..]),
        ("80/udp", &["* any -> 80/udp"]),
        ("8080:80", &["* 8080 -> 80/tcp"]),
        ("8080:80/SCTP", &["* 8080 -> 80/sctp"]),
        (":80", &["* any -> 80/tcp"]),
        ("0:80", &["* any -> 80/tcp"]),
        ("127.0.0.1:8080:80", &["127.0.0.1 8080 -> 80/tcp"]),
        ("127.0.0.1::80", &["127.0.0.1 any -> 80/tcp"]),
        ("0.0.0.0:8080:80", &["0.0.0.0 8080 -> 80/tcp"]),
        ("[::1]:8080:80", &["::1 8080 -> 80/tcp"]),
        ("::1:8080:80", &["::1 8080 -> 80/tcp"]),
        ("[2001:db8::7]::80/udp", &["2001:db8::7 any -> 80/udp"]),
        ("[::ffff:192.0.2.1]:8080:80", &["192.0.2.1 8080 -> 80/tcp"]),
        ("8000-8010:80", &["* one of 8000-8010 -> 80/tcp"]),
        ("8000-8001:9000-9001", &["* 8000 -> 9000/tcp", "* 8001 -> 9001/tcp"]),
        ("9000-9001", &["* any -> 9000/tcp", "* any -> 9001/tcp"]),
        ("8000-8000:80", &["* 8000 -> 80/tcp"]),
        ("65535:65535", &["* 65535 -> 65535/tcp"]),
        ("target=80,published=8080", &["* 8080 -> 80/tcp"]),
        ("target=80,published=8080,protocol=udp,mode=host", &["* 8080 -> 80/udp"]),
        ("target=80", &["* any -> 80/tcp"]),
    ] {
        let got = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(got.iter().map(line).collect::<Vec<_>>(), want, "{text}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_in_dockers_words() {
    for (text, want) in [
        ("", "no port specified: "),
        ("8080:", "no port specified: 8080:"),
        ("8080:/tcp", "no port specified: 8080:/tcp"),
        ("target=,published=80", "no port specified"),
        ("published=80", "no port specified"),
        ("host:8080:80", "invalid IP address: host"),
        ("[::1:8080:80", "invalid IP address: [::1"),
        ("192.0.2.300:8080:80", "invalid IP address: 192.0.2.300"),
        ("a:80", "invalid hostPort: a"),
        ("8080:b", "invalid containerPort: b"),
        ("8080:0", "invalid containerPort: 0"),
        ("0-9:80", "invalid hostPort: 0-9"),
        ("65536:80", "invalid hostPort: 65536"),
        ("+80", "invalid containerPort: +80"),
        ("-80", "invalid containerPort: -80"),
        ("80-", "invalid containerPort: 80-"),
        ("90-80", "invalid containerPort: 90-80: the range ends before it begins"),
        (
            "8000-8002:80-81",
            "invalid ranges specified for container and host Ports: 80-81 and 8000-8002",
        ),
        ("8000:80-81", "invalid ranges specified for container and host Ports: 80-81 and 8000"),
        ("80/icmp", "invalid proto: icmp"),
        ("80/", "invalid proto: "),
        ("80/tcp/udp", "invalid proto: tcp/udp"),
        (
            "target=80,published",
            "invalid publish opts format (should be name=value but got 'published')",
        ),
        ("target=80,ip=127.0.0.1", "invalid publish option ip=127.0.0.1"),
        ("target=80,mode=ingress", "invalid publish option mode=ingress"),
    ] {
        let told = parse(text).expect_err(text).to_string();
        assert!(told.starts_with(want), "{text}: {told}");
    }
}

/// As a user would write it.
fn written(publication: &Publication) -> String {
    let ip = match publication.host_ip {
        None => String::new(),
        Some(ip) if ip.is_ipv6() => format!("[{ip}]:"),
        Some(ip) => format!("{ip}:"),
    };
    let host = match publication.host_port {
        HostPort::Any => ":".to_owned(),
        HostPort::One(port) => format!("{port}:"),
        HostPort::OneOf(first, last) => format!("{first}-{last}:"),
    };
    format!("{ip}{host}{}/{}", publication.container_port, publication.protocol.name())
}

fn publications() -> impl Strategy<Value = Publication> {
    let ip = prop::option::of(any::<std::net::IpAddr>().prop_map(|ip| ip.to_canonical()));
    let host = prop_oneof![
        Just(HostPort::Any),
        (1..=u16::MAX).prop_map(HostPort::One),
        (1..u16::MAX)
            .prop_flat_map(|first| (Just(first), first + 1..=u16::MAX))
            .prop_map(|(first, last)| HostPort::OneOf(first, last)),
    ];
    let protocol = prop::sample::select(Transport::ALL.to_vec());
    (ip, host, 1..=u16::MAX, protocol).prop_map(|(host_ip, host_port, container_port, protocol)| {
        Publication { host_ip, host_port, container_port, protocol }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was_meant(publication in publications()) {
        prop_assert_eq!(parse(&written(&publication)), Ok(vec![publication]));
    }

    #[test]
    fn ranges_of_one_length_are_pairs(
        host in 1..60_000_u16, container in 1..60_000_u16, more in 0..5_000_u16,
    ) {
        let text = format!("{host}-{}:{container}-{}", host + more, container + more);
        let read = parse(&text).unwrap();
        prop_assert_eq!(read.len(), usize::from(more) + 1);
        for (at, one) in (0..).zip(read) {
            prop_assert_eq!(one.host_port, HostPort::One(host + at));
            prop_assert_eq!(one.container_port, container + at);
        }
    }

    #[test]
    fn a_parser_of_ports_survives_any_input(text in "[0-9a-z:./=,\\[\\] -]{0,40}") {
        if let Ok(read) = parse(&text) {
            prop_assert!(!read.is_empty() && read.iter().all(|one| one.container_port > 0), "{text}");
        }
    }
}
