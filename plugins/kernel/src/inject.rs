//! Failures and deaths at chosen places, for the kill-safety tests of this and other crates.
//! Compiled in with feature `inject` only, which no release is built with.
//!
//! A place is of a [`Kind`], and those of each kind are counted from 0 over the whole process (or
//! the messages of a thread, when a test has armed its thread). At the chosen one
//!
//! * `kill`: the process kills itself as by `kill -9`;
//! * `fail`: what was to be done is refused with the error number given;
//! * `break`: so is all of that kind that comes later.
//!
//! A netlink message counts if it changes something (`message`) or asks for something (`look`), each
//! position inside a batch included. Before a death the messages before it in its batch are sent:
//! the kernel has done a part of the batch. The rest of a batch with a refused message is sent, as
//! the kernel goes on after a refusal; of an nf_tables transaction nothing is.
//!
//! Environment: `NETD_INJECT=KIND:kill:N`, `KIND:fail:N:ERRNO`, `KIND:break:N:ERRNO`; with
//! `NETD_INJECT=count` nothing happens but a line with the kind on stderr for each place, followed
//! by ` same` where it is inside a transaction: cut there, nothing of it happens, as before. With
//! `NETD_INJECT_FROM=FILE` places are counted from the moment on at which there is such a file.

use std::cell::Cell;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A netlink message that changes something.
    Message,
    /// One that asks for something.
    Look,
    /// A value that is written to a sysctl.
    Sysctl,
    /// A write to the hosts' common store, before it is sent.
    Request,
    /// The answer to one that was done, before it is read.
    Answer,
    /// A write to the file of a host's own store: of bytes, of its length, or to the disk.
    Disk,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Message, "message"),
    (Kind::Look, "look"),
    (Kind::Sysctl, "sysctl"),
    (Kind::Request, "request"),
    (Kind::Answer, "answer"),
    (Kind::Disk, "disk"),
];

/// What a line on stderr begins with when a place was reached that the environment names.
const CUT: &str = "cut at";

/// What happens at the chosen place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The process dies of SIGKILL.
    Kill,
    /// It is refused with this error number.
    Fail(i32),
    /// So are all after it.
    Break(i32),
}

/// A place and what happens at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    /// Its number among those of its kind, from 0.
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
static PROCESS_SEEN: [AtomicUsize; KINDS.len()] = [const { AtomicUsize::new(0) }; KINDS.len()];

/// Arms the calling thread's messages (`None` disarms them) and counts them from 0 again.
pub fn arm(injection: Option<Injection>) {
    ARMED.set(injection);
    SEEN.set(0);
}

/// How many messages the calling thread has sent since it was armed.
#[must_use]
pub fn seen() -> usize {
    SEEN.get()
}

/// Counts a place; the error number if it is to be refused. The process may end here. `is_same`: see
/// [`self`].
#[must_use]
pub fn next(kind: Kind, is_same: bool) -> Option<i32> {
    match environment(kind, 1, [is_same, is_same])?.how {
        How::Kill => die(),
        How::Fail(errno) | How::Break(errno) => Some(errno),
    }
}

impl std::str::FromStr for Injection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is none of kill:N, fail:N:ERRNO, break:N:ERRNO");
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

/// Counts the messages of a batch; the position at which something happens, if in this one. A
/// transaction is done as a whole or not at all.
pub(crate) fn next_batch(kind: Kind, count: usize, is_transaction: bool) -> Option<Cut> {
    let seen = SEEN.replace(SEEN.get() + count);
    match ARMED.get() {
        Some(injection) => cut(injection, seen, count),
        None => environment(kind, count, [false, is_transaction]),
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

/// What the environment wishes for some places that follow each other; whether the first, and whether
/// each other one, is the same as the one before.
fn environment(kind: Kind, count: usize, is_same: [bool; 2]) -> Option<Cut> {
    let wish = wish()?;
    if !has_begun() {
        return None;
    }
    let (number, name) =
        KINDS.iter().enumerate().find_map(|(i, (k, name))| (*k == kind).then_some((i, name)))?;
    let seen = PROCESS_SEEN.get(number)?.fetch_add(count, Ordering::Relaxed);
    match wish {
        Wish::At(of, injection) if *of == kind => {
            let cut = cut(*injection, seen, count)?;
            let _ = std::io::stderr().write_all(format!("{CUT} {name}\n").as_bytes());
            Some(cut)
        }
        Wish::At(..) => None,
        Wish::Count => {
            let [first, rest] =
                is_same.map(|same| format!("{name}{}\n", if same { " same" } else { "" }));
            let lines = first + &rest.repeat(count.saturating_sub(1));
            let _ = std::io::stderr().write_all(lines.as_bytes());
            None
        }
    }
}

/// Whether places are counted by now.
fn has_begun() -> bool {
    static FROM: OnceLock<Option<PathBuf>> = OnceLock::new();
    static BEGUN: AtomicBool = AtomicBool::new(false);
    let from = FROM.get_or_init(|| std::env::var_os("NETD_INJECT_FROM").map(PathBuf::from));
    let Some(from) = from else { return true };
    if !BEGUN.load(Ordering::Relaxed) && from.exists() {
        BEGUN.store(true, Ordering::Relaxed);
    }
    BEGUN.load(Ordering::Relaxed)
}

enum Wish {
    At(Kind, Injection),
    Count,
}

fn wish() -> Option<&'static Wish> {
    static WISH: OnceLock<Option<Wish>> = OnceLock::new();
    let wish = WISH.get_or_init(|| {
        let text = std::env::var("NETD_INJECT").ok()?;
        Some(wish_of(&text).unwrap_or_else(|error| {
            // A test that misspells this must not pass for having injected nothing.
            let _ = writeln!(std::io::stderr(), "NETD_INJECT: {error}");
            std::process::abort()
        }))
    });
    wish.as_ref()
}

fn wish_of(text: &str) -> Result<Wish, String> {
    if text == "count" {
        return Ok(Wish::Count);
    }
    let names = || KINDS.map(|(_, name)| name).join(", ");
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    let kind = KINDS.iter().find(|(_, name)| *name == kind);
    let (kind, _) = kind.ok_or_else(|| format!("{text:?} begins with none of {}", names()))?;
    Ok(Wish::At(*kind, rest.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_names_is_a_kind_and_an_injection() {
        for (kind, name) in KINDS {
            let Ok(Wish::At(of, injection)) = wish_of(&format!("{name}:fail:3:5")) else {
                panic!("{name} is no kind");
            };
            assert_eq!((of, injection), (kind, Injection { at: 3, how: How::Fail(5) }));
        }
        assert!(matches!(wish_of("count"), Ok(Wish::Count)));
        for wrong in ["", "kill:3", "message", "message:kill", "messages:kill:3", "disk:count"] {
            assert!(wish_of(wrong).is_err(), "{wrong}");
        }
    }
}
