use super::batch::{Messages, Received};
use super::wire::{Attrs, Writer, text};
use super::{Batch, Protocol, Socket, flag, parse};
use crate::error::Refusal;
use crate::inject::{How, Injection, arm, seen};
use crate::route::RawLink;
use crate::testing::in_new_host;
use crate::{nft, route};

/// `NLMSG_NOOP`, which netlink takes and does not answer without being asked to.
const NOOP: u16 = 1;
/// `RTM_GETLINK` of the link with that index.
fn get_link(batch: &mut Batch, index: u32) {
    batch.push_with(18, 0, |out| {
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&index.to_ne_bytes());
        out.extend_from_slice(&[0; 8]);
    });
}

#[test]
fn attributes_are_read_as_written() {
    let mut bytes = Vec::new();
    Writer(&mut bytes).str(1, "name").be32(2, 7).nest(3, |w| {
        w.be64(1, 9).bytes(2, &[1, 2, 3]);
    });
    assert_eq!(bytes.len() % 4, 0);
    let attrs = Attrs(&bytes);
    assert_eq!(attrs.text(1).as_deref(), Some("name"));
    assert_eq!(attrs.be32(2), Some(7));
    assert_eq!(attrs.nested(3).be64(1), Some(9));
    assert_eq!(attrs.nested(3).get(2), Some([1, 2, 3].as_slice()));
    assert_eq!(attrs.get(4), None);
}

#[test]
fn messages_of_a_batch_are_numbered_and_only_one_is_acknowledged() {
    let mut batch = Batch::default();
    for length in 0..3 {
        batch.push_with(NOOP, flag::CREATE, |out| out.resize(out.len() + length, 0));
    }
    batch.acknowledge(1);
    batch.number(u32::MAX);
    let messages: Vec<Received<'_>> = Messages(batch.bytes()).collect();
    let numbers: Vec<u32> = messages.iter().map(|m| m.sequence).collect();
    assert_eq!(numbers, [u32::MAX, 0, 1]);
    let flags: Vec<u16> = messages.iter().map(|m| m.flags).collect();
    let plain = flag::REQUEST | flag::CREATE;
    assert_eq!(flags, [plain, plain | flag::ACK, plain]);
    assert_eq!(
        batch.without(&(1..2)),
        [batch.before(1), &batch.bytes()[batch.before(2).len()..]].concat()
    );
}

#[test]
fn every_message_of_a_batch_is_answered_for() {
    in_new_host(|| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let mut batch = Batch::default();
        for index in [1, 77, 1, 78] {
            get_link(&mut batch, index);
        }
        let replies = socket.exchange(batch, 0).unwrap();
        let ok: Vec<bool> = replies.results.iter().map(Result::is_ok).collect();
        assert_eq!(ok, [true, false, true, false]);
        let data: Vec<usize> = replies.data.iter().map(|(message, ..)| *message).collect();
        assert_eq!(data, [0, 2]);
        assert_eq!(replies.first_refusal().unwrap().0, 1);
    });
}

#[test]
fn questions_are_answered_without_acknowledgements() {
    in_new_host(|| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        for last in [1, 77] {
            let mut batch = Batch::default();
            [1, 78, last].iter().for_each(|index| get_link(&mut batch, *index));
            let replies = socket.ask(batch).unwrap();
            let ok: Vec<bool> = replies.results.iter().map(Result::is_ok).collect();
            assert_eq!(ok, [true, false, last == 1]);
            let data: Vec<usize> = replies.data.iter().map(|(message, ..)| *message).collect();
            assert_eq!(data, if last == 1 { vec![0, 2] } else { vec![0] });
        }
    });
}

#[test]
fn a_dump_of_the_wrong_shape_is_refused_with_the_kernels_words() {
    in_new_host(|| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let mut batch = Batch::default();
        batch.push_with(18, flag::DUMP, |out| {
            let index = 9_u32.to_ne_bytes();
            out.extend_from_slice(&[[0; 4], index, [0; 4], [0; 4]].concat());
        });
        let refusal = socket.dump_batch(batch, |(): &mut (), _, _| {}).unwrap_err();
        assert_eq!(refusal.errno, 22);
        assert_eq!(refusal.text, "Filter by device index not supported for link dumps");
    });
}

#[test]
fn an_injected_refusal_is_of_one_message_and_the_others_are_sent() {
    in_new_host(|| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        for at in 0..3 {
            arm(Some(Injection { at, how: How::Fail(5) }));
            let mut batch = Batch::default();
            (0..3).for_each(|_| get_link(&mut batch, 1));
            let replies = socket.exchange(batch, 0).unwrap();
            assert_eq!(seen(), 3);
            assert_eq!(replies.first_refusal().map(|(i, r)| (i, r.errno)), Some((at, 5)));
            assert_eq!(replies.data.len(), 2);
        }
        arm(None);
    });
}

#[test]
fn when_all_is_broken_from_a_message_on_only_those_before_it_are_sent() {
    in_new_host(|| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        for at in 0..4 {
            arm(Some(Injection { at, how: How::Break(5) }));
            for first in [0, 3] {
                let mut batch = Batch::default();
                (0..3).for_each(|_| get_link(&mut batch, 1));
                let replies = socket.exchange(batch, 0).unwrap();
                let sent = replies.results.iter().filter(|result| result.is_ok()).count();
                assert_eq!(sent, at.saturating_sub(first).min(3));
                assert_eq!(replies.data.len(), sent);
            }
        }
        arm(None);
    });
}

#[test]
fn injections_are_read_as_documented() {
    let parse = |text: &str| text.parse::<Injection>();
    assert_eq!(parse("kill:3"), Ok(Injection { at: 3, how: How::Kill }));
    assert_eq!(parse("fail:0:12"), Ok(Injection { at: 0, how: How::Fail(12) }));
    assert_eq!(parse("break:7:1"), Ok(Injection { at: 7, how: How::Break(1) }));
    for wrong in ["", "kill", "kill:x", "kill:1:2", "fail:1", "fail:1:x", "stop:1"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

fn received(flags: u16, body: &[u8]) -> Received<'_> {
    Received { kind: 2, flags, sequence: 0, body }
}

#[test]
fn the_explanation_stands_after_the_request_or_its_header() {
    let mut tail = Vec::new();
    Writer(&mut tail).str(1, "too loud");
    for (flags, request) in [(flag::CAPPED, 16_usize), (0, 36)] {
        let mut body = (-22_i32).to_ne_bytes().to_vec();
        body.extend_from_slice(&36_u32.to_ne_bytes());
        body.resize(4 + request, 0);
        body.extend_from_slice(&tail);
        let verdict = parse::verdict(received(flags | flag::ACK_TLVS, &body));
        assert_eq!(verdict, Err(Refusal { errno: 22, text: "too loud".to_owned() }));
    }
    assert_eq!(parse::verdict(received(0, &[0; 20])), Ok(()));
}

#[test]
fn what_the_kernel_sends_survives_any_input() {
    corpus::survive("netlink", |bytes| {
        for flags in [0, flag::ACK_TLVS, flag::ACK_TLVS | flag::CAPPED] {
            let _ = parse::verdict(received(flags, bytes));
            let _ = parse::dump_explanation(received(flags, bytes));
        }
        let _ = text(bytes);
        for message in Messages(bytes) {
            assert!(message.body.len() <= bytes.len());
        }
        for (_, value) in Attrs(bytes) {
            assert!(value.len() <= bytes.len());
            let _ = Attrs(value).count();
        }
        let name = netstate::LinkName::lo();
        let _ = (RawLink::parse(bytes), route::read_vlans(bytes));
        let _ = (route::read_routes(bytes), route::read_oif(bytes), route::read_rule(bytes));
        let _ = (route::read_addr(bytes, &name), route::read_nsid(bytes));
        let _ = (route::read_fdb(bytes, &name), route::read_neigh(bytes, &name));
        let _ = (nft::parse_elements(bytes), nft::parse_rule(bytes), nft::parse_table(bytes));
        let _ = (nft::parse_chain(bytes), nft::parse_set_name(bytes), nft::parse_generation(bytes));
        if let Some(set) = nft::parse_set(bytes).and_then(|shape| nft::SetTypes::of(&shape)) {
            let _: Vec<_> = nft::parse_elements(bytes).iter().map(|raw| set.element(raw)).collect();
        }
    });
}
