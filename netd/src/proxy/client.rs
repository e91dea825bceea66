//! The agent's side: asks the proxy, and starts one where there is none.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::message::{self, Reply, Request};
use super::talk::Talk;
use super::{Forward, Refused, SOCKET};
use crate::api::socket;

/// How long an answer may take: opening ports takes microseconds each. Whoever attaches waits longer than
/// this, and so is told why it is not done.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the proxy did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port that it cannot hold; nothing has changed.
    #[error(transparent)]
    Refused(Box<Refused>),
    /// It cannot be started.
    #[error("start netd proxy for {}", socket.display())]
    Start {
        /// Its socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not answer.
    #[error("ask netd proxy at {}", socket.display())]
    Ask {
        /// Its socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It runs, and does nothing: it was stopped, or the host has no time for it.
    #[error(
        "netd proxy at {} has not answered for {PATIENCE:?}: let it go on (pkill -CONT -f '^netd proxy'), \
         or end it (pkill -KILL -f '^netd proxy'), and it is started anew",
        socket.display()
    )]
    Silent {
        /// Its socket.
        socket: PathBuf,
    },
    /// What it answered makes no sense: it is of another version.
    #[error("netd proxy at {} answered {text:?}: end it, and it is started anew", socket.display())]
    Answer {
        /// Its socket.
        socket: PathBuf,
        /// What it said.
        text: String,
    },
}

/// A connection to the proxy, if there is one. It blocks: whoever asks has a thread to wait in, and
/// nothing is handed from thread to thread on the way.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    talk: Option<Talk>,
}

/// What was asked and is to be answered.
#[derive(Debug)]
pub struct Question {
    line: Vec<u8>,
    /// A proxy is started where there is none.
    start: bool,
    /// There is a proxy, and it was sent to it.
    is_sent: bool,
}

impl Client {
    /// Of the proxy that listens in this directory. One that is started is this program, as
    /// `netd proxy` with the socket as its standard input.
    #[must_use]
    pub fn new(run_dir: &Path) -> Self {
        Self { socket: run_dir.join(SOCKET), talk: None }
    }

    /// These ports are the owner's, and no others; gives them with the ports that the kernel chose. No
    /// proxy is started where there is none, and no port.
    ///
    /// # Errors
    /// [`Error`].
    pub fn set(&mut self, owner: &str, forwards: &[Forward]) -> Result<Vec<Forward>, Error> {
        let question = self.ask_to_set(owner, forwards)?;
        match self.answer(question)? {
            None => Ok(Vec::new()),
            // As they were asked for.
            Some(Reply::Bound { forwards: chosen }) if chosen.is_empty() => Ok(forwards.to_vec()),
            Some(Reply::Bound { forwards }) => Ok(forwards),
            Some(Reply::Refused(refused)) => Err(Error::Refused(Box::new(refused))),
            Some(other) => Err(self.nonsense(format!("{other:?}"))),
        }
    }

    /// Asks for the same, and does not wait for it. Nothing else may be asked before
    /// [`Self::are_set`].
    ///
    /// # Errors
    /// [`Error::Start`], [`Error::Ask`], [`Error::Silent`].
    pub fn ask_to_set(&mut self, owner: &str, forwards: &[Forward]) -> Result<Question, Error> {
        let (owner, start) = (owner.to_owned(), !forwards.is_empty());
        let line = message::line(&Request::Set { owner, forwards: forwards.to_vec() });
        let is_sent = self.send(&line, start)?;
        Ok(Question { line, start, is_sent })
    }

    /// Waits until those are held that were asked for; false where they are not.
    ///
    /// # Errors
    /// [`Error::Silent`]: there is no point in asking again.
    pub fn are_set(&mut self, question: Question) -> Result<bool, Error> {
        match self.answer(question) {
            Err(error @ Error::Silent { .. }) => Err(error),
            answer => Ok(matches!(answer, Ok(Some(Reply::Bound { .. })))),
        }
    }

    /// Whose ports are held; none where no proxy runs.
    ///
    /// # Errors
    /// [`Error`].
    pub fn owners(&mut self) -> Result<Vec<String>, Error> {
        let line = message::line(&Request::Owners);
        let is_sent = self.send(&line, false)?;
        match self.answer(Question { line, start: false, is_sent })? {
            None => Ok(Vec::new()),
            Some(Reply::Owners { owners }) => Ok(owners),
            Some(other) => Err(self.nonsense(format!("{other:?}"))),
        }
    }

    /// Asked anew once, as the proxy may have ended since: for want of ports, or killed.
    fn answer(&mut self, question: Question) -> Result<Option<Reply>, Error> {
        let Question { line, start, mut is_sent } = question;
        let mut is_asked_anew = false;
        while is_sent {
            let end = || Err(io::ErrorKind::UnexpectedEof.into());
            match self.talk.as_mut().map_or_else(end, Talk::hear) {
                Ok(line) => return self.read(&line).map(Some),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(self.silent()),
                Err(source) => {
                    self.talk = None;
                    if is_asked_anew {
                        return Err(Error::Ask { socket: self.socket.clone(), source });
                    }
                }
            }
            is_asked_anew = true;
            is_sent = self.send(&line, start)?;
        }
        Ok(None)
    }

    /// False where there is no proxy, and none is to be started. One that is silent is asked for nothing more,
    /// so that nobody else waits; but what it is to give back it is told in time, after what it has not answered.
    fn send(&mut self, line: &[u8], start: bool) -> Result<bool, Error> {
        let mut failed = None;
        for _ in 0..2 {
            let Some(talk) = self.connected(start)? else { return Ok(false) };
            let said = match talk.is_silent() {
                Ok(true) if start => Ok(false),
                Ok(true) => talk.say_only(line).map(|()| false),
                Ok(false) => talk.say(line).map(|()| true),
                Err(error) => Err(error),
            };
            match said {
                Ok(true) => return Ok(true),
                Ok(false) => return Err(self.silent()),
                Err(source) => failed = Some(source),
            }
            self.talk = None;
        }
        let source = failed.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
        Err(Error::Ask { socket: self.socket.clone(), source })
    }

    fn connected(&mut self, start: bool) -> Result<Option<&mut Talk>, Error> {
        if self.talk.is_none() {
            let stream = match UnixStream::connect(&self.socket) {
                Ok(stream) => stream,
                Err(error) if netd_api::is_absent(&error) && !start => return Ok(None),
                Err(error) if netd_api::is_absent(&error) => {
                    let failed = |source| Error::Start { socket: self.socket.clone(), source };
                    self.start().map_err(failed)?;
                    UnixStream::connect(&self.socket).map_err(failed)?
                }
                Err(source) => return Err(Error::Ask { socket: self.socket.clone(), source }),
            };
            let failed = |source| Error::Ask { socket: self.socket.clone(), source };
            self.talk = Some(Talk::begin(stream, PATIENCE).map_err(failed)?);
        }
        Ok(self.talk.as_mut())
    }

    fn silent(&self) -> Error {
        Error::Silent { socket: self.socket.clone() }
    }

    /// The socket is open before the program runs: whoever connects is served when it does.
    fn start(&self) -> io::Result<()> {
        let listener = socket::open(&self.socket)?;
        // Whatever is at its path by now.
        let mut child = Command::new("/proc/self/exe")
            .arg0("netd")
            .arg("proxy")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .spawn()?;
        tracing::info!(process = child.id(), "started netd proxy");
        // It outlives the agent, or this thread hears of its end.
        let waiting = std::thread::Builder::new().name("proxy".into());
        waiting.spawn(move || drop(child.wait())).map(drop)
    }

    fn read(&self, line: &[u8]) -> Result<Reply, Error> {
        match serde_json::from_slice(line) {
            Ok(Reply::Error { text }) => Err(self.nonsense(text)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(self.nonsense(String::from_utf8_lossy(line).trim().to_owned())),
        }
    }

    fn nonsense(&self, text: String) -> Error {
        Error::Answer { socket: self.socket.clone(), text }
    }
}

/// Waits until the proxy of a run directory has ended; false where there is none.
pub async fn ended(run_dir: &Path) -> bool {
    let Ok(mut stream) = tokio::net::UnixStream::connect(run_dir.join(SOCKET)).await else {
        return false;
    };
    // It says nothing by itself: what can be read is the end.
    let _ = stream.read(&mut [0]).await;
    true
}
