//! Failures and deaths at chosen netlink messages, for the kill-safety tests of this and other
//! crates. Compiled in with feature `inject` only, which no release is built with.
//!
//! Messages that change something or ask for something by batch are counted from 0 over the whole
//! process (or thread, when a test has armed its thread), each position inside a batch included;
//! dumps are not counted. At the chosen one
//!
//! * `kill`: the messages before it in its batch are sent, then the process kills itself as by
//!   `kill -9`: the kernel has done a part of the batch;
//! * `fail`: it is refused with the error number given. The rest of its batch is sent, as the
//!   kernel goes on after a refusal; of an nf_tables transaction nothing is;
//! * `break`: it and all that come later are refused.
//!
//! Environment: `NETD_INJECT=kill:N`, `fail:N:ERRNO`, `break:N:ERRNO`; with `NETD_INJECT=count`
//! nothing happens but a line `message` on stderr for each.

use std::cell::Cell;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What happens at the chosen message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The process dies of SIGKILL.
    Kill,
    /// The message is refused with this error number.
    Fail(i32),
    /// So are all after it.
    Break(i32),
}

/// A message and what happens at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    /// Number of the message, from 0.
    pub at: usize,
    /// What happens.
    pub how: How,
}

/// A position inside a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) at: usize,
    pub(crate) how: How,
}

thread_local! {
    static ARMED: Cell<Option<Injection>> = const { Cell::new(None) };
    static SEEN: Cell<usize> = const { Cell::new(0) };
}
static PROCESS_SEEN: AtomicUsize = AtomicUsize::new(0);

/// Arms the calling thread (`None` disarms it) and counts its messages from 0 again.
pub fn arm(injection: Option<Injection>) {
    ARMED.set(injection);
    SEEN.set(0);
}

/// How many messages the calling thread has sent since it was armed.
#[must_use]
pub fn seen() -> usize {
    SEEN.get()
}

impl std::str::FromStr for Injection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is none of kill:N, fail:N:ERRNO, break:N:ERRNO, count");
        let mut parts = text.split(':');
        let (word, at) = (parts.next(), parts.next());
        let at = at.and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
        let how = match (word, parts.next(), parts.next()) {
            (Some("kill"), None, None) => How::Kill,
            (Some("fail"), Some(errno), None) => How::Fail(errno.parse().map_err(|_| wrong())?),
            (Some("break"), Some(errno), None) => How::Break(errno.parse().map_err(|_| wrong())?),
            _ => return Err(wrong()),
        };
        Ok(Self { at, how })
    }
}

/// Counts the messages of a batch; the position at which something happens, if in this one.
pub(crate) fn next_batch(count: usize) -> Option<Cut> {
    let seen = SEEN.replace(SEEN.get() + count);
    let process_seen = PROCESS_SEEN.fetch_add(count, Ordering::Relaxed);
    match ARMED.get() {
        Some(injection) => cut(injection, seen, count),
        None => match from_environment()? {
            FromEnvironment::Injection(injection) => cut(*injection, process_seen, count),
            FromEnvironment::Count => {
                let _ = std::io::stderr().write_all("message\n".repeat(count).as_bytes());
                None
            }
        },
    }
}

/// Ends the process as `kill -9` does: nothing is flushed, dropped or closed by us.
pub(crate) fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

fn cut(injection: Injection, seen: usize, count: usize) -> Option<Cut> {
    let at = match injection.how {
        How::Kill | How::Fail(_) => injection.at.checked_sub(seen)?,
        How::Break(_) => injection.at.saturating_sub(seen),
    };
    (at < count).then_some(Cut { at, how: injection.how })
}

enum FromEnvironment {
    Injection(Injection),
    Count,
}

fn from_environment() -> Option<&'static FromEnvironment> {
    static WISH: OnceLock<Option<FromEnvironment>> = OnceLock::new();
    let wish = WISH.get_or_init(|| {
        let text = std::env::var("NETD_INJECT").ok()?;
        if text == "count" {
            return Some(FromEnvironment::Count);
        }
        Some(FromEnvironment::Injection(text.parse().unwrap_or_else(|e: String| {
            // A test that misspells this must not pass for having injected nothing.
            let _ = writeln!(std::io::stderr(), "NETD_INJECT: {e}");
            std::process::abort()
        })))
    });
    wish.as_ref()
}
