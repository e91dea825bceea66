use super::*;
use crate::store::local::Local;

fn peer(subnet: &str, last: u8) -> Peer {
    let value = LeaseValue::new([192, 0, 2, last].into());
    Peer { subnet: subnet.parse().unwrap(), value, revision: 0 }
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
    memory.keep_peers(changes, &mut kept).await.unwrap();
    assert_eq!(memory.peers().await.unwrap(), view(&[b.clone(), c.clone()]).peers);
    let moved = peer("10.5.2.0-24", 9);
    let peers = [(b.subnet, Some(moved.clone()))].into();
    let changes = Changes { peers, ..Changes::default() };
    memory.keep_peers(changes, &mut kept).await.unwrap();
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
    memory.keep_config(small.as_bytes()).await.unwrap();
    memory.keep_networks(&network(small)).await.unwrap();
    memory.keep_networks(&network(large)).await.unwrap();
    let networks: Vec<_> =
        memory.networks().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.4.0.0/15", "10.5.0.0/24"]);
    let lease = r#"{"subnet":"10.5.1.0-24","value":"{\"PublicIP\":\"192.0.2.1\"}",
        "session":7,"timeToLiveSeconds":60,"recorded":true}"#;
    memory.keep_lease(&Held::from_bytes(lease.as_bytes()).unwrap()).await.unwrap();
    let left = async || {
        let until = memory.recall().await.unwrap().unwrap().until;
        until.saturating_sub(since_boot()).as_secs()
    };
    assert_eq!(left().await, 0, "no sign of life is known");
    memory.keep_sign(Some(since_boot().saturating_sub(Duration::from_secs(20)))).await.unwrap();
    assert!((35..=40).contains(&left().await), "{}", left().await);
}

#[tokio::test]
async fn which_store_it_is_is_kept_and_for_how_long_hosts_may_be_missing_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let local: Arc<dyn Store> = Arc::new(Local::open(&dir.path().join("a")).unwrap());
    let memory = Memory::new(local, "/coreos.com/network");
    assert_eq!(memory.known().await.unwrap(), Known::default());
    let secs = Duration::from_secs;
    let soon = secs(now().as_secs()) + secs(60);
    for (until, known) in [(soon, Some(soon)), (secs(1), None)] {
        let missing = ["10.5.3.0-24".parse().unwrap()].into();
        let state = StoreState {
            name: Some("a".into()),
            until: Some(until),
            missing,
            ..StoreState::default()
        };
        let mut changes = Changes::default();
        changes.take(ClusterEvent::Store(state));
        memory.keep_peers(changes, &mut None).await.unwrap();
        let store = memory.known().await.unwrap().store;
        assert_eq!((store.name.as_deref(), store.until), (Some("a"), known));
    }
}
