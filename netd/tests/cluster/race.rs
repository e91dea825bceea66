//! What happens when others write, or etcd falls silent, at the worst moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use netd::store::{
    Entry, Error, Event, Fault, Listing, Outcome, Position, Session, Store, TimeToLive, Txn, Write,
};

use super::setup::{Cluster, SUBNETS, acquire, key, leases, wanted};

const NETWORK: &str = r#"{"Network":"10.3.0.0/16"}"#;

/// A store in which something happens once, just before or after the first transaction that writes
/// a subnet.
#[derive(Debug)]
struct Troubled {
    store: Arc<dyn Store>,
    trouble: Trouble,
    happened: AtomicBool,
}

#[derive(Debug)]
enum Trouble {
    /// Another host puts this key just before.
    Faster(String),
    /// It happens, and nobody hears of it.
    AnswerLost,
}

#[async_trait]
impl Store for Troubled {
    async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        self.store.list(prefix).await
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.store.get(key).await
    }

    async fn txn(&self, txn: Txn) -> Result<Outcome, Error> {
        let of_subnet =
            |write: &Write| matches!(write, Write::Put { key, .. } if key.starts_with(SUBNETS));
        if !txn.writes.iter().any(of_subnet) || self.happened.swap(true, Ordering::Relaxed) {
            return self.store.txn(txn).await;
        }
        match &self.trouble {
            Trouble::Faster(key) => {
                let other = r#"{"PublicIP":"192.168.0.99"}"#;
                self.store.txn(Txn::new().put(key.as_str(), other, None)).await?;
                self.store.txn(txn).await
            }
            Trouble::AnswerLost => {
                self.store.txn(txn).await?;
                let fault = Fault::Unreachable("the answer was lost".to_owned());
                Err(Error { action: "write".to_owned(), fault })
            }
        }
    }

    fn watch(&self, prefix: &str, after: Position) -> BoxStream<'static, Result<Event, Error>> {
        self.store.watch(prefix, after)
    }

    async fn grant(&self, time_to_live: Duration) -> Result<Session, Error> {
        self.store.grant(time_to_live).await
    }

    async fn keep_alive(&self, session: Session) -> Result<(), Error> {
        self.store.keep_alive(session).await
    }

    async fn time_to_live(&self, session: Session) -> Result<Option<TimeToLive>, Error> {
        self.store.time_to_live(session).await
    }

    async fn revoke(&self, session: Session) -> Result<(), Error> {
        self.store.revoke(session).await
    }
}

fn troubled(cluster: &Cluster, trouble: Trouble) -> Arc<dyn Store> {
    let happened = AtomicBool::new(false);
    Arc::new(Troubled { store: cluster.etcd.store(), trouble, happened })
}

/// Host 1 wants 10.3.5.0/24; this key is created just before it does so.
async fn outrun_by(name: &str) -> (Cluster, netd::lease::Held) {
    let cluster = Cluster::new(NETWORK);
    let store = troubled(&cluster, Trouble::Faster(format!("{SUBNETS}{name}")));
    let mut wanted = wanted(1);
    wanted.previous = Some(key("10.3.5.0-24"));
    let held = acquire(&leases(store, 1), &wanted).await.unwrap();
    assert_eq!(cluster.subnets().await.len(), 2);
    assert_eq!(cluster.etcd_leases().len(), 1, "none is left behind");
    (cluster, held)
}

#[tokio::test]
async fn a_host_that_is_outrun_takes_another_subnet() {
    let (cluster, held) = outrun_by("10.3.5.0-24").await;
    assert!(!held.subnet.overlaps(&key("10.3.5.0-24")));
    let other = cluster.store().get(&format!("{SUBNETS}10.3.5.0-24")).await.unwrap().unwrap();
    assert!(String::from_utf8(other.value).unwrap().contains("192.168.0.99"));
}

#[tokio::test]
async fn the_other_form_of_the_key_excludes_a_subnet_too() {
    let (_cluster, held) = outrun_by("10.3.5.0-24&fd00:3:0:5::-64").await;
    assert!(!held.subnet.overlaps(&key("10.3.5.0-24")));
}

#[tokio::test]
async fn of_two_leases_that_overlap_the_later_gives_way() {
    let (cluster, held) = outrun_by("10.3.0.0-20").await;
    assert!(!held.subnet.overlaps(&key("10.3.0.0-20")), "{held:?}");
    let record = format!("/netd/v1/hosts/{:032x}/lease/coreos.com/network", 1);
    let record = cluster.store().get(&record).await.unwrap().unwrap();
    assert!(String::from_utf8(record.value).unwrap().contains(&held.subnet.to_string()));
}

#[tokio::test]
async fn a_lease_whose_creation_was_not_answered_is_not_left_behind() {
    let cluster = Cluster::new(NETWORK);
    let store = troubled(&cluster, Trouble::AnswerLost);
    let host = leases(store, 1);
    let error = acquire(&host, &wanted(1)).await.unwrap_err();
    assert!(cni::ErrorChain(&error).to_string().contains("the answer was lost"), "{error:?}");
    assert!(cluster.subnets().await.is_empty());
    assert!(cluster.etcd_leases().is_empty());
    acquire(&host, &wanted(1)).await.unwrap();
    assert_eq!(cluster.subnets().await.len(), 1);
}
