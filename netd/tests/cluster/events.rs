//! What a host is told of the others.

use netd::lease::{ClusterEvent, Known, Leases, StoreState, SubnetKey, TIME_TO_LIVE};
use tokio::sync::mpsc::Receiver;

use super::setup::{Cluster, SUBNETS, acquire, key, soon, wanted};

const NETWORK: &str = r#"{"Network":"10.3.0.0/16"}"#;
const VXLAN: &str = r#"{"PublicIP":"192.168.0.50","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}"#;

fn watch(host: &Leases, own: SubnetKey) -> Receiver<ClusterEvent> {
    host.watch(own, Known::default(), TIME_TO_LIVE)
}

/// The next event of a host.
async fn next(events: &mut Receiver<ClusterEvent>) -> ClusterEvent {
    loop {
        let event = soon("an event", events.recv()).await.unwrap();
        if !matches!(event, ClusterEvent::Store(_)) {
            return event;
        }
    }
}

pub(super) async fn state(events: &mut Receiver<ClusterEvent>) -> StoreState {
    let event = soon("which store it is", events.recv()).await.unwrap();
    let ClusterEvent::Store(state) = event else { panic!("{event:?}") };
    state
}

async fn reset(events: &mut Receiver<ClusterEvent>) -> Vec<SubnetKey> {
    let event = next(events).await;
    let ClusterEvent::Reset(view) = event else { panic!("{event:?}") };
    view.peers.into_keys().collect()
}

fn put(cluster: &Cluster, name: &str, value: &str) {
    cluster.etcd.ctl(&["put", &format!("{SUBNETS}{name}"), value]);
}

#[tokio::test]
async fn own_leases_are_never_told_and_others_once() {
    let cluster = Cluster::new(NETWORK);
    put(&cluster, "10.3.50.0-24", VXLAN);
    let host = cluster.host(1);
    let held = acquire(&host, &wanted(1)).await.unwrap();
    let time = std::time::Duration::from_secs(2);
    let mut events = host.watch(held.subnet, Known::default(), time);
    assert_eq!(reset(&mut events).await, [key("10.3.50.0-24")]);

    let mut two = wanted(2);
    two.time_to_live = time;
    let other = acquire(&cluster.host(2), &two).await.unwrap();
    put(&cluster, &held.subnet.to_string(), r#"{"PublicIP":"192.168.0.1"}"#);
    put(&cluster, "10.3.50.0-24", VXLAN);
    let ClusterEvent::Put(peer) = next(&mut events).await else { panic!() };
    assert_eq!((peer.subnet, peer.value), (other.subnet, two.value));
    // Nobody keeps it: it lapses, and nothing else comes before its end, as long again later.
    let lapsed = state(&mut events).await.lapsed;
    assert_eq!(lapsed.into_keys().collect::<Vec<_>>(), [other.subnet]);
    assert_eq!(next(&mut events).await, ClusterEvent::Deleted(other.subnet));
}

#[tokio::test]
async fn what_flannel_writes_is_understood() {
    let cluster = Cluster::new(NETWORK);
    put(&cluster, "10.3.50.0-24&fd00:3:0:50::-64", VXLAN);
    let mut events = watch(&cluster.host(1), key("10.3.1.0-24"));
    let ClusterEvent::Reset(view) = next(&mut events).await else { panic!() };
    let peer = &view.peers[&key("10.3.50.0-24&fd00:3:0:50::-64")];
    assert_eq!(peer.value.public_ip.to_string(), "192.168.0.50");
    let data = peer.value.backend_data.as_ref().unwrap();
    assert_eq!(data.field("VtepMAC").unwrap().as_str(), Some("c6:d2:32:6f:8f:44"));
}

#[tokio::test]
async fn a_stray_key_or_value_hurts_nobody_else() {
    let cluster = Cluster::new(NETWORK);
    put(&cluster, "10.3.50.0-24", VXLAN);
    let mut events = watch(&cluster.host(1), key("10.3.1.0-24"));
    assert_eq!(reset(&mut events).await, [key("10.3.50.0-24")]);
    let is_malformed = |event: ClusterEvent, name: &str| {
        let key = format!("{SUBNETS}{name}");
        assert!(matches!(&event, ClusterEvent::Malformed { key: k, .. } if *k == key), "{event:?}");
    };
    put(&cluster, "foo", "x");
    is_malformed(next(&mut events).await, "foo");
    put(&cluster, "10.3.50.0-24", "{");
    is_malformed(next(&mut events).await, "10.3.50.0-24");
    put(&cluster, "10.3.51.0-24", VXLAN);
    assert!(matches!(next(&mut events).await, ClusterEvent::Put(_)));
    // Not so before these are gone: what is known of the peer with the broken value.
    cluster.etcd.ctl(&["del", &format!("{SUBNETS}10.3.50.0-24")]);
    assert_eq!(next(&mut events).await, ClusterEvent::Deleted(key("10.3.50.0-24")));
}

#[tokio::test]
async fn a_restart_of_etcd_misses_nothing_and_repeats_nothing() {
    let mut cluster = Cluster::new(NETWORK);
    put(&cluster, "10.3.50.0-24", VXLAN);
    let mut events = watch(&cluster.host(1), key("10.3.1.0-24"));
    reset(&mut events).await;
    for _ in 0..2 {
        cluster.etcd.kill();
        cluster.etcd.run();
        put(&cluster, "10.3.51.0-24", VXLAN);
        assert!(matches!(next(&mut events).await, ClusterEvent::Put(_)));
        cluster.etcd.ctl(&["del", &format!("{SUBNETS}10.3.51.0-24")]);
        assert_eq!(next(&mut events).await, ClusterEvent::Deleted(key("10.3.51.0-24")));
    }
}

#[tokio::test]
async fn changes_that_were_compacted_away_lead_to_a_new_listing() {
    let mut cluster = Cluster::new(NETWORK);
    put(&cluster, "10.3.50.0-24", VXLAN);
    let host = cluster.host(1);
    let mut events = watch(&host, key("10.3.1.0-24"));
    reset(&mut events).await;
    // While this host cannot see it: of the restarted member it sees the compaction first.
    cluster.etcd.kill();
    cluster.etcd.run();
    let revision = compact(&cluster);
    assert!(revision > 1);
    put(&cluster, "10.3.52.0-24", VXLAN);
    // By a listing or by an event, depending on who was faster: nothing is missed.
    let mut known = std::collections::BTreeSet::new();
    while !known.contains(&key("10.3.52.0-24")) {
        match next(&mut events).await {
            ClusterEvent::Reset(view) => known = view.peers.into_keys().collect(),
            ClusterEvent::Put(peer) => drop(known.insert(peer.subnet)),
            event @ (ClusterEvent::Deleted(_)
            | ClusterEvent::Replaced { .. }
            | ClusterEvent::Renewed(_)
            | ClusterEvent::Store(_)
            | ClusterEvent::Malformed { .. }) => panic!("{event:?}"),
        }
    }
}

/// Writes what concerns nobody, and compacts everything before it.
fn compact(cluster: &Cluster) -> i64 {
    for number in 0..5 {
        cluster.etcd.ctl(&["put", "/unrelated", &number.to_string()]);
    }
    let status = cluster.etcd.ctl(&["get", "/unrelated", "-w", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let revision = status["header"]["revision"].as_i64().unwrap();
    cluster.etcd.ctl(&["compaction", &revision.to_string()]);
    revision
}

#[tokio::test]
async fn in_a_store_that_was_built_anew_hosts_are_missing_until_they_are_there_or_their_time_is_over()
 {
    let mut cluster = Cluster::new(NETWORK);
    put(&cluster, "10.3.50.0-24", VXLAN);
    put(&cluster, "10.3.51.0-24", VXLAN);
    let both = [key("10.3.50.0-24"), key("10.3.51.0-24")];
    let time = std::time::Duration::from_secs(3);
    let mut events = cluster.host(1).watch(key("10.3.1.0-24"), Known::default(), time);
    let first = state(&mut events).await;
    assert!(first.name.is_some() && first.until.is_none(), "{first:?}");
    assert_eq!(reset(&mut events).await, both);
    cluster.etcd.kill();
    cluster.etcd.forget();
    cluster.etcd.run();
    let second = state(&mut events).await;
    assert!(second.name != first.name && second.until.is_some(), "{second:?}");
    assert_eq!(*second.missing, both.into());
    assert_eq!(reset(&mut events).await, both);
    let said = cluster.host(9).missing().await.unwrap();
    assert_eq!(said.iter().flat_map(netd::lease::Missing::subnets).collect::<Vec<_>>(), both);
    put(&cluster, "10.3.50.0-24", VXLAN);
    assert_eq!(*state(&mut events).await.missing, [key("10.3.51.0-24")].into());
    let over = state(&mut events).await;
    assert!(over.until.is_none() && over.missing.is_empty(), "{over:?}");
    assert_eq!(next(&mut events).await, ClusterEvent::Deleted(key("10.3.51.0-24")));
    super::setup::until("nobody is said to be missing", async || {
        cluster.host(9).missing().await.unwrap().is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_store_of_another_name_is_another_whatever_its_revisions() {
    let cluster = Cluster::new(NETWORK);
    put(&cluster, "10.3.50.0-24", VXLAN);
    let mut events = watch(&cluster.host(1), key("10.3.1.0-24"));
    let store = state(&mut events).await;
    reset(&mut events).await;
    drop(events);
    // As this host remembers it, with a host that the store does not know.
    let value = netd::lease::LeaseValue::new([192, 168, 0, 51].into());
    let gone = netd::lease::Peer { subnet: key("10.3.51.0-24"), value, revision: 0, session: None };
    let view = netd::lease::ClusterView { peers: [(gone.subnet, gone.clone())].into() };
    let watch = |name: &str| {
        let store = StoreState { name: Some(name.to_owned()), ..StoreState::default() };
        let known = Known { view: view.clone(), store };
        cluster.host(1).watch(key("10.3.1.0-24"), known, TIME_TO_LIVE)
    };
    assert_eq!(reset(&mut watch(&store.name.clone().unwrap())).await, [key("10.3.50.0-24")]);
    let mut events = watch("another");
    let now = state(&mut events).await;
    assert_eq!((&now.name, &*now.missing), (&store.name, &[gone.subnet].into()));
    assert_eq!(reset(&mut events).await, [key("10.3.50.0-24"), gone.subnet]);
}

#[tokio::test]
async fn a_receiver_that_is_dropped_ends_the_watch() {
    let cluster = Cluster::new(NETWORK);
    let events = watch(&cluster.host(1), key("10.3.1.0-24"));
    // Nobody receives: the listing waits in the channel.
    drop(events);
    super::setup::until("no watch is left in etcd", async || cluster.etcd.watches() == 0).await;
}

#[tokio::test]
async fn another_hundred_peers_cost_no_request_more() {
    let cluster = Cluster::new(r#"{"Network":"10.3.0.0/16","SubnetMax":"10.3.99.0"}"#);
    let host = cluster.host(1);
    let held = acquire(&host, &wanted(1)).await.unwrap();
    let keeper = host.keep(held.clone());
    let mut events = watch(&host, held.subnet);
    reset(&mut events).await;
    // By another client, in one transaction.
    let mut txn = netd::store::Txn::new();
    for number in 100..200 {
        txn = txn.put(format!("{SUBNETS}10.3.{number}.0-24"), VXLAN, None);
    }
    super::setup::until("a sign of life", async || {
        cluster.store().list("/netd/v1/hosts/").await.unwrap().entries.len() == 2
    })
    .await;
    let count = |name: &str| cluster.etcd.calls(name);
    let names = ["Range", "LeaseTimeToLive", "Put", "LeaseKeepAlive", "\"Watch\""];
    let before: Vec<f64> = names.iter().map(|name| count(name)).collect();
    cluster.store().txn(txn).await.unwrap();
    for _ in 0..100 {
        assert!(matches!(next(&mut events).await, ClusterEvent::Put(_)));
    }
    let after: Vec<f64> = names.iter().map(|name| count(name)).collect();
    assert_eq!(after, before, "{names:?}");
    drop(keeper);
}
