//! Names that are none of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use tokio::time::timeout;

use super::cache::{Cache, Key};
use super::query::Asked;
use super::resolvers::Resolvers;
use super::{race, upstream};

/// How long a resolver that has failed is asked after the others.
const SHUNNED: Duration = Duration::from_secs(30);

/// Asks the host's resolvers, in the network namespace of the calling thread. Copies are the same.
#[derive(Debug, Clone)]
pub(super) struct Forward(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    resolvers: Resolvers,
    cache: Cache,
    failed: BTreeMap<SocketAddr, Instant>,
    /// Those of which it is being found out whether they answer.
    doubted: BTreeSet<SocketAddr>,
}

impl Forward {
    pub(super) fn new(resolv_conf: PathBuf) -> Self {
        Self(Arc::new(Mutex::new(State {
            resolvers: Resolvers::new(resolv_conf),
            cache: Cache::default(),
            failed: BTreeMap::new(),
            doubted: BTreeSet::new(),
        })))
    }

    /// An answer, of the cache or of the first resolver that has a good one. What is at one of `own`
    /// addresses is not asked: it is this server.
    pub(super) async fn ask(&self, asked: &Asked, own: &BTreeSet<IpAddr>) -> Option<Message> {
        let key = Key::of(asked);
        let servers = match self.state().look(&key, own, Instant::now()) {
            Ok(kept) => return Some(kept),
            Err(servers) => servers,
        };
        let asks = servers.iter().copied().map(|server| upstream::ask(server, asked)).collect();
        let outcome = race::first_good(asks).await;
        self.state().note(key, &servers, &outcome, Instant::now());
        outcome
            .slow
            .iter()
            .filter_map(|place| servers.get(*place))
            .for_each(|slow| self.doubt(*slow, asked));
        outcome.answer
    }

    /// Finds out whether one that was slower than others answers at all. Nobody waits for it, and of each it is
    /// found out once at a time.
    fn doubt(&self, server: SocketAddr, asked: &Asked) {
        if !self.state().doubted.insert(server) {
            return;
        }
        let (forward, asked) = (self.clone(), asked.clone());
        tokio::spawn(async move {
            let answer = timeout(race::PATIENCE, upstream::ask(server, &asked)).await;
            let mut state = forward.state();
            state.doubted.remove(&server);
            if !matches!(answer, Ok(Ok(_))) {
                state.failed.insert(server, Instant::now());
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is kept, or whom to ask, in this order.
    fn look(
        &mut self,
        key: &Key,
        own: &BTreeSet<IpAddr>,
        now: Instant,
    ) -> Result<Message, Vec<SocketAddr>> {
        let (servers, are_others) = self.resolvers.now();
        let mut servers: Vec<SocketAddr> =
            servers.iter().filter(|server| !own.contains(&server.ip())).copied().collect();
        if are_others {
            self.cache.clear();
            self.failed.clear();
        }
        if let Some(kept) = self.cache.get(key, now) {
            return Ok(kept);
        }
        let has_failed = |server: &SocketAddr| {
            let then = self.failed.get(server);
            then.is_some_and(|then| now.saturating_duration_since(*then) < SHUNNED)
        };
        servers.sort_by_key(has_failed);
        Err(servers)
    }

    fn note(&mut self, key: Key, servers: &[SocketAddr], outcome: &race::Outcome, now: Instant) {
        let failed = outcome.failed.iter().filter_map(|place| servers.get(*place));
        self.failed.extend(failed.map(|server| (*server, now)));
        // That there is none is kept only where nobody can know better.
        let is_sure = |answer: &&Message| outcome.slow.is_empty() || !answer.answers.is_empty();
        if let Some(answer) = outcome.answer.as_ref().filter(is_sure) {
            self.cache.put(key, answer, now);
        }
        if outcome.answer.is_none() {
            tracing::debug!(?servers, "no resolver of this host has answered");
        }
    }
}
