//! Messages as bytes.

use proptest::prelude::*;

use super::super::bus::{BusError, method};
use super::super::wire::{self, First, HEAD, Kind, MAX_MESSAGE, Message};
use super::fake_bus::{error, message, reply_to, string, text};

/// Put together by hand from the specification.
#[test]
fn a_call_has_the_bytes_of_the_specification() {
    let expected = b"l\x01\x02\x01\
        \x08\0\0\0\x07\0\0\0\x7f\0\0\0\
        \x01\x01o\0\x15\0\0\0/org/freedesktop/DBus\0\0\0\
        \x02\x01s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0\
        \x03\x01s\0\x0c\0\0\0NameHasOwner\0\0\0\0\
        \x06\x01s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0\
        \x08\x01g\0\x01s\0\0\
        \x03\0\0\0a.b\0";
    let sent = wire::encode(&method("NameHasOwner", &["a.b"]), 7).expect("short");
    assert_eq!(sent, expected);
    assert_eq!(wire::size(&sent[..HEAD]).ok(), Some(sent.len()));
}

#[test]
fn a_call_without_arguments_has_no_signature_and_no_body() {
    let sent = wire::encode(&method("Hello", &[]), 1).expect("short");
    assert_eq!(sent.len() % 8, 0);
    assert_eq!(sent[4..8], [0; 4]);
    assert!(
        Message::parse(&sent).is_ok_and(|m| m.first == First::Nothing && m.kind == Kind::Other)
    );
}

#[test]
fn a_call_over_the_limit_is_not_made() {
    let long = "x".repeat(MAX_MESSAGE);
    let made = wire::encode(&method("NameHasOwner", &[&long]), 1);
    assert!(matches!(made, Err(BusError::TooLong(_))), "{made:?}");
}

#[test]
fn answers_and_errors_are_read_up_to_their_first_argument() {
    let read = Message::parse(&reply_to(&text("trusted"), 9)).expect("an answer");
    let expected = Message {
        kind: Kind::Return,
        reply_to: Some(9),
        error_name: String::new(),
        first: First::Text("trusted".to_owned()),
    };
    assert_eq!(read, expected);
    let read = Message::parse(&reply_to(&error("a.B", "why"), 9)).expect("an error");
    let expected = Message {
        kind: Kind::Error,
        error_name: "a.B".to_owned(),
        first: First::Text("why".to_owned()),
        ..expected
    };
    assert_eq!(read, expected);
    let two = [string("one"), string("two")].concat();
    let read = Message::parse(&message(2, &[], "ss", &two)).expect("two texts");
    assert_eq!(read.first, First::Text("one".to_owned()));
    let read = Message::parse(&message(2, &[], "as", &[0; 4])).expect("a list");
    assert_eq!(read.first, First::Other);
}

#[test]
fn header_fields_of_the_future_are_passed_over() {
    let fields = [
        (20, b'y', vec![1]),
        (21, b'q', vec![1, 0]),
        (22, b't', vec![0; 12]), // four of them are padding
        (23, b'o', string("/a")),
        (24, b'g', b"\x01s\0".to_vec()),
        (25, b'h', vec![0; 4]),
    ];
    let read = Message::parse(&message(2, &fields, "b", &[1, 0, 0, 0])).expect("readable");
    assert_eq!(read.first, First::Flag(true));
}

#[test]
fn a_big_endian_answer_is_read_as_well() {
    let bytes = b"B\x02\x01\x01\0\0\0\x04\0\0\0\x01\0\0\0\x0f\
        \x05\x01u\0\0\0\0\x09\x08\x01g\0\x01b\0\0\0\0\0\x01";
    assert_eq!(wire::size(&bytes[..HEAD]).ok(), Some(bytes.len()));
    let read = Message::parse(bytes).expect("readable");
    assert_eq!((read.reply_to, read.first), (Some(9), First::Flag(true)));
}

proptest! {
    #[test]
    fn every_call_is_a_message_of_the_size_it_says(
        args in proptest::collection::vec("[^\0]{0,40}", 0..5),
        serial in 1_u32..,
    ) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let sent = wire::encode(&method("Test", &args), serial).expect("short");
        prop_assert_eq!(wire::size(&sent[..HEAD]).ok(), Some(sent.len()));
        let read = Message::parse(&sent).expect("our own");
        let first = args.first().map_or(First::Nothing, |arg| First::Text((*arg).to_owned()));
        prop_assert_eq!(read.first, first);
    }
}

#[test]
fn an_answer_survives_any_input() {
    corpus::survive("firewalld", |bytes| {
        if let Ok(size) = wire::size(bytes) {
            assert!((HEAD..=MAX_MESSAGE).contains(&size));
        }
        let _ = Message::parse(bytes);
    });
}
