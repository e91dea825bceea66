//! Telling others which hosts are missing in a store that was built anew: those that have no memory
//! must not take their subnets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

use super::{Leases, SubnetKey, since_boot};
use crate::store::{Backoff, Error, Fault, Session};

/// Between two words of one host, shortened by up to a half at random: while the hosts of a large
/// cluster come back each of them has news all the time, of as many others.
const PAUSE: Duration = Duration::from_secs(20);
/// For each so many that are missing it is as long again: they are as many bytes of as many hosts.
const MANY: usize = 1000;
/// Between attempts where the store does not take it.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// The least time to live that a store is asked for.
const LEAST: Duration = Duration::from_secs(1);

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Counts the stores of which the last one was built anew: what the one before was told, this
    /// one does not know.
    pub(super) store: u64,
    pub(super) missing: Arc<BTreeSet<SubnetKey>>,
    /// Until when, since boot.
    pub(super) until: Option<Duration>,
}

/// Where the news are: what it is handed is told by a task of its own, which ends with it.
pub(super) struct Teller {
    words: watch::Sender<Option<Word>>,
    asked: watch::Receiver<Option<u64>>,
}

impl Teller {
    pub(super) fn begin(leases: Leases) -> Self {
        let (words, to_tell) = watch::channel(None);
        let (asking, asked) = watch::channel(None);
        let telling = Telling {
            leases,
            words: to_tell,
            asking,
            told: None,
            session: None,
            not_before: Instant::now(),
            next: Instant::now(),
            backoff: Backoff::new(AGAIN.0, AGAIN.1),
        };
        tokio::spawn(telling.run().in_current_span());
        Self { words, asked }
    }

    /// Lets it be told: at once where it is the first word to a store, somebody is missing who was
    /// not, or nobody is any more; else with what comes until then, in [`PAUSE`].
    pub(super) fn say(&self, word: Word) {
        self.words.send_if_modified(|before| {
            let differs = before.as_ref() != Some(&word);
            *before = Some(word);
            differs
        });
    }

    /// Waits until a store was asked once to take the first word, whatever it answered.
    pub(super) async fn asked(&mut self, store: u64) {
        // Fails when the task has ended, which it does with this.
        let _ = self.asked.wait_for(|asked| *asked >= Some(store)).await;
    }
}

struct Telling {
    leases: Leases,
    words: watch::Receiver<Option<Word>>,
    asking: watch::Sender<Option<u64>>,
    /// Which store was told what, if that is known.
    told: Option<(u64, Arc<BTreeSet<SubnetKey>>)>,
    /// By which session the word lives in which store.
    session: Option<(u64, Session)>,
    /// The store is not asked again before.
    not_before: Instant,
    /// When a host that is no longer missing is told of.
    next: Instant,
    backoff: Backoff,
}

impl Telling {
    async fn run(mut self) {
        loop {
            let word = self.words.borrow_and_update().clone();
            let due = word.as_ref().and_then(|word| self.due(word));
            tokio::select! {
                changed = self.words.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(due.unwrap_or(self.next)), if due.is_some() => {
                    if let Some(word) = word {
                        self.tell(word).await;
                    }
                }
            }
        }
    }

    /// When a word is to be told; `None` of one that was.
    fn due(&self, word: &Word) -> Option<Instant> {
        let told = self.told.as_ref().filter(|(store, _)| *store == word.store);
        let Some((_, told)) = told else { return Some(self.not_before) };
        if *told == word.missing {
            return None;
        }
        let is_urgent = word.missing.is_empty() || !word.missing.is_subset(told);
        Some(if is_urgent { self.not_before } else { self.not_before.max(self.next) })
    }

    async fn tell(&mut self, word: Word) {
        let told = if word.missing.is_empty() {
            self.take_back(word.store).await
        } else {
            self.write(&word).await
        };
        let now = Instant::now();
        match told {
            Err(error) if !error.is_permission_denied() => {
                if matches!(error.fault, Fault::SessionGone(_)) {
                    self.session = None;
                }
                self.not_before = now + self.backoff.pause();
                let error = cni::ErrorChain(&error).to_string();
                tracing::warn!(error, "others are not told yet which hosts are missing");
            }
            // Without rights nobody is told, and nobody could ask.
            Ok(()) | Err(_) => {
                self.backoff.reset();
                let pause = pause_after(word.missing.len());
                self.next = now + Backoff::new(pause, pause).pause();
                self.told = Some((word.store, word.missing));
            }
        }
        self.asking.send_replace(Some(word.store));
    }

    /// All words to one store live by one session, which is not kept alive: it is to end with the
    /// time of those that are missing.
    async fn write(&mut self, word: &Word) -> Result<(), Error> {
        let known = self.session.filter(|(store, _)| *store == word.store);
        if let Some((_, session)) = known {
            return self.leases.miss(&word.missing, session).await;
        }
        // Of an agent that was killed, or of a backup.
        let before = self.leases.own_word().await?.and_then(|entry| entry.session);
        let left = word.until.unwrap_or_default().saturating_sub(since_boot());
        let session = self.leases.store.grant(left.max(LEAST)).await?;
        self.session = Some((word.store, session));
        self.leases.miss(&word.missing, session).await?;
        if let Some(before) = before {
            // Nothing lives by it any more, and it would end by itself, too.
            let _ = self.leases.store.revoke(before).await;
        }
        Ok(())
    }

    /// Takes back what this store was told by this agent or by one before.
    async fn take_back(&mut self, store: u64) -> Result<(), Error> {
        if let Some((_, session)) = self.session.filter(|(of, _)| *of == store) {
            self.leases.store.revoke(session).await?;
        } else if let Some(word) = self.leases.own_word().await? {
            self.leases.no_word().await?;
            if let Some(session) = word.session {
                self.leases.store.revoke(session).await?;
            }
        }
        self.session = None;
        Ok(())
    }
}

/// The longest pause after a word about so many.
fn pause_after(missing: usize) -> Duration {
    PAUSE.saturating_mul(u32::try_from(1 + missing / MANY).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::{Host, Keyspace};
    use crate::store::local::Local;
    use crate::store::{Entry, Store};

    /// A host's word about these third bytes.
    fn word(store: u64, missing: &[u8]) -> Word {
        let key = |third: &u8| format!("10.5.{third}.0-24").parse().unwrap();
        let until = since_boot() + Duration::from_secs(100);
        Word { store, missing: Arc::new(missing.iter().map(key).collect()), until: Some(until) }
    }

    /// What the host says once that is about so many, or nothing.
    async fn said(host: &Leases, about: usize) -> Option<Entry> {
        let is_said = async {
            loop {
                let entry = host.own_word().await.unwrap();
                let subnets = entry.as_ref().map_or(0, |entry| {
                    String::from_utf8_lossy(&entry.value).matches("-24").count()
                });
                if subnets == about {
                    return entry;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), is_said).await.expect("it is said")
    }

    #[test]
    fn the_pause_between_words_is_longer_where_thousands_are_missing() {
        let pauses = [1, 999, 1000, 4999].map(|missing| pause_after(missing).as_secs());
        assert_eq!(pauses, [20, 20, 40, 100]);
    }

    #[tokio::test]
    async fn all_words_live_by_one_session_and_only_who_is_missing_anew_is_told_of_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(Local::open(&dir.path().join("a")).unwrap());
        let keys = Keyspace::new("/coreos.com/network", "/netd/v1").unwrap();
        let host = Host { machine_id: "one".into(), boot_id: "one".into(), name: "one".into() };
        let host = Leases::new(Arc::clone(&store), keys, host);
        let mut teller = Teller::begin(host.clone());
        teller.say(word(1, &[2, 3, 4]));
        teller.asked(1).await;
        let first = host.own_word().await.unwrap().unwrap();
        // Two are there again: that waits, and is told with the next word.
        for fewer in [&[2, 3][..], &[2]] {
            teller.say(word(1, fewer));
            for _ in 0..10 {
                assert_eq!(host.own_word().await.unwrap().as_ref(), Some(&first));
            }
        }
        teller.say(word(1, &[2, 5]));
        let second = said(&host, 2).await.unwrap();
        assert_eq!((second.session, second.mod_revision), (first.session, first.mod_revision + 1));
        // Killed, and started again: what it said before is in nobody's way.
        drop(teller);
        let mut teller = Teller::begin(host.clone());
        teller.say(word(1, &[2]));
        teller.asked(1).await;
        let third = said(&host, 1).await.unwrap();
        assert_ne!(third.session, first.session);
        assert_eq!(store.time_to_live(first.session.unwrap()).await.unwrap(), None);
        drop(teller);
        let teller = Teller::begin(host.clone());
        teller.say(word(0, &[]));
        said(&host, 0).await;
        let ended =
            async { while store.time_to_live(third.session.unwrap()).await.unwrap().is_some() {} };
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it is revoked");
    }
}
