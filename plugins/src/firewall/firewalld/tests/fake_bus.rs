//! A bus of one connection on a thread, and messages written without the code under test.

use std::io::{Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::thread::JoinHandle;

/// A bus that does what a test says. Dropping it waits for that to end, and its panics are the
/// test's.
pub(super) struct FakeBus {
    address: String,
    thread: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl FakeBus {
    /// Listens on a path; `talk` gets the one connection.
    pub(super) fn new(talk: impl FnOnce(Line) + Send + 'static) -> Self {
        Self::listening(talk, |path| {
            let listener = UnixListener::bind(path).expect("bind");
            (listener, format!("unix:path={path}"))
        })
    }

    /// As [`Self::new`], on a name in the abstract namespace.
    pub(super) fn new_abstract(talk: impl FnOnce(Line) + Send + 'static) -> Self {
        Self::listening(talk, |path| {
            let name = SocketAddr::from_abstract_name(path).expect("a name");
            let listener = UnixListener::bind_addr(&name).expect("bind");
            (listener, format!("unix:abstract={path}"))
        })
    }

    /// A bus on which firewalld runs, once logged in: `answers` are given to its calls, in order.
    pub(super) fn with_answers(answers: Vec<Vec<u8>>) -> Self {
        Self::new(move |mut line| {
            line.log_in();
            line.answer(&flag(true));
            for answer in answers {
                line.answer(&answer);
            }
        })
    }

    fn listening(
        talk: impl FnOnce(Line) + Send + 'static,
        bind: impl FnOnce(&str) -> (UnixListener, String),
    ) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("bus").to_str().expect("UTF-8").to_owned();
        let (listener, address) = bind(&path);
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            talk(Line { stream });
        });
        Self { address, thread: Some(thread), _dir: dir }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for FakeBus {
    fn drop(&mut self) {
        let joined = self.thread.take().map(JoinHandle::join);
        if let Some(Err(panic)) = joined
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The bus' end of the connection.
pub(super) struct Line {
    stream: UnixStream,
}

impl Line {
    /// The client's part of the login up to, not including, `BEGIN`.
    pub(super) fn hear_login(&mut self) {
        assert_eq!(self.hear(21), b"\0AUTH EXTERNAL\r\nDATA\r\n"[..21]);
        self.hear(1);
    }

    /// Logs the client in, as dbus-daemon does, and answers its `Hello`.
    pub(super) fn log_in(&mut self) {
        self.hear_login();
        self.say(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n");
        assert_eq!(self.hear(7), b"BEGIN\r\n");
        self.answer(&text(":1.7"));
        self.say(&signal());
    }

    /// Reads a call and answers it; the serial is filled in.
    pub(super) fn answer(&mut self, answer: &[u8]) -> Heard {
        let heard = self.hear_call();
        self.say(&reply_to(answer, heard.serial));
        heard
    }

    /// Reads a call.
    pub(super) fn hear_call(&mut self) -> Heard {
        let mut bytes = self.hear(16);
        let number = |at: usize, bytes: &[u8]| {
            u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"))
        };
        let rest = number(12, &bytes).next_multiple_of(8) + number(4, &bytes);
        let serial = number(8, &bytes);
        bytes.extend(self.hear(rest as usize));
        Heard { serial, bytes }
    }

    pub(super) fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the client reads");
    }

    /// Says `bytes` over and over until the client hangs up.
    pub(super) fn flood(&mut self, bytes: &[u8]) {
        while self.stream.write_all(bytes).is_ok() {}
    }

    /// Waits until the client hangs up.
    pub(super) fn hold(&mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new());
    }

    fn hear(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes).expect("the client writes");
        bytes
    }
}

/// A call as the bus got it.
pub(super) struct Heard {
    pub(super) serial: u32,
    pub(super) bytes: Vec<u8>,
}

impl Heard {
    /// Tells whether the call has `text` among its names and arguments.
    pub(super) fn has(&self, text: &str) -> bool {
        let text = [text.as_bytes(), b"\0"].concat();
        self.bytes.windows(text.len()).any(|part| part == text)
    }
}

/// An answer with a boolean.
pub(super) fn flag(value: bool) -> Vec<u8> {
    message(2, &[], "b", &u32::from(value).to_le_bytes())
}

/// An answer with a text.
pub(super) fn text(value: &str) -> Vec<u8> {
    message(2, &[], "s", &string(value))
}

/// An error, with a text.
pub(super) fn error(name: &str, value: &str) -> Vec<u8> {
    message(3, &[(4, b's', string(name))], "s", &string(value))
}

/// firewalld's error.
pub(super) fn refusal(value: &str) -> Vec<u8> {
    error("org.fedoraproject.FirewallD1.Exception", value)
}

/// What a bus says unasked after `Hello`.
pub(super) fn signal() -> Vec<u8> {
    let member = (3, b's', string("NameAcquired"));
    let mut signal = message(4, &[member], "s", &string(":1.7"));
    signal[8] = 1;
    signal
}

/// Text, as it is in messages.
pub(super) fn string(value: &str) -> Vec<u8> {
    let len = u32::try_from(value.len()).expect("short").to_le_bytes();
    [&len, value.as_bytes(), b"\0"].concat()
}

/// A message with these header fields (code, type, value) beside signature and serials; the first
/// field is the answered serial, for [`reply_to`].
pub(super) fn message(
    kind: u8,
    more: &[(u8, u8, Vec<u8>)],
    signature: &str,
    body: &[u8],
) -> Vec<u8> {
    let size = u8::try_from(signature.len()).expect("short");
    let signature = [&[size], signature.as_bytes(), b"\0"].concat();
    let sender = (7, b's', string(":1.0"));
    let serial = (5, b'u', vec![0; 4]);
    let mut fields = Vec::new();
    for (code, kind, value) in [&[serial, sender], more, &[(8, b'g', signature)]].concat() {
        fields.resize(fields.len().next_multiple_of(8), 0);
        fields.extend([code, 1, kind, 0]);
        fields.extend(value);
    }
    let mut message = vec![b'l', kind, 1, 1];
    message.extend(u32::try_from(body.len()).expect("short").to_le_bytes());
    message.extend(99_u32.to_le_bytes());
    message.extend(u32::try_from(fields.len()).expect("short").to_le_bytes());
    message.extend(fields);
    message.resize(message.len().next_multiple_of(8), 0);
    message.extend(body);
    message
}

/// `answer` with the serial it answers; one too short for that is left as it is.
pub(super) fn reply_to(answer: &[u8], serial: u32) -> Vec<u8> {
    let mut answer = answer.to_vec();
    if answer.get(16) == Some(&5)
        && let Some(place) = answer.get_mut(20..24)
    {
        place.copy_from_slice(&serial.to_le_bytes());
    }
    answer
}
