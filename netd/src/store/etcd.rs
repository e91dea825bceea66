//! etcd v3.
//!
//! One client per endpoint, and one endpoint at a time: the next is tried when one does not
//! answer. The client library's own balancing keeps sending to endpoints that are down, and
//! flannel's default names one that nearly always is.

mod client;
mod fault;
mod options;
mod watch;

pub use options::{Options, Tls};

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{
    Client, Compare, CompareOp, GetOptions, KeyValue, PutOptions, ResponseHeader, TxnOp,
    TxnOpResponse,
};
use futures_util::stream::BoxStream;
use tokio::sync::watch as tell;

use super::{
    Condition, Entry, Error, Event, Expected, Fault, Listing, Outcome, Position, Revision, Session,
    Store, Target, TimeToLive, Txn, Write,
};
use client::Endpoint;

/// How long one endpoint may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The largest answer taken: a list of some ten thousand hosts.
const LARGEST_ANSWER: usize = 64 << 20;

/// etcd v3.
#[derive(Clone, Debug)]
pub struct Etcd(Arc<Cluster>);

#[derive(Debug)]
struct Cluster {
    endpoints: Vec<Endpoint>,
    /// Index of the endpoint that answered last.
    current: AtomicUsize,
    /// Told when connections are given up.
    anew: tell::Sender<()>,
}

impl Etcd {
    /// Access to etcd. Nothing is connected yet; certificates are read.
    ///
    /// # Errors
    /// [`Fault::Invalid`] with the option, its value and the remedy.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let endpoints = options.endpoints()?;
        let cluster =
            Cluster { endpoints, current: AtomicUsize::new(0), anew: tell::Sender::new(()) };
        Ok(Self(Arc::new(cluster)))
    }

    /// Does a call at the endpoint that answered last, and where that does not answer, at the
    /// others.
    async fn call<T, F>(
        &self,
        action: &str,
        rpc: impl Fn(Client) -> F + Send + Sync,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, etcd_client::Error>> + Send,
    {
        let Cluster { endpoints, current, .. } = &*self.0;
        let mut silent = Vec::new();
        let first = current.load(Ordering::Relaxed);
        for index in (first..endpoints.len()).chain(0..first) {
            let Some(endpoint) = endpoints.get(index) else { continue };
            let answer = async { rpc(endpoint.client().await?).await };
            let fault = tokio::select! {
                answered = tokio::time::timeout(ANSWER_WITHIN, answer) => match answered {
                    Ok(Ok(answer)) => {
                        current.store(index, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Ok(Err(error)) => fault::of(&error),
                    Err(_) => Fault::Unreachable(format!("no answer in {ANSWER_WITHIN:?}")),
                },
                given_up = self.given_up() => given_up,
            };
            let Fault::Unreachable(why) = &fault else { return Err(Error::new(action, fault)) };
            silent.push(endpoint.silent(why));
        }
        let fault = Fault::Unreachable(format!(
            "no etcd answers: {}; see that it runs, and that --etcd-endpoints names it",
            silent.join("; ")
        ));
        Err(Error::new(action, fault))
    }

    /// Ends when connections are given up, and says so.
    async fn given_up(&self) -> Fault {
        // Its sender lives as long as the store.
        let _ = self.0.anew.subscribe().changed().await;
        Fault::Unreachable("an address of this host is gone; connecting anew".to_owned())
    }

    /// Passes over the endpoint that answered last: it answers, but cannot serve.
    fn pass_over(&self) {
        let Cluster { endpoints, current, .. } = &*self.0;
        let next = (current.load(Ordering::Relaxed) + 1) % endpoints.len().max(1);
        current.store(next, Ordering::Relaxed);
    }
}

#[async_trait]
impl Store for Etcd {
    async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        let response = self
            .call(&format!("list {prefix}"), async |client: Client| {
                let mut kv = client.kv_client().max_decoding_message_size(LARGEST_ANSWER);
                kv.get(prefix, Some(GetOptions::new().with_prefix())).await
            })
            .await?;
        let entries = response.kvs().iter().map(entry).collect();
        let header = response.header();
        Ok(Listing { revision: revision_of(header), history: history_of(header), entries })
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let response = self
            .call(&format!("read {key}"), async |client: Client| {
                client.kv_client().get(key, None).await
            })
            .await?;
        Ok(response.kvs().first().map(entry))
    }

    async fn txn(&self, txn: Txn) -> Result<Outcome, Error> {
        let compares: Vec<Compare> = txn.conditions.iter().map(compare).collect();
        let list = txn
            .list
            .as_deref()
            .map(|prefix| TxnOp::get(prefix, Some(GetOptions::new().with_prefix())));
        let writes = txn.writes.iter().map(write).chain(list.clone()).collect::<Vec<_>>();
        let otherwise = list.into_iter().collect::<Vec<_>>();
        let request = etcd_client::Txn::new().when(compares).and_then(writes).or_else(otherwise);
        let response = self
            .call(&txn.action(), async |client: Client| {
                let mut kv = client.kv_client().max_decoding_message_size(LARGEST_ANSWER);
                kv.txn(request.clone()).await
            })
            .await?;
        let listed = response.op_responses().into_iter().find_map(|answer| match answer {
            TxnOpResponse::Get(listed) => Some(listed.kvs().iter().map(entry).collect()),
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
        });
        Ok(Outcome {
            committed: response.succeeded(),
            revision: revision_of(response.header()),
            listed: listed.unwrap_or_default(),
        })
    }

    fn watch(&self, prefix: &str, after: Position) -> BoxStream<'static, Result<Event, Error>> {
        watch::stream(self.clone(), prefix.to_owned(), after)
    }

    async fn grant(&self, time_to_live: Duration) -> Result<Session, Error> {
        let seconds = i64::try_from(time_to_live.as_secs().max(1)).unwrap_or(i64::MAX);
        let response = self
            .call("begin a lease", async |client: Client| {
                client.lease_client().grant(seconds, None).await
            })
            .await?;
        Ok(Session(response.id()))
    }

    async fn keep_alive(&self, session: Session) -> Result<(), Error> {
        let action = format!("keep lease {session} alive");
        let kept = self.call(&action, async |client: Client| {
            client.lease_client().keep_alive(session.0).await.map(|_| ())
        });
        kept.await.map_err(|error| ended(error, session))
    }

    async fn time_to_live(&self, session: Session) -> Result<Option<TimeToLive>, Error> {
        let response = self
            .call(&format!("read the time to live of lease {session}"), async |client: Client| {
                client.lease_client().time_to_live(session.0, None).await
            })
            .await?;
        // -1 is what etcd answers for one that has ended.
        let Ok(remaining) = u64::try_from(response.ttl()) else { return Ok(None) };
        let granted = u64::try_from(response.granted_ttl()).unwrap_or_default();
        Ok(Some(TimeToLive {
            granted: Duration::from_secs(granted),
            remaining: Duration::from_secs(remaining),
        }))
    }

    async fn revoke(&self, session: Session) -> Result<(), Error> {
        let action = format!("end lease {session}");
        let revoked = self.call(&action, async |client: Client| {
            client.lease_client().revoke(session.0).await.map(|_| ())
        });
        match revoked.await.map_err(|error| ended(error, session)) {
            Err(Error { fault: Fault::SessionGone(_), .. }) => Ok(()),
            other => other,
        }
    }

    fn reconnect(&self) {
        self.0.endpoints.iter().for_each(Endpoint::disconnect);
        self.0.anew.send_replace(());
    }
}

/// A lease that etcd does not find has ended.
fn ended(mut error: Error, session: Session) -> Error {
    if let Fault::SessionGone(_) = error.fault {
        error.fault = Fault::SessionGone(session);
    }
    error
}

fn revision_of(header: Option<&ResponseHeader>) -> Revision {
    header.map_or(0, ResponseHeader::revision)
}

/// A cluster that is made anew, from a backup too, has another id.
fn history_of(header: Option<&ResponseHeader>) -> u64 {
    header.map_or(0, ResponseHeader::cluster_id)
}

fn entry(kv: &KeyValue) -> Entry {
    Entry {
        key: String::from_utf8_lossy(kv.key()).into_owned(),
        value: kv.value().to_vec(),
        create_revision: kv.create_revision(),
        mod_revision: kv.mod_revision(),
        session: Some(Session(kv.lease())).filter(|session| session.0 != 0),
    }
}

fn compare(condition: &Condition) -> Compare {
    let key = match &condition.target {
        Target::Key(key) | Target::Prefix(key) => key.as_str(),
    };
    // A range without keys compares as one key of version 0.
    let compare = match condition.expected {
        Expected::Absent => Compare::version(key, CompareOp::Equal, 0),
        Expected::ChangedBy(revision) => Compare::mod_revision(key, CompareOp::Equal, revision),
    };
    match condition.target {
        Target::Key(_) => compare,
        Target::Prefix(_) => compare.with_prefix(),
    }
}

fn write(write: &Write) -> TxnOp {
    match write {
        Write::Put { key, value, session } => {
            let lease = session.map_or(0, |session| session.0);
            let options = PutOptions::new().with_lease(lease);
            TxnOp::put(key.as_str(), value.as_slice(), Some(options))
        }
        Write::Delete(key) => TxnOp::delete(key.as_str(), None),
    }
}
