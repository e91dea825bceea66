use hickory_proto::op::{MessageType, OpCode, Query};
use hickory_proto::rr::Name;
use hickory_proto::rr::rdata::{A, SOA};

use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn key(text: &str) -> Key {
    let (name, kind) = (text.to_owned(), RecordType::A.into());
    Key { name, kind, signatures: false, authentic: false, unchecked: false }
}

fn answer(code: ResponseCode, ttls: &[u32], none: Option<u32>) -> Message {
    let mut message = Message::new(1, MessageType::Response, OpCode::Query);
    message.metadata.response_code = code;
    message.add_query(Query::query(name("x.example."), RecordType::A));
    for ttl in ttls {
        let data = RData::A(A::new(192, 0, 2, 1));
        message.add_answer(Record::from_rdata(name("x.example."), *ttl, data));
    }
    if let Some(minimum) = none {
        let soa = SOA::new(name("ns.example."), name("root.example."), 1, 1, 1, 1, minimum);
        message.add_authority(Record::from_rdata(name("example."), 900, RData::SOA(soa)));
    }
    message
}

#[test]
fn an_answer_is_kept_as_long_as_the_least_of_its_times_to_live() {
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let mut cache = Cache::default();
    cache.put(key("x"), &answer(ResponseCode::NoError, &[60, 20], None), start);
    let kept = cache.get(&key("x"), after(15)).expect("kept");
    assert_eq!(kept.answers.iter().map(|record| record.ttl).collect::<Vec<_>>(), [45, 5]);
    assert_eq!(cache.get(&key("x"), after(20)), None);
    assert_eq!(cache.get(&key("y"), start), None);
}

#[test]
fn what_may_not_be_kept_or_says_nothing_is_not() {
    let start = Instant::now();
    let mut truncated = answer(ResponseCode::NoError, &[60], None);
    truncated.metadata.truncation = true;
    let many = answer(ResponseCode::NoError, &[60; 65], None);
    for (what, time) in [
        (answer(ResponseCode::NoError, &[0, 60], None), None),
        (answer(ResponseCode::ServFail, &[], Some(60)), None),
        (answer(ResponseCode::Refused, &[60], None), None),
        (truncated, None),
        (many, None),
        // There is none: only where it is said for how long, and not for long.
        (answer(ResponseCode::NXDomain, &[], None), None),
        (answer(ResponseCode::NoError, &[], None), None),
        (answer(ResponseCode::NXDomain, &[], Some(7)), Some(7)),
        (answer(ResponseCode::NoError, &[], Some(86_400)), Some(30)),
        (answer(ResponseCode::NoError, &[86_400], Some(1)), Some(300)),
    ] {
        let mut cache = Cache::default();
        cache.put(key("x"), &what, start);
        let kept = cache.by_end.first().map(|(end, _)| end.duration_since(start).as_secs());
        assert_eq!(kept, time, "{what:?}");
    }
}

#[test]
fn no_more_is_kept_than_there_is_room_for_and_what_ends_first_goes_first() {
    let start = Instant::now();
    let mut cache = Cache::default();
    cache.put(key("first"), &answer(ResponseCode::NoError, &[10], None), start);
    for number in 0..MOST {
        cache.put(key(&number.to_string()), &answer(ResponseCode::NoError, &[60], None), start);
    }
    assert_eq!((cache.kept.len(), cache.by_end.len()), (MOST, MOST));
    assert_eq!(cache.get(&key("first"), start), None);
    assert!(cache.get(&key("0"), start).is_some());
    // Another answer to the same question takes the first one's place.
    cache.put(key("0"), &answer(ResponseCode::NoError, &[30], None), start);
    assert_eq!((cache.kept.len(), cache.by_end.len()), (MOST, MOST));
    // And what is over makes room.
    let later = start + Duration::from_secs(60);
    cache.put(key("last"), &answer(ResponseCode::NoError, &[60], None), later);
    assert_eq!((cache.kept.len(), cache.by_end.len()), (1, 1));
}
