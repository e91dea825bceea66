//! Reading what the kernel answers.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{RecvFlags, SocketAddrAny, recvfrom};

use super::batch::{Messages, Received};
use super::socket::{BUFFER, Protocol, Replies, Socket, Until};
use super::{flag, parse};
use crate::error::Refusal;

/// Answers are queued before the sending system call returns, so nothing is ever waited for; this
/// bounds the wait should that change.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
/// Messages that one batch may be answered with: a bound on memory.
const ANSWERS: usize = 4096;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

impl Socket {
    /// Reads what the kernel says of the messages from number `first` on, up to the end.
    pub(super) fn collect(
        &mut self,
        first: u32,
        last: usize,
        until: Until,
        replies: &mut Replies,
    ) -> Result<(), Errno> {
        let mut refused = false;
        loop {
            match self.receive(!refused) {
                Ok(true) => {}
                // A refused nf_tables transaction may be answered at its beginning only.
                Ok(false) if refused => return Ok(()),
                Ok(false) => return Err(Errno::TIMEDOUT),
                // There were more refusals than fit; a transaction is refused by the first.
                Err(Errno::NOBUFS) if self.protocol == Protocol::Netfilter => continue,
                Err(e) => return Err(e),
            }
            for message in Messages(&self.buffer) {
                let at =
                    usize::try_from(message.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                let Some(result) = replies.results.get_mut(at) else { continue };
                let is_verdict = message.kind == NLMSG_ERROR;
                if is_verdict {
                    *result = parse::verdict(message);
                    refused |= result.is_err() && self.protocol == Protocol::Netfilter;
                } else if replies.data.len() < ANSWERS {
                    replies.data.push((at, message.kind, message.body.to_vec()));
                } else {
                    return Err(Errno::NOBUFS);
                }
                if at == last && (is_verdict || until == Until::Answer) {
                    return Ok(());
                }
            }
        }
    }

    /// Reads a dump to its end; false where it is inconsistent.
    pub(super) fn drain(
        &mut self,
        sequence: u32,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<bool, Refusal> {
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
}

fn done(message: Received<'_>, consistent: bool) -> Result<bool, Refusal> {
    match parse::errno(message.body) {
        None | Some(0) => Ok(consistent),
        Some(errno) if Errno::from_raw_os_error(errno) == Errno::INTR => Ok(false),
        Some(errno) => Err(Refusal { errno, text: parse::dump_explanation(message) }),
    }
}

fn is_kernel(from: &SocketAddrAny) -> bool {
    SocketAddrNetlink::try_from(from.clone()).is_ok_and(|a| a.pid() == 0)
}
