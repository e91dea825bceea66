//! What firewalld's answers mean, and what a bus that breaks the protocol leads to.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::{Error, Firewalld};
use super::fake_bus::{self, FakeBus, Line, flag, message, refusal, reply_to, signal, text};
use super::{HASTY, PATIENT, chain, connect};

fn client(answers: Vec<Vec<u8>>) -> (FakeBus, Firewalld) {
    let bus = FakeBus::with_answers(answers);
    let client = connect(&bus, PATIENT).expect("a bus").expect("with firewalld");
    (bus, client)
}

fn net() -> ipnetwork::IpNetwork {
    "10.88.0.4/32".parse().expect("a network")
}

#[test]
fn calls_carry_zone_and_network() {
    let bus = FakeBus::new(|mut line| {
        line.log_in();
        line.answer(&flag(true));
        for member in ["addSource", "querySource", "removeSource"] {
            let answer = if member == "querySource" { flag(true) } else { text("trusted") };
            let heard = line.answer(&answer);
            let words = [
                member,
                "org.fedoraproject.FirewallD1",
                "org.fedoraproject.FirewallD1.zone",
                "/org/fedoraproject/FirewallD1",
                "trusted",
                "fd00::4/128",
            ];
            assert!(words.iter().all(|word| heard.has(word)), "{:?}", heard.bytes);
        }
    });
    let mut client = connect(&bus, PATIENT).expect("a bus").expect("with firewalld");
    let net = "fd00::4/128".parse().expect("a network");
    client.add_source("trusted", net).expect("added");
    assert!(client.query_source("trusted", net).expect("an answer"));
    client.remove_source("trusted", net).expect("removed");
}

#[test]
fn adding_what_is_there_and_removing_what_is_not_succeed() {
    let (_bus, mut client) = client(vec![
        refusal("ZONE_ALREADY_SET: '10.88.0.4/32' already bound to 'trusted'"),
        refusal("ZONE_ALREADY_SET"),
        refusal("UNKNOWN_SOURCE: '10.88.0.4/32' is not in any zone"),
        refusal("ZONE_CONFLICT: remove_source(trusted, 10.88.0.4/32): zos='work'"),
        refusal("INVALID_ZONE: trusted"),
        fake_bus::error("org.freedesktop.DBus.Error.NameHasNoOwner", "it went away"),
    ]);
    for _ in 0..2 {
        client.add_source("trusted", net()).expect("there already");
    }
    for _ in 0..4 {
        client.remove_source("trusted", net()).expect("not there");
    }
}

#[test]
fn other_refusals_are_errors_that_name_zone_network_and_reason() {
    let conflict = "ZONE_CONFLICT: '10.88.0.4/32' already bound to a zone";
    let foreign = "ZONE_ALREADY_SET: said by another service";
    let (_bus, mut client) = client(vec![
        refusal(conflict),
        refusal("UNKNOWN_SOURCE"),
        fake_bus::error("org.freedesktop.DBus.Error.AccessDenied", foreign),
        refusal("COMMAND_FAILED: ZONE_CONFLICT: nft said no"),
        refusal("INVALID_ZONE: trusted"),
        message(3, &[(4, b's', fake_bus::string("org.example.Bare"))], "", &[]),
        text("yes"),
    ]);
    let said = [
        (client.add_source("trusted", net()), conflict),
        (client.add_source("trusted", net()), "UNKNOWN_SOURCE"),
        (client.add_source("trusted", net()), foreign),
        (client.remove_source("trusted", net()), "COMMAND_FAILED"),
        (client.query_source("trusted", net()).map(drop), "INVALID_ZONE"),
        (client.remove_source("trusted", net()), "org.example.Bare"),
        (client.query_source("trusted", net()).map(drop), "not a boolean"),
    ];
    for (result, reason) in said {
        let error = chain(&result.expect_err(reason));
        let named = [reason, "10.88.0.4/32", "\"trusted\""];
        assert!(named.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn a_zone_with_a_zero_byte_is_refused_before_it_is_sent() {
    let (_bus, mut client) = client(vec![text("trusted")]);
    let error = client.add_source("tru\0sted", net()).expect_err("no D-Bus text");
    assert!(chain(&error).contains("tru\\0sted"), "{}", chain(&error));
    client.add_source("trusted", net()).expect("the connection still serves");
}

#[test]
fn signals_and_answers_to_others_are_passed_over() {
    let bus = FakeBus::new(|mut line| {
        line.log_in();
        let heard = line.hear_call();
        line.say(&signal());
        line.say(&reply_to(&flag(false), heard.serial + 1));
        line.say(&reply_to(&flag(true), heard.serial));
    });
    assert!(connect(&bus, PATIENT).expect("an answer").is_some());
}

/// The error of a client that asks a bus which says `answer` to its first call.
fn after(answer: impl FnOnce(&mut Line) + Send + 'static) -> String {
    let bus = FakeBus::new(|mut line| {
        line.log_in();
        answer(&mut line);
        line.hold();
    });
    chain(&connect(&bus, PATIENT).expect_err("a broken bus"))
}

#[test]
fn malformed_answers_are_errors() {
    let say = |bytes: Vec<u8>| move |line: &mut Line| drop(line.answer(&bytes));
    let with = |at: usize, byte: u8| {
        let mut bytes = flag(true);
        bytes[at] = byte;
        bytes
    };
    let cases: [(Vec<u8>, &str); 8] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "no D-Bus message"),
        (with(3, 2), "no D-Bus message"),
        (message(2, &[(4, b's', vec![200, 0, 0, 0, b'x', 0])], "b", &[1, 0, 0, 0]), "too early"),
        (message(2, &[(4, b's', b"\x01\0\0\0xy".to_vec())], "b", &[1, 0, 0, 0]), "final zero"),
        (message(2, &[(9, b'(', vec![0; 4])], "b", &[1, 0, 0, 0]), "a type we do not know"),
        (message(2, &[], "b", &[2, 0, 0, 0]), "not 0 or 1"),
        (message(2, &[], "b", &[]), "too early"),
        (message(2, &[], "s", b"\x02\0\0\0\xff\xfe\0"), "not UTF-8"),
    ];
    for (bytes, why) in cases {
        let error = after(say(bytes));
        assert!(error.contains(why), "{why}: {error}");
        assert!(error.contains("whether org.fedoraproject.FirewallD1 runs"), "{error}");
    }
}

#[test]
fn oversized_answers_are_refused_by_their_head() {
    for (at, size) in [(4, u32::MAX), (12, u32::MAX), (4, 65 * 1024), (12, 65 * 1024)] {
        let mut bytes = flag(true);
        bytes[at..at + 4].copy_from_slice(&size.to_le_bytes());
        let error = after(move |line| drop(line.answer(&bytes)));
        assert!(error.contains("over our limit"), "{error}");
    }
}

#[test]
fn a_bus_that_hangs_up_is_an_error_wherever_it_does() {
    let talks: [fn(Line); 5] = [
        drop,
        |mut line| line.hear_login(),
        |mut line| {
            line.hear_login();
            line.say(b"DATA\r\nOK 01");
        },
        |mut line| line.log_in(),
        |mut line| {
            line.log_in();
            line.hear_call();
            line.say(&flag(true)[..20]);
        },
    ];
    for talk in talks {
        let error = chain(&connect(&FakeBus::new(talk), PATIENT).expect_err("closed"));
        assert!(error.ends_with("it closed the connection"), "{error}");
    }
}

#[test]
fn a_refused_login_tells_what_the_bus_said() {
    let bus = FakeBus::new(|mut line| {
        line.hear_login();
        line.say(b"REJECTED EXTERNAL\r\n");
        line.hold();
    });
    let error = chain(&connect(&bus, PATIENT).expect_err("refused"));
    assert!(error.contains(bus.address()) && error.ends_with("\"REJECTED EXTERNAL\""), "{error}");
}

#[test]
fn a_login_without_end_is_cut() {
    let endless: [&[u8]; 2] = [b"DATA\r\n", b"O"];
    for bytes in endless {
        let bus = FakeBus::new(move |mut line| line.flood(bytes));
        let error = chain(&connect(&bus, PATIENT).expect_err("endless"));
        assert!(error.ends_with("a login without end"), "{error}");
    }
}

#[test]
fn no_bus_is_waited_for_past_the_bound() {
    let talks: [fn(Line); 5] = [
        |mut line| line.hold(),
        |mut line| {
            line.hear_login();
            line.say(b"DATA\r\n");
            line.hold();
        },
        |mut line| {
            line.log_in();
            line.hold();
        },
        // One that talks, but never says what was asked.
        |mut line| {
            line.log_in();
            line.flood(&signal());
        },
        |mut line| {
            line.log_in();
            line.hear_call();
            line.say(&flag(true)[..20]);
            line.hold();
        },
    ];
    for talk in talks {
        let bus = FakeBus::new(talk);
        let start = Instant::now();
        let error = connect(&bus, HASTY).expect_err("no answer");
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        assert!(matches!(error, Error::Login { .. } | Error::Call { .. }), "{error:?}");
        assert!(chain(&error).ends_with("no answer within 100ms"), "{}", chain(&error));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn answers_with_random_bytes_in_them_end_in_a_result(
        at in 0_usize..96,
        byte in any::<u8>(),
        cut in 0_usize..96,
    ) {
        let bus = FakeBus::new(move |mut line| {
            line.log_in();
            let heard = line.hear_call();
            let mut answer = reply_to(&flag(true), heard.serial);
            if let Some(place) = answer.get_mut(at) {
                *place = byte;
            }
            line.say(answer.get(cut..).unwrap_or_default());
        });
        let _ = connect(&bus, PATIENT);
    }
}
