//! From the bytes of a question to those of its answer.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use hickory_proto::op::{Message, ResponseCode};

use super::encode;
use super::forward::Forward;
use super::query::{Asked, Read};
use super::turns::{Turn, Turns};
use super::zone::{Client, Verdict, Zone};

/// Questions that wait for resolvers, of one client and of all (Docker: 1,024 of each container). Each
/// has a descriptor for each resolver.
const WAITING: (usize, usize) = (128, 1024);

/// What all listeners share.
#[derive(Debug)]
pub(super) struct Service {
    zone: RwLock<Zone>,
    /// Addresses of this server.
    own: Mutex<Arc<BTreeSet<IpAddr>>>,
    forward: Forward,
    turn: AtomicUsize,
    waiting: Turns,
}

/// What comes of a question.
#[derive(Debug)]
pub(super) enum Reply {
    /// These bytes.
    Now(Vec<u8>),
    /// What [`Service::finish`] makes of it.
    Later(Later),
    /// No word.
    None,
}

/// A question for others.
#[derive(Debug)]
pub(super) struct Later {
    asked: Box<Asked>,
    most: usize,
    _turn: Turn,
}

impl Service {
    pub(super) fn new(resolv_conf: PathBuf) -> Self {
        Self {
            zone: RwLock::default(),
            own: Mutex::default(),
            forward: Forward::new(resolv_conf),
            turn: AtomicUsize::new(0),
            waiting: Turns::new(WAITING.0, WAITING.1),
        }
    }

    /// Changes what there is. Answers after this are by it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Zone) -> T) -> T {
        change(&mut self.zone.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells which addresses are this server's.
    pub(super) fn set_own(&self, own: BTreeSet<IpAddr>) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(own);
    }

    /// Reads a question and decides. By a stream an answer has all the room there is.
    pub(super) fn reply(&self, client: Client<'_>, bytes: &[u8], by_stream: bool) -> Reply {
        let asked = match Asked::read(bytes) {
            Read::Asked(asked) => asked,
            Read::Wrong(message) => return now(message, usize::from(u16::MAX)),
            Read::Nothing => return Reply::None,
        };
        let most = if by_stream { usize::from(u16::MAX) } else { asked.datagram() };
        let verdict = self.decide(client, &asked);
        tracing::trace!(?client, question = %asked.question, ?verdict, "asked");
        let refuse = || now(asked.reply(ResponseCode::Refused), most);
        match verdict {
            Verdict::Records(records) => {
                let mut message = asked.reply(ResponseCode::NoError);
                message.metadata.authoritative = true;
                message.answers = records;
                now(message, most)
            }
            Verdict::NoName => {
                let mut message = asked.reply(ResponseCode::NXDomain);
                message.metadata.authoritative = true;
                now(message, most)
            }
            Verdict::Refuse => refuse(),
            Verdict::Forward => match self.waiting.take(client.source) {
                Some(turn) => Reply::Later(Later { asked, most, _turn: turn }),
                None => refuse(),
            },
        }
    }

    /// Asks others. None of them may have an answer: that is said, too.
    pub(super) async fn finish(&self, later: Later) -> Option<Vec<u8>> {
        let own = Arc::clone(&self.own.lock().unwrap_or_else(PoisonError::into_inner));
        let message = match self.forward.ask(&later.asked, &own).await {
            Some(answer) => passed_on(&later.asked, answer),
            None => later.asked.reply(ResponseCode::ServFail),
        };
        encode::within(message, later.most)
    }

    fn decide(&self, client: Client<'_>, asked: &Asked) -> Verdict {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let zone = self.zone.read().unwrap_or_else(PoisonError::into_inner);
        zone.answer(client, &asked.question, turn, Instant::now())
    }
}

fn now(message: Message, most: usize) -> Reply {
    encode::within(message, most).map_or(Reply::None, Reply::Now)
}

/// An answer of others, to the question of this client.
pub(super) fn passed_on(asked: &Asked, answer: Message) -> Message {
    let mut message = asked.reply(answer.metadata.response_code);
    message.metadata.authentic_data = answer.metadata.authentic_data;
    message.metadata.truncation = answer.metadata.truncation;
    message.answers = answer.answers;
    message.authorities = answer.authorities;
    message.additionals = answer.additionals;
    message
}
