//! Messages in, messages out.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Instant;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::cache::{Cache, Key};
use super::query::{Asked, Read};
use super::service::{Reply, Service, passed_on};
use super::zone::Client;
use super::{Endpoint, EndpointKey, Names, Network, encode};

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2));
const CLIENT: Client<'_> = Client { network: "front", source: SOURCE };

/// One container with so many addresses, called `web`.
fn service(addresses: u8, internal: bool) -> Service {
    let service = Service::new(PathBuf::from("/nowhere/resolv.conf"));
    let network = Network {
        id: "front".to_owned(),
        name: "front".to_owned(),
        internal,
        named: true,
        gateways: Vec::new(),
        apart: false,
        subnets: Vec::new(),
    };
    let key = EndpointKey {
        network: "front".to_owned(),
        container: "c1".to_owned(),
        interface: "eth0".to_owned(),
    };
    let addresses = (2..2 + addresses).map(|last| IpAddr::from([10, 1, 0, last])).collect();
    let web = Endpoint { key, names: vec!["web".to_owned()], addresses };
    let names = Names { networks: vec![network], endpoints: vec![web] };
    service.change(|zone| zone.update(names, Instant::now()));
    service
}

fn question(name: &str, size: Option<u16>) -> Message {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), RecordType::A));
    if let Some(size) = size {
        let mut edns = Edns::new();
        edns.set_max_payload(size).set_dnssec_ok(true);
        message.set_edns(edns);
    }
    message
}

/// The answer, and how many bytes it has.
fn answer(service: &Service, bytes: &[u8], by_stream: bool) -> Option<(Message, usize)> {
    match service.reply(CLIENT, bytes, by_stream) {
        Reply::Now(answer) => Some((Message::from_vec(&answer).expect("a message"), answer.len())),
        Reply::None => None,
        Reply::Later(later) => panic!("others are asked: {later:?}"),
    }
}

fn ask(service: &Service, message: &Message, by_stream: bool) -> (Message, usize) {
    answer(service, &message.to_vec().expect("bytes"), by_stream).expect("an answer")
}

#[test]
fn an_answer_is_to_the_question_and_says_what_the_server_can() {
    let (answer, _) = ask(&service(1, true), &question("WEB.", Some(4096)), false);
    let is = &answer.metadata;
    assert_eq!(
        (is.id, is.message_type, is.response_code),
        (77, MessageType::Response, ResponseCode::NoError)
    );
    assert!(is.authoritative && is.recursion_desired && is.recursion_available && !is.truncation);
    // In the letters in which it was asked.
    assert_eq!(answer.queries[0].name().to_ascii(), "WEB.");
    assert_eq!(answer.answers[0].name.to_ascii(), "WEB.");
    assert_eq!(answer.answers[0].data, RData::A(A::new(10, 1, 0, 2)));
    let edns = answer.edns.expect("EDNS for who has it");
    assert!(edns.max_payload() == 1232 && edns.flags().dnssec_ok);
    let (plain, _) = ask(&service(1, true), &question("web.", None), false);
    assert_eq!(plain.edns, None);
    let (none, _) = ask(&service(1, true), &question("nobody.example.", None), false);
    assert_eq!(none.metadata.response_code, ResponseCode::NXDomain);
}

#[test]
fn a_datagram_has_what_the_client_takes_and_says_that_there_is_more() {
    let service = service(200, true);
    for (size, most) in [(None, 512), (Some(100), 512), (Some(900), 900), (Some(4096), 1232)] {
        let (answer, length) = ask(&service, &question("web.", size), false);
        assert!(answer.metadata.truncation, "{size:?}");
        // As many as fit: another one has 16 bytes.
        assert!(length <= most && length > most - 16, "{size:?}: {length}");
        assert!(!answer.answers.is_empty());
        assert_eq!(answer.edns.is_some(), size.is_some());
    }
    let (answer, _) = ask(&service, &question("web.", None), true);
    assert_eq!((answer.answers.len(), answer.metadata.truncation), (200, false));
}

#[test]
fn what_is_beside_an_answer_is_left_out_before_the_answer_is() {
    let mut message = Message::new(1, MessageType::Response, OpCode::Query);
    let name = Name::from_ascii("x.example.").expect("a name");
    message.add_query(Query::query(name.clone(), RecordType::A));
    let record = || Record::from_rdata(name.clone(), 1, RData::A(A::new(192, 0, 2, 1)));
    message.add_answers((0..20).map(|_| record()));
    message.add_additionals((0..20).map(|_| record()));
    let bytes = encode::within(message, 512).expect("bytes");
    let answer = Message::from_vec(&bytes).expect("a message");
    assert_eq!((answer.answers.len(), answer.additionals.len()), (20, 0));
    assert!(!answer.metadata.truncation);
}

#[test]
fn what_is_no_question_is_answered_so_or_not_at_all() {
    let service = service(1, true);
    let code = |bytes: &[u8]| answer(&service, bytes, false).map(|(a, _)| a.metadata.response_code);
    let good = question("web.", None).to_vec().expect("bytes");
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(code(&good), Some(ResponseCode::NoError));
    assert_eq!(code(&good[..11]), None, "no header");
    assert_eq!(code(&[]), None);
    assert_eq!(code(&with(2, 0x81)), None, "an answer");
    assert_eq!(code(&with(2, 0x29)), Some(ResponseCode::NotImp), "an update");
    assert_eq!(code(&good[..15]), Some(ResponseCode::FormErr), "cut");
    assert_eq!(code(&with(5, 0)), Some(ResponseCode::FormErr), "no question");
    let mut version = question("web.", Some(1232));
    version.edns.as_mut().expect("EDNS").set_version(1);
    let version = version.to_vec().expect("bytes");
    // 16 is also BADSIG, of another record.
    assert_eq!(code(&version).map(u16::from), Some(u16::from(ResponseCode::BADVERS)));
    let elsewhere = Client { network: "front", source: IpAddr::from([10, 1, 0, 9]) };
    let Reply::Now(refused) = service.reply(elsewhere, &good, false) else { panic!("no answer") };
    let refused = Message::from_vec(&refused).expect("a message");
    assert_eq!(refused.metadata.response_code, ResponseCode::Refused);
}

#[test]
fn a_client_that_waits_for_too_many_answers_is_refused() {
    let service = service(1, false);
    let bytes = question("example.com.", None).to_vec().expect("bytes");
    let mut waiting = Vec::new();
    loop {
        match service.reply(CLIENT, &bytes, false) {
            Reply::Later(later) => waiting.push(later),
            Reply::Now(answer) => {
                let answer = Message::from_vec(&answer).expect("a message");
                assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
                break;
            }
            Reply::None => panic!("no answer"),
        }
    }
    assert_eq!(waiting.len(), 128);
    waiting.clear();
    assert!(matches!(service.reply(CLIENT, &bytes, false), Reply::Later(_)));
}

#[test]
fn questions_and_answers_of_others_survive_any_input() {
    let service = service(40, false);
    let first = question("web.front.", Some(1232)).to_vec().expect("bytes");
    let Read::Asked(first) = Asked::read(&first) else { panic!("no question") };
    corpus::survive("dns", |bytes| {
        let _ = service.reply(CLIENT, bytes, false);
        let _ = service.reply(CLIENT, bytes, true);
        if let Read::Asked(asked) = Asked::read(bytes) {
            let onward = encode::within(asked.onward(1), 1232);
            assert!(onward.is_some_and(|bytes| bytes.len() <= 1232));
        }
        if let Ok(answer) = Message::from_vec(bytes) {
            let now = Instant::now();
            let mut cache = Cache::default();
            cache.put(Key::of(&first), &answer, now);
            let kept = cache.get(&Key::of(&first), now).unwrap_or(answer);
            let passed = encode::within(passed_on(&first, kept), 512);
            assert!(passed.is_none_or(|bytes| bytes.len() <= 512));
        }
    });
}
