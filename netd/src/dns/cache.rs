//! What resolvers have answered, for as long as they say, and at most [`MOST`] of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

use super::key;
use super::query::Asked;

/// Answers that are kept.
const MOST: usize = 1024;
/// Records of an answer that is kept, so that what is kept has a bound in bytes, too.
const RECORDS: usize = 64;
/// How long an answer is kept at most: longer than a container waits for a change is of no use.
const LONGEST: Duration = Duration::from_secs(300);
/// The same for "there is none" (RFC 2308, section 5, has hours): what is set up just now is soon found.
const LONGEST_NONE: Duration = Duration::from_secs(30);

/// A question, with what changes its answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    name: String,
    kind: u16,
    signatures: bool,
    authentic: bool,
    unchecked: bool,
}

#[derive(Debug)]
struct Kept {
    answer: Message,
    since: Instant,
    until: Instant,
}

/// The answers.
#[derive(Debug, Default)]
pub(super) struct Cache {
    kept: BTreeMap<Key, Kept>,
    by_end: BTreeSet<(Instant, Key)>,
}

impl Key {
    pub(super) fn of(asked: &Asked) -> Self {
        Self {
            name: key::of(asked.question.name()),
            kind: asked.question.query_type().into(),
            signatures: asked.wants_signatures(),
            authentic: asked.wants_authentic(),
            unchecked: asked.checks_itself(),
        }
    }
}

impl Cache {
    /// An answer, with times to live as they are by now.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Message> {
        let kept = self.kept.get(key).filter(|kept| now < kept.until)?;
        let age = now.saturating_duration_since(kept.since).as_secs();
        let age = u32::try_from(age).unwrap_or(u32::MAX);
        let mut answer = kept.answer.clone();
        let answers = answer.answers.iter_mut();
        let all = answers.chain(&mut answer.authorities).chain(&mut answer.additionals);
        all.for_each(|record| record.ttl = record.ttl.saturating_sub(age));
        Some(answer)
    }

    /// Keeps an answer, if it may be kept.
    pub(super) fn put(&mut self, key: Key, answer: &Message, now: Instant) {
        self.remove(&key);
        let Some(time) = time_to_keep(answer) else { return };
        while let Some((_, over)) = self.by_end.first().filter(|(end, _)| *end <= now).cloned() {
            self.remove(&over);
        }
        if self.kept.len() >= MOST {
            let next = self.by_end.first().map(|(_, key)| key.clone());
            next.iter().for_each(|next| self.remove(next));
        }
        let until = now + time;
        self.by_end.insert((until, key.clone()));
        self.kept.insert(key, Kept { answer: answer.clone(), since: now, until });
    }

    /// Forgets all: others are asked now.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.by_end.clear();
    }

    fn remove(&mut self, key: &Key) {
        if let Some(kept) = self.kept.remove(key) {
            self.by_end.remove(&(kept.until, key.clone()));
        }
    }
}

fn time_to_keep(answer: &Message) -> Option<Duration> {
    let is_kind =
        matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
    let records = answer.all_sections().count();
    if !is_kind || answer.metadata.truncation || records > RECORDS {
        return None;
    }
    let wanted = answer.queries.first()?.query_type();
    let is_wanted = |record: &Record| wanted == RecordType::ANY || record.record_type() == wanted;
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let least = answer.answers.iter().map(|record| seconds(record.ttl)).min();
    let found = least.map(|least| least.min(LONGEST));
    let time = if answer.answers.iter().any(is_wanted) {
        found
    } else {
        // Without an SOA record it must not be kept (RFC 2308, section 5).
        let none = answer.authorities.iter().find_map(|record| {
            let RData::SOA(soa) = &record.data else { return None };
            Some(seconds(soa.minimum.min(record.ttl)).min(LONGEST_NONE))
        });
        none.map(|none| found.map_or(none, |found| found.min(none)))
    };
    time.filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests;
