use std::collections::BTreeMap;

use super::peers::Changes;
use super::*;
use crate::lease::{ClusterEvent, ClusterView, Known, LeaseValue, Peer, StoreState, SubnetKey};
use crate::store::Session;
use crate::store::local::Local;

fn peer(subnet: &str, last: u8) -> Peer {
    let value = LeaseValue::new([192, 0, 2, last].into());
    Peer { subnet: subnet.parse().unwrap(), value, revision: 0, session: None }
}

fn view(peers: &[Peer]) -> ClusterView {
    ClusterView { peers: peers.iter().map(|peer| (peer.subnet, peer.clone())).collect() }
}

#[tokio::test]
async fn peers_are_kept_as_they_come_change_and_go_each_cluster_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let local: Arc<dyn Store> = Arc::new(Local::open(&dir.path().join("a")).unwrap());
    let memory = Memory::new(Arc::clone(&local), "/coreos.com/network");
    let (a, b, c) = (peer("10.5.1.0-24", 1), peer("10.5.2.0-24", 2), peer("10.5.3.0-24", 3));
    let (mut changes, mut kept) = (Changes::default(), None);
    let mut send = |event| changes.take(event);
    send(ClusterEvent::Put(c.clone()));
    send(ClusterEvent::Reset(view(&[a.clone(), b.clone()])));
    send(ClusterEvent::Deleted(a.subnet));
    send(ClusterEvent::Put(c.clone()));
    memory.keep_peers(&changes, &mut kept).await.unwrap();
    assert_eq!(memory.peers().await.unwrap(), view(&[b.clone(), c.clone()]).peers);
    let moved = peer("10.5.2.0-24", 9);
    let mut changes = Changes::default();
    changes.take(ClusterEvent::Put(moved.clone()));
    memory.keep_peers(&changes, &mut kept).await.unwrap();
    assert_eq!(memory.peers().await.unwrap(), view(&[moved.clone(), c.clone()]).peers);
    // What a lease lives by is kept and forgotten with the host.
    for session in [Some(Session(-7)), Some(Session(8)), None] {
        let renewed = Peer { session, ..moved.clone() };
        let mut changes = Changes::default();
        changes.take(ClusterEvent::Renewed(renewed.clone()));
        memory.keep_peers(&changes, &mut kept).await.unwrap();
        assert_eq!(memory.peers().await.unwrap(), view(&[renewed, c.clone()]).peers);
    }
    changes.take(ClusterEvent::Put(Peer { session: Some(Session(9)), ..moved.clone() }));
    memory.keep_peers(&changes, &mut kept).await.unwrap();
    changes.take(ClusterEvent::Deleted(moved.subnet));
    memory.keep_peers(&changes, &mut kept).await.unwrap();
    changes.take(ClusterEvent::Put(moved.clone()));
    memory.keep_peers(&changes, &mut kept).await.unwrap();
    assert_eq!(memory.peers().await.unwrap(), view(&[moved, c]).peers);
    assert!(Memory::new(local, "/other").peers().await.unwrap().is_empty());
    assert!(memory.recall().await.unwrap().is_none(), "there is no configuration and no lease");
}

#[tokio::test]
async fn a_remembered_lease_ends_its_time_after_its_last_sign_of_life() {
    let dir = tempfile::tempdir().unwrap();
    let local: Arc<dyn Store> = Arc::new(Local::open(&dir.path().join("a")).unwrap());
    let memory = Memory::new(local, "/coreos.com/network");
    let network = |text: &str| NetworkConfig::parse(text.as_bytes()).unwrap();
    let (small, large) = (r#"{"Network":"10.5.0.0/24"}"#, r#"{"Network":"10.4.0.0/15"}"#);
    memory.keep(small.as_bytes(), &network(small), None, None).await.unwrap();
    memory.keep(large.as_bytes(), &network(large), None, None).await.unwrap();
    assert!(memory.recall().await.unwrap().is_none(), "there is no lease");
    let networks: Vec<_> =
        memory.networks().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.4.0.0/15", "10.5.0.0/24"]);
    let lease = r#"{"subnet":"10.5.1.0-24","value":"{\"PublicIP\":\"192.0.2.1\"}",
        "session":7,"timeToLiveSeconds":60,"recorded":true}"#;
    let held = Held::from_bytes(lease.as_bytes()).unwrap();
    memory.keep(small.as_bytes(), &network(small), Some(&held), None).await.unwrap();
    let left = async || {
        let until = memory.recall().await.unwrap().unwrap().until;
        until.saturating_sub(since_boot()).as_secs()
    };
    assert_eq!(left().await, 0, "no sign of life is known");
    let ago = |seconds| Some(since_boot().saturating_sub(Duration::from_secs(seconds)));
    memory.keep_sign(ago(20)).await.unwrap();
    assert!((35..=40).contains(&left().await), "{}", left().await);
    memory.keep_lost("the host at 192.0.2.77 has it").await.unwrap();
    memory.keep(small.as_bytes(), &network(small), None, None).await.unwrap();
    assert!(memory.recall().await.unwrap().unwrap().lost.is_some());
    memory.keep(small.as_bytes(), &network(small), Some(&held), ago(10)).await.unwrap();
    assert_eq!(memory.recall().await.unwrap().unwrap().lost, None);
    assert!((45..=50).contains(&left().await), "{}", left().await);
}

#[tokio::test]
async fn which_store_it_is_is_kept_and_for_how_long_hosts_may_be_missing_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let local: Arc<dyn Store> = Arc::new(Local::open(&dir.path().join("a")).unwrap());
    let memory = Memory::new(local, "/coreos.com/network");
    let secs = Duration::from_secs;
    let window = secs(100);
    let known = async || memory.known(window).await.unwrap();
    assert_eq!(known().await, Known::default());
    let [missing, lapsed] = ["10.5.3.0-24", "10.5.4.0-24"].map(|key| key.parse().unwrap());
    // Left when it is kept, and when it is read.
    for (ahead, left) in [(Some(60), Some(60)), (Some(5000), Some(100)), (None, None)] {
        let end = ahead.map_or(Duration::ZERO, |ahead| since_boot() + secs(ahead));
        let lapsed: BTreeMap<SubnetKey, Duration> = [(lapsed, end)].into();
        let state = StoreState {
            name: Some("a".into()),
            until: Some(end),
            missing: Arc::new([missing].into()),
            lapsed,
        };
        let mut changes = Changes::default();
        changes.take(ClusterEvent::Store(state));
        memory.keep_peers(&changes, &mut None).await.unwrap();
        let store = known().await.store;
        assert_eq!(store.name.as_deref(), Some("a"));
        assert!(store.missing.is_empty(), "that is told by the store");
        let about = |until: Duration, left: u64| {
            let now = until.saturating_sub(since_boot());
            assert!(now <= secs(left) && now + secs(5) >= secs(left), "{now:?} of {left} s");
        };
        assert_eq!(store.until.is_some(), left.is_some());
        store.until.into_iter().for_each(|until| about(until, left.unwrap_or_default()));
        // Its time being over is for who watches to tell.
        let lapsed: Vec<Duration> = store.lapsed.into_values().collect();
        about(lapsed[0], left.unwrap_or_default());
        assert_eq!(lapsed.len(), 1);
    }
}
