//! Names of others.

use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use kernel::Netns;
use netd::dns::Server;

use super::resolver::{Resolver, addresses, code, none};
use super::site::{Container, Site, bridge, endpoint, network, on_host, query, text, wait_until};

const ONE: &str = "192.0.2.2";
const OTHER: &str = "192.0.2.3";
/// A C library asks again after this.
const CLIENT: Duration = Duration::from_secs(5);

/// Runs a test with a container that is called `web`.
fn with_container(internal: bool, test: impl FnOnce(&Site, &Server, &Container) + Send) {
    on_host(|site| {
        bridge(1);
        let mut front = network("front", 1);
        front.internal = internal;
        let server = site.serve(&[front]);
        let web = site.container(1, 2);
        server.put_endpoint(endpoint("front", 1, "web", 2));
        wait_until("the gateway answers", || web.is_served());
        test(site, &server, &web);
    });
}

#[test]
fn names_of_others_are_asked_of_the_hosts_resolver_and_kept_as_long_as_it_says() {
    with_container(false, |site, _server, web| {
        let resolver = Resolver::start(&site.outside, ONE, |question, _| {
            let name = question.queries[0].name().to_ascii();
            vec![match name.to_ascii_lowercase().as_str() {
                "kept.example." => addresses(question, &[[198, 51, 100, 1]], 300),
                "passing.example." => addresses(question, &[[198, 51, 100, 2]], 0),
                _ => code(question, ResponseCode::NXDomain),
            }]
        });
        site.resolvers(&[ONE]);
        assert_eq!(web.ask("A kept.example"), "198.51.100.1");
        assert_eq!(web.ask_tcp("A KEPT.example"), "198.51.100.1");
        assert_eq!(resolver.asked(), 1);
        assert_eq!(web.ask("A passing.example"), "198.51.100.2");
        assert_eq!(web.ask("A passing.example"), "198.51.100.2");
        assert_eq!(resolver.asked(), 3);
        // A name without a dot may be that of a host nearby.
        assert_eq!(web.ask("A printer"), "Non-Existent Domain");
        assert_eq!(web.ask("PTR 1.2.0.192.in-addr.arpa"), "Non-Existent Domain");
        assert_eq!(resolver.asked(), 5);
        // What is known here is not asked elsewhere.
        assert_eq!(web.ask("MX web"), "");
        assert_eq!(web.ask("PTR 9.0.1.10.in-addr.arpa"), "Non-Existent Domain");
        assert_eq!(resolver.asked(), 5);
    });
}

#[test]
fn a_resolver_on_a_loopback_address_of_the_host_is_asked_and_one_by_ipv6() {
    with_container(false, |site, _server, web| {
        let answers =
            |last| move |question: &_, _| vec![addresses(question, &[[198, 51, 100, last]], 300)];
        let host = Netns::current().unwrap();
        for (number, at) in [(53, "127.0.0.53"), (1, "::1")] {
            let _stub = Resolver::start(&host, at, answers(number));
            site.resolvers(&[at]);
            assert_eq!(web.ask("A name.example"), format!("198.51.100.{number}"));
        }
    });
}

#[test]
fn other_resolvers_are_asked_once_the_hosts_file_names_them() {
    with_container(false, |site, _server, web| {
        let answers =
            |last| move |question: &_, _| vec![addresses(question, &[[198, 51, 100, last]], 300)];
        let _one = Resolver::start(&site.outside, ONE, answers(1));
        let _other = Resolver::start(&site.outside, OTHER, answers(2));
        site.resolvers(&[ONE]);
        assert_eq!(web.ask("A name.example"), "198.51.100.1");
        site.resolvers(&[OTHER]);
        assert_eq!(web.ask("A name.example"), "198.51.100.2");
    });
}

#[test]
fn a_resolver_that_is_down_or_says_nothing_holds_nobody_up() {
    with_container(false, |site, _server, web| {
        let answers = |question: &_, _| vec![addresses(question, &[[198, 51, 100, 1]], 0)];
        let _other = Resolver::start(&site.outside, OTHER, answers);
        site.resolvers(&[ONE, OTHER]);
        let start = Instant::now();
        assert_eq!(web.ask("A name.example"), "198.51.100.1");
        assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
        let _silent = Resolver::start(&site.outside, ONE, |_, _| Vec::new());
        site.resolvers(&[OTHER, ONE]);
        site.resolvers(&[ONE, OTHER]);
        let start = Instant::now();
        assert_eq!(web.ask("A another.example"), "198.51.100.1");
        assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
    });
}

#[test]
fn all_resolvers_are_asked_at_once_and_a_name_that_the_first_alone_knows_is_found() {
    with_container(false, |site, _server, web| {
        let (tell, told) = mpsc::channel();
        let told = Mutex::new(told);
        let slow = move |question: &Message, _| {
            told.lock().unwrap().recv_timeout(CLIENT).expect("the other is asked, too");
            vec![addresses(question, &[[198, 51, 100, 1]], 0)]
        };
        let slow = Resolver::start(&site.outside, ONE, slow);
        let other = move |question: &Message, _| {
            tell.send(()).unwrap();
            vec![code(question, ResponseCode::NXDomain)]
        };
        let other = Resolver::start(&site.outside, OTHER, other);
        site.resolvers(&[ONE, OTHER]);
        assert_eq!(web.ask("A nas.example"), "198.51.100.1");
        assert_eq!((slow.asked(), other.asked()), (1, 1));
        // Named first, the other is believed.
        site.resolvers(&[OTHER, ONE]);
        assert_eq!(web.ask("A printer.example"), "Non-Existent Domain");
    });
}

#[test]
fn a_first_resolver_that_is_slow_for_once_is_still_asked_first_and_what_it_did_not_say_is_not_kept()
{
    with_container(false, |site, _server, web| {
        let (go, gone) = mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let first = move |question: &Message, _| {
            let is_slow = question.queries[0].name().to_ascii() == "slow.example.";
            // For as long as `go` is there.
            let _ = is_slow.then(|| gone.lock().unwrap().recv());
            vec![addresses(question, &[[198, 51, 100, 1]], 300)]
        };
        let _first = Resolver::start(&site.outside, ONE, first);
        let _other = Resolver::start(&site.outside, OTHER, |question, _| vec![none(question, 300)]);
        site.resolvers(&[ONE, OTHER]);
        assert_eq!(web.ask("A slow.example"), "Non-Existent Domain");
        drop(go);
        for name in ["nas.example", "slow.example"] {
            let is_found = || web.ask(&format!("A {name}")) == "198.51.100.1";
            wait_until("the first is heard", is_found);
        }
    });
}

#[test]
fn a_first_resolver_that_says_nothing_at_all_is_soon_waited_for_no_more() {
    with_container(false, |site, _server, web| {
        let silent = Resolver::start(&site.outside, ONE, |_, _| Vec::new());
        let _other = Resolver::start(&site.outside, OTHER, |question, _| vec![none(question, 0)]);
        site.resolvers(&[ONE, OTHER]);
        wait_until("the other is believed at once", || {
            let start = Instant::now();
            assert_eq!(web.ask("A no.example"), "Non-Existent Domain");
            start.elapsed() < Duration::from_millis(250)
        });
        // What has no answer is sent again.
        assert!(silent.asked() > 1);
    });
}

#[test]
fn without_a_good_answer_a_container_is_told_so_before_it_asks_again() {
    with_container(false, |site, _server, web| {
        site.resolvers(&[ONE, OTHER]);
        assert_eq!(web.ask("A down.example"), "Server Failure");
        let broken = |question: &_, _| vec![code(question, ResponseCode::ServFail)];
        let broken = Resolver::start(&site.outside, ONE, broken);
        assert_eq!(web.ask("A broken.example"), "Server Failure");
        drop(broken);
        let _silent = Resolver::start(&site.outside, ONE, |_, _| Vec::new());
        let start = Instant::now();
        assert_eq!(web.ask("A silent.example"), "Server Failure");
        assert!(start.elapsed() < CLIENT, "{:?}", start.elapsed());
        // Meanwhile others are answered.
        assert_eq!(web.ask("A web"), "10.1.0.2");
    });
}

#[test]
fn an_answer_with_another_number_or_to_another_question_is_not_believed() {
    with_container(false, |site, _server, web| {
        let _liar = Resolver::start(&site.outside, ONE, |question, _| {
            let mut numbered = addresses(question, &[[203, 0, 113, 1]], 300);
            numbered.metadata.id = !question.metadata.id;
            let mut other = addresses(&query("A other.example", None), &[[203, 0, 113, 2]], 300);
            other.metadata.id = question.metadata.id;
            let mut echo = question.clone();
            echo.answers = addresses(question, &[[203, 0, 113, 3]], 300).answers;
            vec![numbered, other, echo, addresses(question, &[[198, 51, 100, 1]], 300)]
        });
        site.resolvers(&[ONE]);
        assert_eq!(web.ask("A name.example"), "198.51.100.1");
    });
}

#[test]
fn an_answer_that_fits_into_no_datagram_is_fetched_by_tcp_and_given_as_the_client_takes_it() {
    with_container(false, |site, _server, web| {
        let resolver = Resolver::start(&site.outside, ONE, |question, by_stream| {
            let many: Vec<[u8; 4]> = (1..=60).map(|last| [198, 51, 100, last]).collect();
            let mut answer = addresses(question, &many, 300);
            if !by_stream {
                answer.metadata.truncation = true;
                answer.answers.truncate(1);
            }
            vec![answer]
        });
        site.resolvers(&[ONE]);
        let gateway = web.gateway;
        let part = web.datagram(gateway, &query("A many.example", None)).expect("an answer");
        assert!(part.metadata.truncation && part.answers.len() > 20, "{part}");
        let whole = web.datagram(gateway, &query("A many.example", Some(4096))).expect("an answer");
        assert!(!whole.metadata.truncation && whole.answers.len() == 60, "{whole}");
        assert_eq!(web.ask_tcp("A many.example").split(' ').count(), 60);
        assert_eq!(resolver.asked(), 2, "by UDP and TCP");
    });
}

#[test]
fn a_container_with_internal_networks_alone_makes_nobody_ask_a_resolver() {
    with_container(true, |site, server, web| {
        let answers = |question: &_, _| vec![addresses(question, &[[198, 51, 100, 1]], 300)];
        let resolver = Resolver::start(&site.outside, ONE, answers);
        site.resolvers(&[ONE]);
        for question in ["A name.example", "A printer", "TXT data.evil.example", "NS com"] {
            assert_eq!(web.ask(question), "Non-Existent Domain", "{question}");
            assert_eq!(web.ask_tcp(question), "Non-Existent Domain", "{question}");
        }
        assert_eq!(resolver.asked(), 0);
        // One more network leads out.
        bridge(2);
        server.put_network(network("out", 2));
        server.put_endpoint(endpoint("out", 2, "web", 2));
        assert_eq!(web.ask("A name.example"), "198.51.100.1");
        server.remove_network("id-of-out");
        assert_eq!(web.ask("A name.example"), "Non-Existent Domain");
    });
}

#[test]
fn a_resolver_that_is_the_server_itself_is_not_asked() {
    with_container(false, |site, _server, web| {
        site.resolvers(&["10.1.0.1", "fd01::1"]);
        let start = Instant::now();
        assert_eq!(
            text(&web.datagram(web.gateway, &query("A name.example", None)).unwrap()),
            "Server Failure"
        );
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    });
}
