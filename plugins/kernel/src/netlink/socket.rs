//! One socket for one protocol and one namespace.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use netlink_packet_core::Emitable;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_send_buffer_size_force;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, netlink, send, socket_with};

use super::Batch;
use super::flag;
use crate::error::Refusal;
use crate::netns::Netns;

/// The kernel fills at most 32 KiB of a dump at a time (`netlink_dump()`,
/// `net/netlink/af_netlink.c`); single answers are much smaller.
pub(super) const BUFFER: usize = 32 * 1024;
/// Times a dump is begun again when others changed what is dumped.
const DUMP_ATTEMPTS: u32 = 10;

/// `include/uapi/linux/sockios.h`.
const SIOCGSKNS: libc::Ioctl = 0x894c;

/// What every socket can send at once.
const SENT_AT_ONCE: usize = 128 * 1024;

/// What is on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Links, addresses, routes, neighbours, rules.
    Route,
    /// nf_tables and conntrack.
    Netfilter,
    /// Families that have a number at run time: WireGuard.
    Generic,
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

/// When everything has been said about a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// The last message is acknowledged or refused.
    Verdict,
    /// It is answered, or refused.
    Answer,
}

/// A netlink socket. It keeps answering for the namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(super) fd: OwnedFd,
    pub(super) protocol: Protocol,
    sequence: u32,
    /// The kernel applies the filters of dumps.
    strict: bool,
    pub(super) buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the calling thread's namespace.
    pub(crate) fn open(protocol: Protocol) -> Result<Self, Errno> {
        let number = match protocol {
            Protocol::Route => None, // NETLINK_ROUTE is 0
            Protocol::Netfilter => Some(netlink::NETFILTER),
            Protocol::Generic => Some(netlink::GENERIC),
        };
        let kind = SocketType::RAW;
        let fd = socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, number)?;
        // Requests are short: refusals may bring them back whole (no NETLINK_CAP_ACK), which saves
        // a system call.
        set_option(&fd, libc::NETLINK_EXT_ACK)?;
        let buffer = Vec::with_capacity(BUFFER);
        Ok(Self { fd, protocol, sequence: 1, strict: false, buffer })
    }

    /// The name of the interface with an index in its namespace (`SIOCGIFNAME`): without the fifty
    /// attributes that a link has.
    pub(crate) fn interface_name(&self, index: u32) -> Result<String, Errno> {
        rustix::net::netdevice::index_to_name(&self.fd, index)
    }

    /// The namespace it was opened in (`SIOCGSKNS`, `net/socket.c`, since 4.10).
    pub(crate) fn netns(&self) -> Result<Netns, Errno> {
        #[expect(unsafe_code, reason = "no safe binding of this ioctl")]
        // SAFETY: SIOCGSKNS takes no argument and answers by a new descriptor, which is ours.
        let netns = unsafe {
            match libc::ioctl(self.fd.as_raw_fd(), SIOCGSKNS) {
                -1 => return Err(Errno::from_raw_os_error(*libc::__errno_location())),
                fd => OwnedFd::from_raw_fd(fd),
            }
        };
        Ok(Netns::of_kernel(netns))
    }

    /// Sends the messages in one system call and reads what the kernel says of each. The kernel
    /// always answers for a message it refuses and works in order, so one acknowledgement is asked
    /// for: of the last message (`closing` further ones, the end of an nf_tables batch, give none).
    pub(crate) fn exchange(&mut self, mut batch: Batch, closing: usize) -> Result<Replies, Errno> {
        let Some(last) = batch.len().checked_sub(closing + 1) else {
            return Ok(Replies::default());
        };
        batch.acknowledge(last);
        self.converse(batch, last, Until::Verdict)
    }

    /// Sends questions in one system call; the kernel answers each with one message, or refuses it.
    pub(crate) fn ask(&mut self, batch: Batch) -> Result<Replies, Errno> {
        let Some(last) = batch.len().checked_sub(1) else { return Ok(Replies::default()) };
        self.converse(batch, last, Until::Answer)
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
        self.be_strict()?;
        #[cfg(feature = "inject")]
        if let Some(errno) = crate::inject::next(crate::inject::Kind::Look, false) {
            return Err(Refusal { errno, text: "injected failure".to_owned() });
        }
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

    fn converse(&mut self, mut batch: Batch, last: usize, until: Until) -> Result<Replies, Errno> {
        let (first, count) = (self.sequence, batch.len());
        self.sequence = advance(first, count);
        batch.number(first);
        #[cfg(any(test, feature = "inject"))]
        {
            use crate::inject::{Kind, next_batch};
            let kind = if until == Until::Answer { Kind::Look } else { Kind::Message };
            let is_transaction = until == Until::Verdict && self.protocol == Protocol::Netfilter;
            if let Some(cut) = next_batch(kind, count, is_transaction) {
                return self.injected(&mut batch, first, last, cut);
            }
        }
        let mut replies = Replies { results: vec![Ok(()); count], data: Vec::new() };
        self.make_room(batch.size())?;
        self.send(batch.bytes())?;
        self.collect(first, last, until, &mut replies)?;
        Ok(replies)
    }

    /// Without strict checking the kernel ignores what a dump of routes or addresses asks for.
    fn be_strict(&mut self) -> Result<(), Errno> {
        if self.protocol == Protocol::Route && !self.strict {
            set_option(&self.fd, libc::NETLINK_GET_STRICT_CHK)?;
            self.strict = true;
        }
        Ok(())
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

    /// Does to a batch what a test has asked for: the messages before the chosen one are sent;
    /// then the process dies, or those meant are refused and the rest is sent.
    #[cfg(any(test, feature = "inject"))]
    fn injected(
        &mut self,
        batch: &mut Batch,
        first: u32,
        last: usize,
        cut: crate::inject::Cut,
    ) -> Result<Replies, Errno> {
        use crate::inject::How;
        let mut replies = Replies { results: vec![Ok(()); batch.len()], data: Vec::new() };
        let (errno, refused) = match cut.how {
            How::Fail(errno) => (errno, cut.at..cut.at + 1),
            How::Break(errno) => (errno, cut.at..batch.len()),
            How::Kill => {
                if cut.at > 0 {
                    self.send(batch.before(cut.at))?;
                }
                crate::inject::die();
            }
        };
        // A transaction is refused as a whole: nothing of it needs sending.
        let sends = self.protocol != Protocol::Netfilter && refused.len() < batch.len();
        if sends {
            let end = (0..=last).rev().find(|message| !refused.contains(message));
            batch.acknowledge(end.unwrap_or(last));
            self.send(&batch.without(&refused))?;
            self.collect(first, end.unwrap_or(last), Until::Verdict, &mut replies)?;
        }
        for result in replies.results.iter_mut().skip(refused.start).take(refused.len()) {
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
