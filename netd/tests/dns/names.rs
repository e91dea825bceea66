//! What a container gets to know of others.

use std::fs;

use kernel::testing::{sh, sh_in};
use netd::dns::Names;

use super::site::{bridge, endpoint, network, on_host, query, text, wait_until};

#[test]
fn a_container_finds_others_on_its_gateway_by_udp_and_tcp_and_by_both_families() {
    on_host(|site| {
        bridge(1);
        let server = site.serve(&[network("front", 1)]);
        let web = site.container(1, 2);
        let mut named = endpoint("front", 1, "0123456789abcdef", 3);
        named.names = vec!["db".to_owned(), "sql".to_owned()];
        server.put_endpoint(named);
        server.put_endpoint(endpoint("front", 1, "web", 2));
        wait_until("the gateway answers", || web.is_served());
        for (question, answer) in [
            ("A db", "10.1.0.3"),
            ("AAAA sql.front", "fd01::3"),
            ("A 0123456789ab", "10.1.0.3"),
            ("MX db", ""),
            ("PTR 3.0.1.10.in-addr.arpa", "db.front."),
        ] {
            assert_eq!(web.ask(question), answer, "{question}");
            assert_eq!(web.ask_tcp(question), answer, "{question} by TCP");
            let by_ipv6 = web.datagram("fd01::1".parse().unwrap(), &query(question, Some(1232)));
            assert_eq!(text(&by_ipv6.expect("an answer")), answer, "{question} by IPv6");
        }
    });
}

#[test]
fn programs_of_the_c_library_find_names_by_a_resolv_conf_with_the_gateway() {
    on_host(|site| {
        bridge(1);
        let server = site.serve(&[network("front", 1)]);
        let web = site.container(1, 2);
        server.put_endpoint(endpoint("front", 1, "web", 2));
        server.put_endpoint(endpoint("front", 1, "db", 3));
        wait_until("the gateway answers", || web.is_served());
        // The mounts are this test's own.
        fs::write("/run/resolv.conf", "nameserver 10.1.0.1\noptions ndots:0\n").unwrap();
        sh("mount --bind /run/resolv.conf $(readlink -f /etc/resolv.conf)");
        let getent = |words: &str| sh_in(&web.netns, &format!("getent {words}"));
        assert!(getent("ahostsv4 db").starts_with("10.1.0.3 "));
        assert!(getent("ahostsv6 DB.Front").starts_with("fd01::3 "));
        assert!(getent("hosts 10.1.0.3").ends_with(" db.front\n"));
        server.remove_endpoint(&endpoint("front", 1, "db", 3).key);
        let gone = sh_in(&web.netns, "getent hosts db || echo $?");
        assert_eq!(gone, "2\n", "one or more of the keys are not found");
    });
}

#[test]
fn a_name_is_there_when_it_is_told_of_and_gone_when_its_end_is() {
    on_host(|site| {
        bridge(1);
        let server = site.serve(&[network("front", 1)]);
        let web = site.container(1, 2);
        server.put_endpoint(endpoint("front", 1, "web", 2));
        wait_until("the gateway answers", || web.is_served());
        for round in 0..200_u8 {
            let db = endpoint("front", 1, "db", 3 + round % 100);
            let address = db.addresses[0].to_string();
            let key = db.key.clone();
            server.put_endpoint(db);
            assert_eq!(web.ask("A db.front"), address);
            server.remove_endpoint(&key);
            assert_eq!(web.ask("A db.front"), "Non-Existent Domain");
            assert_eq!(web.ask("A db"), "Non-Existent Domain");
        }
        let networks = vec![network("front", 1)];
        let endpoints = vec![endpoint("front", 1, "web", 2), endpoint("front", 1, "new", 9)];
        server.update(Names { networks, endpoints });
        assert_eq!(web.ask("A new"), "10.1.0.9");
    });
}

#[test]
fn a_container_on_two_networks_knows_both_wherever_it_asks_and_others_their_own() {
    on_host(|site| {
        bridge(1);
        bridge(2);
        let mut back = network("back", 2);
        back.internal = true;
        let server = site.serve(&[network("front", 1), back]);
        let (app, db) = (site.container(1, 2), site.container(2, 3));
        server.put_endpoint(endpoint("front", 1, "app", 2));
        server.put_endpoint(endpoint("back", 2, "app", 2));
        server.put_endpoint(endpoint("back", 2, "db", 3));
        server.put_endpoint(endpoint("front", 1, "web", 4));
        wait_until("both gateways answer", || app.is_served() && db.is_served());
        assert_eq!(app.ask("A db"), "10.2.0.3");
        assert_eq!(app.ask("A app"), "10.1.0.2 10.2.0.2");
        assert_eq!(db.ask("A app"), "10.2.0.2 10.1.0.2".split(' ').next().unwrap());
        assert_eq!(db.ask("A web"), "Non-Existent Domain");
        server.remove_endpoint(&endpoint("back", 2, "app", 2).key);
        assert_eq!(db.ask("A app"), "Non-Existent Domain");
        assert_eq!(app.ask("A app"), "10.1.0.2");
    });
}
