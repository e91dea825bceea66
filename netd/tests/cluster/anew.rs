//! A store that was built anew and has come as far again, before anybody could see that its revision
//! had gone back.

use std::collections::BTreeSet;

use netd::lease::{ClusterEvent, Known, Status, TIME_TO_LIVE};
use netd::store::{Change, Followed, Txn, follow};
use tokio::sync::mpsc::{Receiver, channel};

use super::events::state;
use super::setup::{Cluster, SUBNETS, acquire, key, soon, until, wanted};

const NETWORK: &str = r#"{"Network":"10.3.0.0/16"}"#;
const ANOTHERS: &str = r#"{"PublicIP":"192.168.0.9","PublicIPv6":null}"#;
/// More changes than there are in a test before.
const MANY: usize = 40;

fn followed(cluster: &Cluster) -> Receiver<Followed> {
    let (to, followed) = channel(8);
    tokio::spawn(follow(cluster.etcd.store(), SUBNETS.to_owned(), to));
    followed
}

async fn next(followed: &mut Receiver<Followed>) -> Followed {
    soon("news", followed.recv()).await.unwrap()
}

/// What has changed; that the store is there again is told by no change at all.
async fn changed(followed: &mut Receiver<Followed>) -> Vec<Change> {
    loop {
        match next(followed).await {
            Followed::Changed(changes) if changes.is_empty() => {}
            Followed::Changed(changes) => return changes,
            other @ (Followed::Listed(_) | Followed::Anew(_)) => panic!("{other:?}"),
        }
    }
}

/// What is listed of a store that was built anew, without the prefix.
async fn anew(followed: &mut Receiver<Followed>) -> Vec<String> {
    let news = next(followed).await;
    let Followed::Anew(listing) = news else { panic!("{news:?}") };
    let name = |key: &str| key.strip_prefix(SUBNETS).unwrap().to_owned();
    listing.entries.iter().map(|entry| name(&entry.key)).collect()
}

fn reserve(cluster: &Cluster, name: &str) {
    cluster.etcd.ctl(&["put", &format!("{SUBNETS}{name}"), ANOTHERS]);
}

#[tokio::test]
async fn it_is_told_by_a_lease_that_it_did_not_have_then() {
    let mut cluster = Cluster::new(NETWORK);
    cluster.acquire(1).await.unwrap();
    let mut followed = followed(&cluster);
    assert!(matches!(next(&mut followed).await, Followed::Listed(_)));
    // It is there no more when the history changes, and was there all the same.
    let other = cluster.acquire(2).await.unwrap();
    assert!(matches!(next(&mut followed).await, Followed::Changed(_)));
    cluster.etcd.ctl(&["del", &format!("{SUBNETS}{}", other.subnet)]);
    let gone = next(&mut followed).await;
    assert!(matches!(&gone, Followed::Changed(c) if matches!(c[..], [Change::Deleted { .. }])));
    cluster.etcd.kill();
    cluster.etcd.run_anew(None, MANY);
    assert_eq!(anew(&mut followed).await, [""; 0]);
    // Nothing is left that could tell, so it is listed, and that its revision went back tells.
    cluster.etcd.kill();
    cluster.etcd.run_anew(None, MANY / 2);
    assert_eq!(anew(&mut followed).await, [""; 0]);
}

#[tokio::test]
async fn a_backup_of_before_the_newest_lease_is_another_history_and_one_of_after_it_is_not() {
    let mut cluster = Cluster::new(NETWORK);
    cluster.acquire(1).await.unwrap();
    let snapshot = |cluster: &Cluster, name: &str| {
        let path = cluster.etcd.path(name);
        cluster.etcd.ctl(&["snapshot", "save", path.to_str().unwrap()]);
        path
    };
    let before = snapshot(&cluster, "before");
    let held = cluster.acquire(2).await.unwrap();
    let after = snapshot(&cluster, "after");
    let mut followed = followed(&cluster);
    assert!(matches!(next(&mut followed).await, Followed::Listed(_)));
    cluster.etcd.kill();
    cluster.etcd.run_anew(Some(&after), MANY);
    reserve(&cluster, "10.3.250.0-24");
    assert_eq!(changed(&mut followed).await.len(), 1);
    let third = cluster.acquire(3).await.unwrap();
    assert_eq!(changed(&mut followed).await.len(), 1);
    cluster.etcd.kill();
    cluster.etcd.run_anew(Some(&before), 2 * MANY);
    let listed = anew(&mut followed).await;
    for gone in [held.subnet, third.subnet] {
        assert!(!listed.contains(&gone.to_string()), "{listed:?}");
    }
}

#[tokio::test]
async fn all_hosts_leases_are_there_again_and_one_that_is_not_is_missing() {
    let mut cluster = Cluster::new(NETWORK);
    let (us, them) = (cluster.acquire(1).await.unwrap(), cluster.acquire(2).await.unwrap());
    let gone = cluster.acquire(3).await.unwrap();
    let hosts = [(1, &us), (2, &them)].map(|(number, held)| {
        let host = cluster.host(number);
        (host.keep(held.clone()), host.watch(held.subnet, Known::default(), TIME_TO_LIVE))
    });
    let [(keeper, mut events), _other] = hosts;
    let first = state(&mut events).await;
    let event = soon("the hosts", events.recv()).await;
    assert!(matches!(event, Some(ClusterEvent::Reset(view)) if view.peers.len() == 2));
    cluster.etcd.kill();
    cluster.etcd.run_anew(None, MANY);
    let there: BTreeSet<String> = [&us, &them].map(|held| held.subnet.to_string()).into();
    until("both leases", async || cluster.subnets().await == Vec::from_iter(there.clone())).await;
    for held in [&us, &them] {
        let entry = cluster.store().get(&format!("{SUBNETS}{}", held.subnet)).await.unwrap();
        assert_eq!(entry.unwrap().value, held.value.encode());
    }
    let anew = |status: &Status| matches!(status, Status::Held(now) if now.session != us.session);
    soon("held anew", keeper.status().wait_for(anew)).await.unwrap();
    let is_missing = async {
        loop {
            let event = events.recv().await.unwrap();
            let ClusterEvent::Store(now) = event else { continue };
            assert!(now.name != first.name && now.until.is_some(), "{now:?}");
            if *now.missing == [gone.subnet].into() {
                break;
            }
        }
    };
    soon("one host is missing", is_missing).await;
    let said = cluster.host(9).missing().await.unwrap();
    assert!(said.iter().flat_map(netd::lease::Missing::subnets).any(|one| one == gone.subnet));
}

#[tokio::test]
async fn a_subnet_that_another_host_has_in_it_is_lost_and_not_taken_from_it() {
    let mut cluster = Cluster::new(NETWORK);
    // The other's is of a revision before ours.
    for number in 0..10 {
        cluster.store().txn(Txn::new().put("/unrelated", [number], None)).await.unwrap();
    }
    let host = cluster.host(1);
    let mut wanted = wanted(1);
    wanted.previous = Some(key("10.3.5.0-24"));
    let keeper = host.keep(acquire(&host, &wanted).await.unwrap());
    let snapshot = {
        let other = Cluster::new(NETWORK);
        reserve(&other, "10.3.5.0-24");
        let path = cluster.etcd.path("others");
        other.etcd.ctl(&["snapshot", "save", path.to_str().unwrap()]);
        path
    };
    cluster.etcd.kill();
    cluster.etcd.run_anew(Some(&snapshot), MANY);
    let lost = |status: &Status| matches!(status, Status::Lost { reason } if reason.contains("192.168.0.9"));
    soon("lost", keeper.status().wait_for(lost)).await.unwrap();
    let entry = cluster.store().get(&format!("{SUBNETS}10.3.5.0-24")).await.unwrap().unwrap();
    assert_eq!(entry.value, ANOTHERS.as_bytes());
}
