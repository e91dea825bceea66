//! One socket for one protocol and one namespace.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use netlink_packet_core::Emitable;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::set_socket_send_buffer_size_force;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, netlink, recvfrom,
    send, socket_with,
};

use super::batch::{Batch, Messages, Received};
use super::{flag, parse};
use crate::error::Refusal;

/// The kernel fills at most 32 KiB of a dump at a time (`netlink_dump()`,
/// `net/netlink/af_netlink.c`); single answers are much smaller.
const BUFFER: usize = 32 * 1024;
/// Answers are queued before the sending system call returns, so nothing is ever waited for; this
/// bounds the wait should that change.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
/// Times a dump is begun again when others changed what is dumped.
const DUMP_ATTEMPTS: u32 = 10;
/// Messages that one batch may be answered with: a bound on memory.
const ANSWERS: usize = 4096;

/// What every socket can send at once.
const SENT_AT_ONCE: usize = 128 * 1024;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// What is on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Links, addresses, routes, neighbours, rules.
    Route,
    /// nf_tables and conntrack.
    Netfilter,
}

/// What the kernel answered to a batch.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    /// For each message, in order: done, or why not.
    pub(crate) results: Vec<Result<(), Refusal>>,
    /// What came beside acknowledgements: message number, type and body.
    pub(crate) data: Vec<(usize, u16, Vec<u8>)>,
}

impl Replies {
    /// The first refusal, if any.
    pub(crate) fn first_refusal(&self) -> Option<(usize, &Refusal)> {
        self.results.iter().enumerate().find_map(|(i, r)| Some((i, r.as_ref().err()?)))
    }
}

/// A netlink socket. It keeps answering for the namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    protocol: Protocol,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the calling thread's namespace.
    pub(crate) fn open(protocol: Protocol) -> Result<Self, Errno> {
        let number = match protocol {
            Protocol::Route => None, // NETLINK_ROUTE is 0
            Protocol::Netfilter => Some(netlink::NETFILTER),
        };
        let kind = SocketType::RAW;
        let fd = socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, number)?;
        set_option(&fd, libc::NETLINK_EXT_ACK)?;
        set_option(&fd, libc::NETLINK_CAP_ACK)?;
        if protocol == Protocol::Route {
            set_option(&fd, libc::NETLINK_GET_STRICT_CHK)?;
        }
        Ok(Self { fd, protocol, sequence: 1, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Sends the messages in one system call and reads what the kernel says of each. The kernel
    /// always answers for a message it refuses and works in order, so one acknowledgement is asked
    /// for: of the last message (`closing` further ones, the end of an nf_tables batch, give none).
    pub(crate) fn exchange(&mut self, mut batch: Batch, closing: usize) -> Result<Replies, Errno> {
        let first = self.sequence;
        let count = batch.len();
        let Some(last) = count.checked_sub(closing + 1) else { return Ok(Replies::default()) };
        self.sequence = advance(first, count);
        batch.acknowledge(last);
        batch.number(first);
        #[cfg(any(test, feature = "inject"))]
        if let Some(cut) = crate::inject::next_batch(count) {
            return self.injected(&mut batch, first, last, cut);
        }
        let mut replies = Replies { results: vec![Ok(()); count], data: Vec::new() };
        self.make_room(batch.size())?;
        self.send(batch.bytes())?;
        self.collect(first, last, &mut replies)?;
        Ok(replies)
    }

    /// Sends a request whose answer is a dump, and hands each message of it to `each`. The dump is
    /// begun again, with a new value, where it turns out inconsistent; `EINTR` when that does not
    /// help.
    pub(crate) fn dump<T: Default>(
        &mut self,
        kind: u16,
        body: &impl Emitable,
        each: impl FnMut(&mut T, u16, &[u8]),
    ) -> Result<T, Refusal> {
        let mut batch = Batch::default();
        batch.push(kind, flag::DUMP, body);
        self.dump_batch(batch, each)
    }

    /// Like [`Socket::dump`], for a request that is written already; it must be the only one.
    pub(crate) fn dump_batch<T: Default>(
        &mut self,
        mut batch: Batch,
        mut each: impl FnMut(&mut T, u16, &[u8]),
    ) -> Result<T, Refusal> {
        for _ in 0..DUMP_ATTEMPTS {
            let sequence = self.sequence;
            self.sequence = advance(sequence, 1);
            batch.number(sequence);
            self.send(batch.bytes())?;
            let mut into = T::default();
            if self.drain(sequence, |kind, body| each(&mut into, kind, body))? {
                return Ok(into);
            }
        }
        Err(Refusal::from(Errno::INTR))
    }

    /// A socket sends at most what its send buffer holds; a large transaction needs more than the
    /// default (212,992 bytes).
    fn make_room(&self, size: usize) -> Result<(), Errno> {
        if size <= SENT_AT_ONCE {
            return Ok(());
        }
        set_socket_send_buffer_size_force(&self.fd, size.saturating_mul(2))
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        let sent = rustix::io::retry_on_intr(|| send(&self.fd, bytes, SendFlags::empty()))?;
        if sent == bytes.len() { Ok(()) } else { Err(Errno::MSGSIZE) }
    }

    fn collect(&mut self, first: u32, last: usize, replies: &mut Replies) -> Result<(), Errno> {
        let mut refused = false;
        loop {
            // A refused nf_tables transaction may be answered at its beginning only.
            if !self.receive(!refused)? {
                return if refused { Ok(()) } else { Err(Errno::TIMEDOUT) };
            }
            for message in Messages(&self.buffer) {
                let at =
                    usize::try_from(message.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                let Some(result) = replies.results.get_mut(at) else { continue };
                if message.kind != NLMSG_ERROR {
                    if replies.data.len() >= ANSWERS {
                        return Err(Errno::NOBUFS);
                    }
                    replies.data.push((at, message.kind, message.body.to_vec()));
                    continue;
                }
                *result = parse::verdict(message);
                refused |= at == 0 && result.is_err() && self.protocol == Protocol::Netfilter;
                if at == last {
                    return Ok(());
                }
            }
        }
    }

    /// Reads a dump to its end; false where it is inconsistent.
    fn drain(&mut self, sequence: u32, mut each: impl FnMut(u16, &[u8])) -> Result<bool, Refusal> {
        let mut consistent = true;
        loop {
            if !self.receive(true)? {
                return Err(Refusal::from(Errno::TIMEDOUT));
            }
            for message in Messages(&self.buffer) {
                if message.sequence != sequence {
                    continue;
                }
                consistent &= message.flags & flag::DUMP_INTR == 0;
                match message.kind {
                    NLMSG_DONE => return done(message, consistent),
                    NLMSG_ERROR => return parse::verdict(message).map(|()| consistent),
                    kind => each(kind, message.body),
                }
            }
        }
    }

    /// Reads the next datagram of the kernel into the buffer; false if there is none.
    fn receive(&mut self, wait: bool) -> Result<bool, Errno> {
        let mut waited = !wait;
        loop {
            self.buffer.clear();
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            let room = rustix::buffer::spare_capacity(&mut self.buffer);
            match recvfrom(&self.fd, room, flags) {
                Ok((_, length, _)) if length > BUFFER => return Err(Errno::MSGSIZE),
                Ok((_, _, Some(from))) if is_kernel(&from) => return Ok(true),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if waited => return Ok(false),
                Err(Errno::AGAIN) => {
                    waited = true;
                    self.wait()?;
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn wait(&self) -> Result<(), Errno> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        match poll(&mut fds, Some(&PATIENCE)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Does to a batch what a test has asked for: the messages before the chosen one are sent;
    /// then the process dies, or that message alone is refused and the rest is sent.
    #[cfg(any(test, feature = "inject"))]
    fn injected(
        &mut self,
        batch: &mut Batch,
        first: u32,
        last: usize,
        cut: crate::inject::Cut,
    ) -> Result<Replies, Errno> {
        let mut replies = Replies { results: vec![Ok(()); batch.len()], data: Vec::new() };
        let errno = match cut.how {
            crate::inject::How::Fail(errno) => errno,
            crate::inject::How::Kill => {
                if cut.at > 0 {
                    self.send(batch.before(cut.at))?;
                }
                crate::inject::die();
            }
        };
        // A transaction is refused as a whole: nothing of it needs sending.
        let sent = if self.protocol == Protocol::Netfilter { 0 } else { batch.len() - 1 };
        if sent > 0 {
            let last = if cut.at == last { last - 1 } else { last };
            batch.acknowledge(last);
            self.send(&batch.without(cut.at))?;
            self.collect(first, last, &mut replies)?;
        }
        if let Some(result) = replies.results.get_mut(cut.at) {
            *result = Err(Refusal { errno, text: "injected failure".to_owned() });
        }
        Ok(replies)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> Self {
        socket.fd
    }
}

fn done(message: Received<'_>, consistent: bool) -> Result<bool, Refusal> {
    match parse::errno(message.body) {
        None | Some(0) => Ok(consistent),
        Some(errno) if Errno::from_raw_os_error(errno) == Errno::INTR => Ok(false),
        Some(errno) => Err(Refusal { errno, text: String::new() }),
    }
}

fn is_kernel(from: &SocketAddrAny) -> bool {
    SocketAddrNetlink::try_from(from.clone()).is_ok_and(|a| a.pid() == 0)
}

fn advance(sequence: u32, by: usize) -> u32 {
    sequence.wrapping_add(u32::try_from(by).unwrap_or(1))
}

fn set_option(fd: &OwnedFd, option: i32) -> Result<(), Errno> {
    const LENGTH: libc::socklen_t = 4; // of a c_int
    let on: libc::c_int = 1;
    #[expect(unsafe_code, reason = "no safe binding of SOL_NETLINK options")]
    // SAFETY: the pointer and length are those of a live c_int, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const on).cast(), LENGTH)
    };
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
    }
}
