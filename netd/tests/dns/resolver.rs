//! A resolver of others, which does what a test says.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record};
use kernel::Netns;

use super::site::{hear, say};

/// How often it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// Ends when dropped.
pub(crate) struct Resolver {
    asked: Arc<AtomicUsize>,
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Resolver {
    /// Answers at an address of the namespace, by UDP and TCP: all that `answers` gives, one after the
    /// other. Whether it was asked by TCP is told.
    pub(crate) fn start(
        netns: &Netns,
        ip: &str,
        answers: impl Fn(&Message, bool) -> Vec<Message> + Send + Sync + 'static,
    ) -> Self {
        let at = SocketAddr::new(ip.parse::<IpAddr>().unwrap(), 53);
        let bind = || (UdpSocket::bind(at).unwrap(), TcpListener::bind(at).unwrap());
        let (datagrams, streams) = netns.with(bind).unwrap();
        let (asked, end) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let answers = Arc::new(answers);
        let by_datagram = {
            let (asked, end, answers) = (asked.clone(), end.clone(), answers.clone());
            std::thread::spawn(move || serve_datagrams(&datagrams, &asked, &end, &*answers))
        };
        let by_stream = {
            let (asked, end) = (asked.clone(), end.clone());
            std::thread::spawn(move || serve_streams(&streams, &asked, &end, &*answers))
        };
        Self { asked, end, threads: vec![by_datagram, by_stream] }
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok());
        }
    }
}

type Answers = dyn Fn(&Message, bool) -> Vec<Message> + Send + Sync;

fn serve_datagrams(socket: &UdpSocket, asked: &AtomicUsize, end: &AtomicBool, answers: &Answers) {
    socket.set_read_timeout(Some(LOOK)).unwrap();
    let mut buffer = [0; 4096];
    while !end.load(Ordering::SeqCst) {
        let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
        asked.fetch_add(1, Ordering::SeqCst);
        for answer in answers(&Message::from_vec(&buffer[..length]).unwrap(), false) {
            socket.send_to(&answer.to_vec().unwrap(), client).unwrap();
        }
    }
}

fn serve_streams(listener: &TcpListener, asked: &AtomicUsize, end: &AtomicBool, answers: &Answers) {
    listener.set_nonblocking(true).unwrap();
    while !end.load(Ordering::SeqCst) {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::park_timeout(LOOK);
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        let Ok(question) = hear(&mut stream) else { continue };
        asked.fetch_add(1, Ordering::SeqCst);
        answers(&question, true).iter().for_each(|answer| say(&mut stream, answer).unwrap());
    }
}

/// An answer with these addresses, which may be kept for so many seconds.
pub(crate) fn addresses(question: &Message, addresses: &[[u8; 4]], ttl: u32) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_available = true;
    let asked = question.queries[0].clone();
    for [a, b, c, d] in addresses {
        let data = RData::A(A::new(*a, *b, *c, *d));
        answer.add_answer(Record::from_rdata(asked.name().clone(), ttl, data));
    }
    answer.add_query(asked);
    answer
}

/// An answer that says only this.
pub(crate) fn code(question: &Message, code: ResponseCode) -> Message {
    let mut answer = addresses(question, &[], 0);
    answer.metadata.response_code = code;
    answer
}

/// An answer that there is no such name, which may be kept for so many seconds.
pub(crate) fn none(question: &Message, ttl: u32) -> Message {
    let mut answer = code(question, ResponseCode::NXDomain);
    let root = Name::root();
    let soa = SOA::new(root.clone(), root.clone(), 1, 3600, 3600, 3600, ttl);
    answer.add_authority(Record::from_rdata(root, ttl, RData::SOA(soa)));
    answer
}
