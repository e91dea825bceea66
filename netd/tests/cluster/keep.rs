//! How a host keeps its subnet.

use std::time::Duration;

use netd::lease::{Held, Keeper, Leases, Status};
use netd::store::{Entry, Txn};

use super::setup::{Cluster, SUBNETS, acquire, key, soon, until, wanted};

const NETWORK: &str = r#"{"Network":"10.3.0.0/16"}"#;

/// Acquires 10.3.5.0/24 for host 1, with a time to live in seconds, and keeps it.
async fn kept(cluster: &Cluster, seconds: u64) -> (Leases, Held, Keeper) {
    let host = cluster.host(1);
    let mut wanted = wanted(1);
    wanted.previous = Some(key("10.3.5.0-24"));
    wanted.time_to_live = Duration::from_secs(seconds);
    let held = acquire(&host, &wanted).await.unwrap();
    let keeper = host.keep(held.clone());
    (host, held, keeper)
}

/// Waits for a status.
async fn status(keeper: &Keeper, what: &str, is: impl Fn(&Status) -> bool) -> Status {
    let mut status = keeper.status();
    soon(what, status.wait_for(is)).await.unwrap().clone()
}

/// The keeper's sign of life, which follows that of the lease.
async fn sign_of_life(cluster: &Cluster) -> Entry {
    let live = format!("/netd/v1/hosts/{:032x}/live/coreos.com/network", 1);
    soon("a sign of life", async {
        loop {
            let sign = cluster.store().get(&live).await.unwrap();
            if let Some(sign) = sign.filter(|sign| sign.mod_revision > sign.create_revision) {
                break sign;
            }
        }
    })
    .await
}

fn name() -> String {
    format!("{SUBNETS}10.3.5.0-24")
}

#[tokio::test]
async fn a_lease_outlives_its_time_to_live_while_it_is_kept_and_is_written_once() {
    let cluster = Cluster::new(NETWORK);
    let (_host, held, keeper) = kept(&cluster, 3).await;
    sign_of_life(&cluster).await;
    let before = cluster.store().list("/").await.unwrap();
    let calls = || {
        ["LeaseKeepAlive", "Range", "Txn", "LeaseGrant", "LeaseTimeToLive"]
            .map(|name| cluster.etcd.calls(name))
    };
    let counted = calls();
    let started = std::time::Instant::now();
    until("two times its time to live", async || started.elapsed() > Duration::from_secs(6)).await;
    // A sign of life per second for the lease, and one in ten seconds for the host.
    let [keep_alive, others @ ..] = calls();
    let kept = keep_alive - counted[0];
    assert!((3.0..=8.0).contains(&kept), "{kept}");
    assert_eq!(others, counted[1..], "nothing else is asked for");
    assert_eq!(cluster.store().list("/").await.unwrap(), before);
    assert_eq!(*keeper.status().borrow(), Status::Held(held));
    drop(keeper);
    until("the end of a lease that nobody keeps", async || cluster.subnets().await.is_empty())
        .await;
}

#[tokio::test]
async fn a_key_that_is_deleted_is_created_again() {
    let cluster = Cluster::new(NETWORK);
    let (_host, held, keeper) = kept(&cluster, 60).await;
    cluster.etcd.ctl(&["del", &name()]);
    let of_later = |status: &Status| matches!(status, Status::Held(now) if *now != held);
    let Status::Held(now) = status(&keeper, "held again", of_later).await else { panic!() };
    assert_eq!((now.subnet, now.session, &now.value), (held.subnet, held.session, &held.value));
    let entry = cluster.store().get(&name()).await.unwrap().unwrap();
    assert_eq!((entry.value, entry.session), (held.value.encode(), held.session));
}

#[tokio::test]
async fn a_key_whose_session_has_ended_is_created_with_a_new_one() {
    let cluster = Cluster::new(NETWORK);
    let (_host, held, keeper) = kept(&cluster, 60).await;
    cluster.store().revoke(held.session.unwrap()).await.unwrap();
    let anew = |status: &Status| matches!(status, Status::Held(now) if now.session != held.session);
    status(&keeper, "held with another session", anew).await;
    let record = format!("/netd/v1/hosts/{:032x}/lease/coreos.com/network", 1);
    let entry = cluster.store().get(&name()).await.unwrap().unwrap();
    let record = cluster.store().get(&record).await.unwrap().unwrap();
    assert_eq!(record.session, entry.session);
    // And the proof fits: a restart finds its own.
    let mut wanted = wanted(1);
    wanted.time_to_live = Duration::from_secs(60);
    assert_eq!(acquire(&cluster.host(1), &wanted).await.unwrap().session, entry.session);
}

#[tokio::test]
async fn a_subnet_that_another_host_took_is_reported_and_not_overwritten() {
    let cluster = Cluster::new(NETWORK);
    let (_host, held, keeper) = kept(&cluster, 60).await;
    let other = r#"{"PublicIP":"192.168.0.9","PublicIPv6":null}"#;
    let store = cluster.store();
    // Deleted and leased by another in one moment, as after an outage.
    let entry = store.get(&name()).await.unwrap().unwrap();
    let txn = Txn::new().if_unchanged(name(), entry.mod_revision).put(name(), other, None);
    assert!(store.txn(txn).await.unwrap().committed);
    let lost = |status: &Status| matches!(status, Status::Lost { reason } if reason.contains("192.168.0.9"));
    status(&keeper, "lost", lost).await;
    // What is published now changes nothing of it.
    let mut value = held.value.clone();
    value.backend_type = "vxlan".to_owned();
    keeper.publish(value);
    cluster.etcd.ctl(&["put", "/netd/v1/unrelated", "x"]);
    let entry = store.get(&name()).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(entry.value).unwrap(), other);
    // Free again, it is taken again.
    cluster.etcd.ctl(&["del", &name()]);
    status(&keeper, "held again", |status| matches!(status, Status::Held(_))).await;
    let entry = store.get(&name()).await.unwrap().unwrap();
    assert!(String::from_utf8(entry.value).unwrap().contains(r#""BackendType":"vxlan""#));
}

#[tokio::test]
async fn a_larger_lease_in_the_way_is_given_way_to_without_a_word_and_its_end_gives_the_subnet_back()
 {
    let cluster = Cluster::new(NETWORK);
    let (_host, held, keeper) = kept(&cluster, 60).await;
    let larger = format!("{SUBNETS}10.3.0.0-20");
    let store = cluster.store();
    let other = r#"{"PublicIP":"192.168.0.9","PublicIPv6":null}"#;
    store.txn(Txn::new().put(larger.clone(), other, None)).await.unwrap();
    cluster.etcd.ctl(&["del", &name()]);
    let lost = |status: &Status| matches!(status, Status::Lost { reason } if reason.contains("10.3.0.0-20"));
    status(&keeper, "lost to the larger one", lost).await;
    let before = store.list(SUBNETS).await.unwrap().revision;
    let calls = cluster.etcd.calls("Range");
    until("another look", async || cluster.etcd.calls("Range") > calls + 1.0).await;
    let now = store.list(SUBNETS).await.unwrap();
    assert_eq!((now.revision, now.entries.len()), (before, 1), "nothing is written");
    cluster.etcd.ctl(&["del", &larger]);
    let again = |status: &Status| matches!(status, Status::Held(now) if now.subnet == held.subnet);
    status(&keeper, "held again", again).await;
}

#[tokio::test]
async fn another_value_is_published_once_with_the_same_session() {
    let cluster = Cluster::new(NETWORK);
    let (_host, held, keeper) = kept(&cluster, 60).await;
    let mut value = held.value.clone();
    value.backend_type = "vxlan".to_owned();
    keeper.publish(value.clone());
    until("the value in etcd", async || {
        cluster.store().get(&name()).await.unwrap().unwrap().value == value.encode()
    })
    .await;
    let entry = cluster.store().get(&name()).await.unwrap().unwrap();
    assert_eq!(entry.session, held.session);
    keeper.publish(value.clone());
    let published = |status: &Status| matches!(status, Status::Held(now) if now.value == value);
    status(&keeper, "the value in the status", published).await;
    assert_eq!(cluster.store().get(&name()).await.unwrap(), Some(entry));
}

#[tokio::test]
async fn a_lease_that_an_administrator_makes_a_reservation_becomes_one() {
    let cluster = Cluster::new(NETWORK);
    let (host, held, keeper) = kept(&cluster, 60).await;
    let config = host.config().await.unwrap();
    cluster.host(2).reserve(&config, &held.subnet, None).await.unwrap();
    let reserved = |status: &Status| matches!(status, Status::Held(now) if now.session.is_none());
    status(&keeper, "held as a reservation", reserved).await;
    drop(keeper);
    let again = cluster.acquire(1).await.unwrap();
    assert_eq!((again.subnet, again.session), (held.subnet, None));
}

#[tokio::test]
async fn a_host_is_alive_apart_from_its_lease_and_says_so_for_30_seconds() {
    let cluster = Cluster::new(NETWORK);
    let (_host, held, keeper) = kept(&cluster, 60).await;
    let entry = sign_of_life(&cluster).await;
    let live = entry.key.clone();
    assert_ne!(entry.session, held.session);
    let life = cluster.store().time_to_live(entry.session.unwrap()).await.unwrap().unwrap();
    assert_eq!(life.granted, Duration::from_secs(30));
    assert!(String::from_utf8(entry.value).unwrap().contains("host-1"));
    keeper.stop().await;
    assert_eq!(cluster.store().get(&live).await.unwrap(), None);
    assert_eq!(cluster.subnets().await, ["10.3.5.0-24"], "the lease stays");
}

#[tokio::test]
async fn a_key_that_was_deleted_and_compacted_away_in_an_outage_is_created_again() {
    let mut cluster = Cluster::new(NETWORK);
    let (_host, held, _keeper) = kept(&cluster, 60).await;
    cluster.etcd.kill();
    cluster.etcd.run();
    let deleted = cluster.etcd.ctl(&["del", &name(), "-w", "json"]);
    let deleted: serde_json::Value = serde_json::from_str(&deleted).unwrap();
    cluster.etcd.ctl(&["put", "/unrelated", "x"]);
    cluster.etcd.ctl(&["compaction", &deleted["header"]["revision"].to_string()]);
    until("the key", async || {
        let entry = cluster.store().get(&name()).await.unwrap();
        entry.is_some_and(|entry| entry.session == held.session)
    })
    .await;
}

#[tokio::test]
async fn an_outage_of_etcd_is_survived() {
    let mut cluster = Cluster::new(NETWORK);
    let (_host, held, keeper) = kept(&cluster, 4).await;
    cluster.etcd.kill();
    let started = std::time::Instant::now();
    until("more than a time to live", async || started.elapsed() > Duration::from_secs(5)).await;
    cluster.etcd.run();
    until("the key", async || cluster.subnets().await == ["10.3.5.0-24"]).await;
    let of_ours =
        |status: &Status| matches!(status, Status::Held(now) if now.subnet == held.subnet);
    status(&keeper, "held", of_ours).await;
    // It is kept on: through two times its time to live.
    let started = std::time::Instant::now();
    until("twice", async || started.elapsed() > Duration::from_secs(8)).await;
    assert_eq!(cluster.subnets().await, ["10.3.5.0-24"]);
}

#[tokio::test]
async fn in_a_store_that_was_built_anew_the_lease_is_there_again() {
    let mut cluster = Cluster::new(NETWORK);
    // So that its revisions are lower afterwards.
    for number in 0..20 {
        cluster.store().txn(Txn::new().put("/unrelated", [number], None)).await.unwrap();
    }
    let (_host, held, keeper) = kept(&cluster, 60).await;
    cluster.etcd.kill();
    cluster.etcd.forget();
    cluster.etcd.run();
    until("the key", async || cluster.subnets().await == ["10.3.5.0-24"]).await;
    let entry = cluster.store().get(&name()).await.unwrap().unwrap();
    assert_eq!(entry.value, held.value.encode());
    let anew =
        |status: &Status| matches!(status, Status::Held(now) if now.session == entry.session);
    status(&keeper, "held", anew).await;
}
