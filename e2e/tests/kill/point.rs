//! One call that is cut at one place, and who cleans up after it.

use std::fmt;

use e2e::points::How;

/// In the order of the chain; `bridge` calls `host-local` in its own process.
pub(crate) const PLUGINS: [&str; 3] = ["bridge", "portmap", "firewall"];

/// What the host has of earlier attachments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ground {
    /// Nothing: the bridge, the tables, the directories and the exceptions in iptables' FORWARD
    /// have to be made.
    Fresh,
    /// All that attachments share.
    Used,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Add,
    Del,
}

/// Where a call is cut.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    /// The nth system call of that name, from 1.
    Call(String, usize),
    /// The nth netlink message of a kind, from 0.
    Message(&'static str, usize),
}

/// Who has to clean up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Recovery {
    /// DEL alone.
    Del,
    /// GC alone.
    Gc,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) ground: Ground,
    pub(crate) verb: Verb,
    /// Index in [`PLUGINS`].
    pub(crate) plugin: usize,
    pub(crate) at: At,
    pub(crate) how: How,
    pub(crate) recovery: Recovery,
}

impl Point {
    /// The words for function `point` of `assets/kill.sh`.
    pub(crate) fn words(&self) -> Vec<String> {
        let (nth, bin, cut) = match &self.at {
            At::Call(name, nth) => (nth, "/opt/cni/bin", strace(self.how, name, *nth)),
            At::Message(kind, nth) => (nth, "/opt/inject", inject(self.how, kind, *nth)),
        };
        let mut words = vec!["point".to_owned()];
        words.push(self.ground.word().to_owned());
        words.push(self.verb.word().to_owned());
        words.push(self.plugin.to_string());
        words.push(self.recovery.word().to_owned());
        words.push(nth.to_string());
        words.push(bin.to_owned());
        words.extend(cut);
        words
    }

    /// Whether the call was cut, by the line that `point` prints of it.
    pub(crate) fn was_reached(&self, line: &str) -> bool {
        match (self.how, &self.at) {
            (How::Killed, _) => line.starts_with("code 137 "),
            (How::Failed(_) | How::Broken(_), At::Call(..)) => line.contains("INJECTED"),
            // What is refused is told or passed over; which it is, is the plugin's matter.
            (How::Failed(_) | How::Broken(_), At::Message(..)) => true,
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ground, verb, plugin, at, how, recovery } = self;
        let (ground, verb, plugin) = (ground.word(), verb.word(), PLUGINS[*plugin]);
        write!(f, "{ground} host: {verb} of {plugin} {how:?} at {at:?}, then {recovery:?}")
    }
}

impl Ground {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Used => "used",
        }
    }
}

impl Verb {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
        }
    }
}

impl Recovery {
    fn word(self) -> &'static str {
        match self {
            Self::Del => "del",
            Self::Gc => "gc",
        }
    }
}

fn strace(how: How, call: &str, nth: usize) -> Vec<String> {
    let words = ["strace", "-f", "-qq", "-o", "/run/kill/trace"].map(str::to_owned);
    words.into_iter().chain(how.options(call, nth)).collect()
}

fn inject(how: How, kind: &str, nth: usize) -> Vec<String> {
    vec!["env".to_owned(), format!("NETD_INJECT={}", how.wish(kind, nth))]
}
