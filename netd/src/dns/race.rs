//! Several resolvers, one good answer.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, sleep_until};

use hickory_proto::op::{Message, ResponseCode};

/// How long those that are named before it may still say what it is, after one that knows a name.
const HEAD_START: Duration = Duration::from_millis(20);
/// How long they may still know a name that another has not found.
const GRACE: Duration = Duration::from_millis(250);
/// How long all of them have: less than the 5 s after which a C library asks again.
pub(super) const PATIENCE: Duration = Duration::from_millis(4500);

/// What came of it.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    /// A good answer, else the first that is none, of a resolver that cannot or will not answer.
    pub(super) answer: Option<Message>,
    /// Those before it in order that had not answered yet, by their places: they may have another answer.
    pub(super) slow: Vec<usize>,
    /// Those that could not be asked, or said nothing for as long as all have.
    pub(super) failed: Vec<usize>,
}

/// What was heard so far. Of two that say the same the one with the first place counts.
#[derive(Default)]
struct Heard {
    /// Who has not answered.
    open: BTreeSet<usize>,
    found: Option<(usize, Message)>,
    /// That there is nothing of the kind.
    none: Option<(usize, Message)>,
    bad: Option<Message>,
    failed: Vec<usize>,
}

/// Asks all at once. Whoever has what was asked for ends it, and that there is none, when those before in order
/// have spoken, too, or have had a while for it: on many hosts the first resolver has names that others have
/// not, or other addresses for them.
pub(super) async fn first_good<F>(asks: Vec<F>) -> Outcome
where
    F: Future<Output = io::Result<Message>>,
{
    let mut heard = Heard { open: (0..asks.len()).collect(), ..Heard::default() };
    let numbered = |(place, ask)| async move { (place, ask.await) };
    let mut running: FuturesUnordered<_> = asks.into_iter().enumerate().map(numbered).collect();
    let end = Instant::now() + PATIENCE;
    let mut until = end;
    while !heard.is_decided() {
        tokio::select! {
            Some((place, answer)) = running.next() => {
                heard.take(place, answer);
                if let Some(pause) = heard.pause() {
                    until = until.min(Instant::now() + pause);
                }
            }
            () = sleep_until(until) => {
                if until == end {
                    heard.failed.extend(std::mem::take(&mut heard.open));
                }
                break;
            }
        }
    }
    heard.outcome()
}

impl Heard {
    fn take(&mut self, place: usize, answer: io::Result<Message>) {
        self.open.remove(&place);
        match answer {
            Ok(answer) if !is_good(&answer) => drop(self.bad.get_or_insert(answer)),
            Ok(answer) => {
                let is_none = answer.answers.is_empty();
                let same = if is_none { &mut self.none } else { &mut self.found };
                if same.as_ref().is_none_or(|(before, _)| place < *before) {
                    *same = Some((place, answer));
                }
            }
            Err(_) => self.failed.push(place),
        }
    }

    /// How long others have from now on.
    fn pause(&self) -> Option<Duration> {
        let found = self.found.as_ref().map(|_| HEAD_START);
        found.or_else(|| self.none.as_ref().map(|_| GRACE))
    }

    /// Whether nobody is left whose answer counts.
    fn is_decided(&self) -> bool {
        self.open.range(..self.before()).next().is_none()
    }

    /// Places before this one count.
    fn before(&self) -> usize {
        let best = self.found.as_ref().or(self.none.as_ref());
        best.map_or(usize::MAX, |(place, _)| *place)
    }

    fn outcome(self) -> Outcome {
        let slow = self.open.range(..self.before()).copied().collect();
        let best = self.found.or(self.none).map(|(_, answer)| answer);
        Outcome { answer: best.or(self.bad), slow, failed: self.failed }
    }
}

fn is_good(answer: &Message) -> bool {
    !matches!(
        answer.metadata.response_code,
        ResponseCode::ServFail
            | ResponseCode::Refused
            | ResponseCode::NotImp
            | ResponseCode::FormErr
    )
}

#[cfg(test)]
mod tests;
