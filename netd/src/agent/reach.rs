//! Whether the store answers, and when it last had a sign of life: noted at each of the agent's
//! requests, whoever makes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cni::ErrorChain;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::watch;

use crate::lease::since_boot;
use crate::store::{
    Entry, Error, Event, Fault, Listing, Outcome, Position, Session, Store, TimeToLive, Txn,
};

/// What is known of the store. Times are since boot, with the time that the host slept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// When it answered last.
    pub(super) answered: Option<Duration>,
    /// Why it did not answer when it was asked last.
    pub(super) trouble: Option<String>,
    /// Answers, and events of watches.
    pub(super) answers: u64,
    /// Requests and watches that got no answer.
    pub(super) failures: u64,
    /// When sessions had their whole time last.
    pub(super) kept: BTreeMap<Session, Duration>,
}

/// A store that notes how it answers. Receivers are woken when it goes away or is there again, and by
/// signs of life, not by every answer.
#[derive(Debug)]
pub(super) struct Noted {
    store: Arc<dyn Store>,
    reach: watch::Sender<Reach>,
}

impl Noted {
    pub(super) fn new(store: Arc<dyn Store>) -> (Arc<Self>, watch::Receiver<Reach>) {
        let (reach, seen) = watch::channel(Reach::default());
        (Arc::new(Self { store, reach }), seen)
    }

    fn note<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        note(&self.reach, &result);
        result
    }

    fn kept(&self, session: Session, kept: bool) {
        self.reach.send_modify(|reach| {
            if kept {
                reach.kept.insert(session, since_boot());
            } else {
                reach.kept.remove(&session);
            }
        });
    }
}

#[async_trait]
impl Store for Noted {
    async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        self.note(self.store.list(prefix).await)
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.note(self.store.get(key).await)
    }

    async fn txn(&self, txn: Txn) -> Result<Outcome, Error> {
        self.note(self.store.txn(txn).await)
    }

    fn watch(&self, prefix: &str, after: Position) -> BoxStream<'static, Result<Event, Error>> {
        let reach = self.reach.clone();
        self.store.watch(prefix, after).inspect(move |event| note(&reach, event)).boxed()
    }

    async fn grant(&self, time_to_live: Duration) -> Result<Session, Error> {
        let session = self.note(self.store.grant(time_to_live).await)?;
        self.kept(session, true);
        Ok(session)
    }

    async fn keep_alive(&self, session: Session) -> Result<(), Error> {
        let result = self.note(self.store.keep_alive(session).await);
        match &result {
            Ok(()) => self.kept(session, true),
            Err(Error { fault: Fault::SessionGone(_), .. }) => self.kept(session, false),
            Err(_) => {}
        }
        result
    }

    async fn time_to_live(&self, session: Session) -> Result<Option<TimeToLive>, Error> {
        self.note(self.store.time_to_live(session).await)
    }

    async fn revoke(&self, session: Session) -> Result<(), Error> {
        let result = self.note(self.store.revoke(session).await);
        if result.is_ok() {
            self.kept(session, false);
        }
        result
    }

    fn reconnect(&self) {
        self.store.reconnect();
    }
}

/// An answer is whatever the store itself has said, also a refusal; not that it knows nobody by
/// our name, for it does nothing then.
fn note<T>(reach: &watch::Sender<Reach>, result: &Result<T, Error>) {
    let trouble = result
        .as_ref()
        .err()
        .filter(|error| matches!(error.fault, Fault::Unreachable(_) | Fault::Unauthenticated(_)));
    let trouble = trouble.map(|error| ErrorChain(error).to_string());
    reach.send_if_modified(|reach| {
        let news = trouble.is_some() != reach.trouble.is_some();
        if trouble.is_none() {
            reach.answered = Some(since_boot());
            reach.answers += 1;
        } else {
            reach.failures += 1;
        }
        reach.trouble = trouble;
        news
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_noted_until_the_next_answer_and_a_refusal_is_one() {
        let (sender, mut seen) = watch::channel(Reach::default());
        let error = |fault| Err::<(), _>(Error { action: "list /a".into(), fault });
        note(&sender, &error(Fault::Unreachable("no route".into())));
        assert_eq!(seen.borrow().trouble.as_deref(), Some("list /a: no route"));
        assert_eq!((seen.borrow().answers, seen.borrow().failures), (0, 1));
        note(&sender, &error(Fault::PermissionDenied("read".into())));
        assert_eq!(seen.borrow().trouble, None);
        assert_eq!((seen.borrow().answers, seen.borrow().failures), (1, 1));
        assert!(seen.has_changed().unwrap(), "it is there again");
        seen.mark_unchanged();
        note(&sender, &Ok(()));
        assert!(!seen.has_changed().unwrap(), "an answer like the one before wakes nobody");
    }

    #[test]
    fn a_sign_of_life_is_noted_by_session() {
        let dir = tempfile::tempdir().unwrap();
        let local = crate::store::local::Local::open(&dir.path().join("netd.redb")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (store, seen) = Noted::new(Arc::new(local));
            let session = store.grant(Duration::from_secs(60)).await.unwrap();
            let granted = *seen.borrow().kept.get(&session).unwrap();
            store.keep_alive(session).await.unwrap();
            assert!(*seen.borrow().kept.get(&session).unwrap() > granted);
            store.revoke(session).await.unwrap();
            assert!(seen.borrow().kept.is_empty());
        });
    }
}
