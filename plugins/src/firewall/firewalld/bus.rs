//! A client's connection to a message bus: login, and one call at a time.
//!
//! It decides how long to wait and how much to read. It must not know firewalld. Source: D-Bus
//! specification 0.43, "Authentication Protocol" and "Message Bus Messages".

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use thiserror::Error;

use super::address::Address;
use super::wire::{self, Call, First, HEAD, Kind, Message};

/// The most we read of the bus' part of the login; a real one has 43 bytes.
const MAX_LOGIN: usize = 512;
/// The login: proof is the socket's peer credentials, so that it works in user namespaces too,
/// where the number we would claim is not the one that the bus sees (sd-bus does the same).
const LOGIN: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\n";

/// Why a bus could not be used, or what it answered.
#[derive(Debug, Error)]
pub(crate) enum BusError {
    #[error("{action} its socket")]
    Io {
        action: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("it closed the connection")]
    Closed,
    #[error("it refused the login: {0:?}")]
    Rejected(String),
    #[error("it sent {0}")]
    Malformed(&'static str),
    #[error("a message of {0} bytes, over our limit of {max}", max = wire::MAX_MESSAGE)]
    TooLong(u64),
    #[error("a zero byte in the argument {0:?}")]
    ZeroByte(String),
    /// The answer is an error: its D-Bus name, and its text for people.
    #[error("{name}: {text}")]
    Fault { name: String, text: String },
}

/// A connection that is logged in.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    patience: Duration,
    serial: u32,
}

impl Bus {
    /// Connects and logs in within `patience`, which then is the bound of each call; `None` when
    /// nobody listens there.
    ///
    /// # Errors
    ///
    /// When somebody does, but there is no way to talk.
    pub(super) fn open(address: &Address, patience: Duration) -> Result<Option<Self>, BusError> {
        let deadline = Deadline::new(patience);
        let Some(stream) = dial(address, &deadline)? else { return Ok(None) };
        let mut bus = Self { stream, patience, serial: 0 };
        bus.write(LOGIN, &deadline)?;
        bus.read_login(&deadline)?;
        bus.write(b"BEGIN\r\n", &deadline)?;
        bus.exchange(&method("Hello", &[]), &deadline)?;
        Ok(Some(bus))
    }

    /// Calls a method and gives its answer's first argument.
    ///
    /// # Errors
    ///
    /// When the answer is an error or does not come. After an error other than
    /// [`BusError::Fault`] the connection is of no use.
    pub(super) fn call(&mut self, call: &Call<'_>) -> Result<First, BusError> {
        let deadline = Deadline::new(self.patience);
        self.exchange(call, &deadline)
    }

    fn exchange(&mut self, call: &Call<'_>, deadline: &Deadline) -> Result<First, BusError> {
        self.serial = self.serial.wrapping_add(1).max(1);
        let request = wire::encode(call, self.serial)?;
        self.write(&request, deadline)?;
        loop {
            let message = self.read_message(deadline)?;
            if message.reply_to != Some(self.serial) {
                continue; // a signal, such as NameAcquired
            }
            match message.kind {
                Kind::Return => return Ok(message.first),
                Kind::Error => {
                    let name = message.error_name;
                    let text = match message.first {
                        First::Text(text) => text,
                        First::Nothing | First::Flag(_) | First::Other => String::new(),
                    };
                    return Err(BusError::Fault { name, text });
                }
                Kind::Other => {}
            }
        }
    }

    fn read_message(&mut self, deadline: &Deadline) -> Result<Message, BusError> {
        let mut bytes = vec![0; HEAD];
        self.read(&mut bytes, deadline)?;
        let size = wire::size(&bytes)?;
        bytes.resize(size, 0);
        let (_, rest) = bytes.split_at_mut(HEAD.min(size));
        self.read(rest, deadline)?;
        Message::parse(&bytes)
    }

    /// Reads lines until the bus agrees. Behind that line it sends nothing before `BEGIN`, so
    /// that nothing of a message can be read here.
    fn read_login(&mut self, deadline: &Deadline) -> Result<(), BusError> {
        let mut heard = Vec::new();
        loop {
            let mut some = [0; MAX_LOGIN];
            let got = self.read_some(&mut some, deadline)?;
            heard.extend(some.get(..got).unwrap_or_default());
            if let Some(verdict) = verdict(&heard) {
                return verdict;
            }
            if heard.len() > MAX_LOGIN {
                return Err(BusError::Malformed("a login without end"));
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8], deadline: &Deadline) -> Result<(), BusError> {
        while !bytes.is_empty() {
            let left = deadline.left()?;
            let sent = self
                .stream
                .set_write_timeout(Some(left))
                .and_then(|()| self.stream.write(bytes))
                .or_else(|e| deadline.retry("write to", e))?;
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    fn read(&mut self, mut buffer: &mut [u8], deadline: &Deadline) -> Result<(), BusError> {
        while !buffer.is_empty() {
            let got = self.read_some(buffer, deadline)?;
            buffer = buffer.get_mut(got..).unwrap_or_default();
        }
        Ok(())
    }

    fn read_some(&mut self, buffer: &mut [u8], deadline: &Deadline) -> Result<usize, BusError> {
        let left = deadline.left()?;
        let got = self.stream.set_read_timeout(Some(left)).and_then(|()| self.stream.read(buffer));
        match got {
            Ok(0) => Err(BusError::Closed),
            Ok(got) => Ok(got),
            Err(e) => deadline.retry("read from", e),
        }
    }
}

/// What the bus thinks of our login, once it has said it: `OK` or anything else but `DATA`.
fn verdict(heard: &[u8]) -> Option<Result<(), BusError>> {
    let text = String::from_utf8_lossy(heard);
    let lines = text.split_inclusive("\r\n").filter(|line| line.ends_with("\r\n"));
    let mut words = lines.map(|line| (line, line.split_ascii_whitespace().next()));
    let (line, word) = words.find(|(_, word)| *word != Some("DATA"))?;
    Some(if word == Some("OK") {
        Ok(())
    } else {
        Err(BusError::Rejected(line.trim_end().to_owned()))
    })
}

/// A call to the bus itself.
pub(super) fn method<'a>(member: &'a str, args: &'a [&'a str]) -> Call<'a> {
    Call {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member,
        args,
    }
}

/// A connected socket; `None` when there is no socket or nobody behind it.
fn dial(address: &Address, deadline: &Deadline) -> Result<Option<UnixStream>, BusError> {
    let absent = |e: Errno| [Errno::NOENT, Errno::NOTDIR, Errno::CONNREFUSED].contains(&e);
    let failed = |e: Errno| deadline.failed("connect to", e.into());
    // Every container asks, and most hosts have no bus: one system call instead of three.
    if let Address::Path(path) = address
        && access(path.as_slice(), Access::EXISTS).is_err_and(absent)
    {
        return Ok(None);
    }
    let name = address.socket().map_err(failed)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(failed)?;
    // Connecting waits while the listener's queue is full (net/unix/af_unix.c).
    set_socket_timeout(&socket, Timeout::Send, Some(deadline.left()?)).map_err(failed)?;
    match connect(&socket, &name) {
        Ok(()) => Ok(Some(UnixStream::from(socket))),
        Err(e) if absent(e) => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

/// The end of a wait.
struct Deadline {
    end: Instant,
    patience: Duration,
}

impl Deadline {
    fn new(patience: Duration) -> Self {
        Self { end: Instant::now() + patience, patience }
    }

    /// What is left, never zero, which a socket would take for "for ever".
    fn left(&self) -> Result<Duration, BusError> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(BusError::Late(self.patience)) } else { Ok(left) }
    }

    /// Nothing moved, so that an interrupted call is made again; other errors are told.
    fn retry(&self, action: &'static str, error: io::Error) -> Result<usize, BusError> {
        if error.kind() == ErrorKind::Interrupted { Ok(0) } else { Err(self.failed(action, error)) }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "ErrorKind is open-ended")]
    fn failed(&self, action: &'static str, source: io::Error) -> BusError {
        match source.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => BusError::Late(self.patience),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => BusError::Closed,
            _ => BusError::Io { action, source },
        }
    }
}
