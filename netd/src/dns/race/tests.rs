use std::net::Ipv4Addr;
use std::pin::Pin;

use hickory_proto::op::OpCode;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record};

use super::*;

type Ask = Pin<Box<dyn Future<Output = io::Result<Message>>>>;

fn says(id: u16, code: ResponseCode) -> Ask {
    Box::pin(async move { Ok(Message::error_msg(id, OpCode::Query, code)) })
}

/// An address.
fn knows(id: u16) -> Ask {
    let mut answer = Message::error_msg(id, OpCode::Query, ResponseCode::NoError);
    answer.add_answer(Record::from_rdata(Name::root(), 0, RData::A(A(Ipv4Addr::LOCALHOST))));
    Box::pin(async move { Ok(answer) })
}

fn later(ask: Ask) -> Ask {
    Box::pin(async {
        tokio::time::sleep(GRACE / 5).await;
        ask.await
    })
}

/// Within the head start.
fn soon(ask: Ask) -> Ask {
    Box::pin(async {
        tokio::task::yield_now().await;
        ask.await
    })
}

fn refuses() -> Ask {
    Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
}

fn hangs() -> Ask {
    Box::pin(std::future::pending())
}

fn run(asks: Vec<Ask>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(first_good(asks))
}

/// Whose answer it is, what it says, who has failed, and whether it took less than the grace.
fn race(asks: Vec<Ask>) -> (Option<(u16, ResponseCode)>, Vec<usize>, bool) {
    let start = std::time::Instant::now();
    let outcome = run(asks);
    let answer = outcome.answer.map(|answer| (answer.metadata.id, answer.metadata.response_code));
    (answer, outcome.failed, start.elapsed() < GRACE)
}

#[test]
fn all_are_asked_at_once_and_whoever_has_it_is_taken() {
    use ResponseCode::{NXDomain, NoError, ServFail};
    assert_eq!(race(vec![hangs(), hangs(), knows(3)]), (Some((3, NoError)), vec![], true));
    assert_eq!(race(vec![later(says(1, NXDomain)), knows(2)]), (Some((2, NoError)), vec![], true));
    let second = race(vec![refuses(), says(2, ServFail), later(knows(3))]);
    assert_eq!(second, (Some((3, NoError)), vec![0], true));
}

#[test]
fn that_there_is_none_is_believed_of_the_first_and_of_others_when_those_before_are_heard() {
    use ResponseCode::{NXDomain, NoError, Refused};
    let first = race(vec![says(1, NXDomain), later(knows(2)), hangs()]);
    assert_eq!(first, (Some((1, NXDomain)), vec![], true));
    let known = race(vec![later(knows(1)), says(2, NXDomain)]);
    assert_eq!(known, (Some((1, NoError)), vec![], true));
    let both = race(vec![later(says(1, NoError)), says(2, NXDomain)]);
    assert_eq!(both, (Some((1, NoError)), vec![], true));
    let alone = race(vec![later(says(1, Refused)), says(2, NXDomain), hangs()]);
    assert_eq!(alone, (Some((2, NXDomain)), vec![], true));
    let in_time = race(vec![hangs(), says(2, NXDomain)]);
    assert_eq!(in_time, (Some((2, NXDomain)), vec![], false), "the first said nothing");
}

#[test]
fn of_two_that_know_a_name_the_first_is_passed_on_if_it_is_hardly_slower() {
    use ResponseCode::NoError;
    let hardly = race(vec![soon(knows(1)), knows(2)]);
    assert_eq!(hardly, (Some((1, NoError)), vec![], true));
    let slower = race(vec![later(knows(1)), knows(2)]);
    assert_eq!(slower, (Some((2, NoError)), vec![], true));
    let last = race(vec![knows(1), soon(knows(2))]);
    assert_eq!(last, (Some((1, NoError)), vec![], true));
}

#[test]
fn who_is_slower_than_another_one_has_not_failed_and_is_told_of_if_it_may_know_better() {
    use ResponseCode::NXDomain;
    let slow = |asks| run(asks).slow;
    assert_eq!(slow(vec![hangs(), says(2, NXDomain), hangs()]), [0]);
    assert_eq!(slow(vec![hangs(), refuses(), knows(3)]), [0]);
    assert_eq!(slow(vec![says(1, NXDomain), hangs()]), [0; 0]);
    assert_eq!(slow(vec![later(says(1, NXDomain)), says(2, NXDomain)]), [0; 0]);
}

#[test]
fn without_a_good_answer_the_first_bad_one_is_told() {
    use ResponseCode::{Refused, ServFail};
    let bad = race(vec![says(1, Refused), later(says(2, ServFail))]);
    assert_eq!(bad, (Some((1, Refused)), vec![], true));
    let (answer, mut failed, at_once) = race(vec![refuses(), refuses()]);
    failed.sort_unstable();
    assert_eq!((answer, failed, at_once), (None, vec![0, 1], true));
    assert_eq!(race(vec![]), (None, vec![], true));
}

#[test]
fn resolvers_that_say_nothing_are_given_up_before_a_client_asks_again() {
    let start = std::time::Instant::now();
    let outcome = run(vec![hangs(), hangs()]);
    assert_eq!(outcome, Outcome { answer: None, slow: vec![], failed: vec![0, 1] });
    let took = start.elapsed();
    assert!((PATIENCE..Duration::from_secs(5)).contains(&took), "{took:?}");
}
