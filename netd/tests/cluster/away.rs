//! What a host makes of a cluster in which something happened while it did not listen.

use std::collections::BTreeSet;

use netd::lease::{AcquireError, ClusterEvent, ClusterView, Known, Peer, TIME_TO_LIVE, Wanted};

use super::events::state;
use super::setup::{Cluster, SUBNETS, acquire, key, soon, wanted};

const NETWORK: &str = r#"{"Network":"10.3.0.0/16"}"#;

#[tokio::test]
async fn a_host_whose_lease_ended_unheard_counts_as_there_and_one_that_gave_it_back_does_not() {
    let cluster = Cluster::new(NETWORK);
    let (ended, given_back) =
        (cluster.acquire(2).await.unwrap(), cluster.acquire(3).await.unwrap());
    let peer = |held: &netd::lease::Held| {
        let (subnet, value, session) = (held.subnet, held.value.clone(), held.session);
        (subnet, Peer { subnet, value, revision: 0, session })
    };
    let view = ClusterView { peers: [peer(&ended), peer(&given_back)].into() };
    let id = ended.session.unwrap().to_string();
    cluster.etcd.ctl(&["lease", "revoke", &id]);
    cluster.etcd.ctl(&["del", &format!("{SUBNETS}{}", given_back.subnet)]);
    let known = Known { view, ..Known::default() };
    let mut events = cluster.host(1).watch(key("10.3.1.0-24"), known, TIME_TO_LIVE);
    let state = state(&mut events).await;
    assert_eq!(state.lapsed.keys().collect::<Vec<_>>(), [&ended.subnet]);
    assert!(state.missing.is_empty() && state.until.is_none(), "{state:?}");
    let event = soon("the hosts", events.recv()).await.unwrap();
    let ClusterEvent::Reset(view) = event else { panic!("{event:?}") };
    assert_eq!(view.peers.into_keys().collect::<Vec<_>>(), [ended.subnet]);
    assert!(cluster.host(9).missing().await.unwrap().is_empty(), "its subnet is free");
}

#[tokio::test]
async fn hosts_that_begin_at_once_know_the_store_by_one_name() {
    for _ in 0..5 {
        let cluster = Cluster::new(NETWORK);
        let watch = |number: u16| {
            let own = key(&format!("10.3.{number}.0-24"));
            cluster.host(number).watch(own, Known::default(), TIME_TO_LIVE)
        };
        let mut all: Vec<_> = (1..9).map(watch).collect();
        let mut names = BTreeSet::new();
        for events in &mut all {
            names.insert(state(events).await.name);
        }
        assert_eq!(names, [cluster.host(9).store_name().await.unwrap()].into());
    }
}

/// Host 2 had the subnet of host 1, and containers have addresses of it; another lease has its address.
#[tokio::test]
async fn a_lease_with_a_hosts_address_is_its_own_only_if_it_was_made_after_a_rivals() {
    let cluster = Cluster::new(NETWORK);
    let us = cluster.host(2);
    let address = wanted(2).value.public_ip;
    let put = |third: u8| {
        let value = String::from_utf8(wanted(2).value.encode()).unwrap();
        cluster.etcd.ctl(&["put", &format!("{SUBNETS}10.3.{third}.0-24"), &value]);
    };
    put(250);
    let lost = key("10.3.50.0-24");
    let rival = Wanted { previous: Some(lost), ..wanted(1) };
    assert_eq!(acquire(&cluster.host(1), &rival).await.unwrap().subnet, lost);
    let used = Wanted { previous: Some(lost), is_used: true, ..wanted(2) };
    let has_another = async || us.has_another_than(&lost, address).await.unwrap();
    assert!(!has_another().await);
    let error = acquire(&us, &used).await.unwrap_err();
    assert!(matches!(error, AcquireError::Taken { subnet, .. } if subnet == lost), "{error:?}");
    // As `netd lease acquire --new` without rights to netd's own prefix.
    put(251);
    assert!(has_another().await);
    assert_eq!(acquire(&us, &used).await.unwrap().subnet, key("10.3.251.0-24"));
    // One that another host proves is not ours, whatever its address.
    let mut third = wanted(3);
    third.value.public_ip = [192, 168, 9, 9].into();
    let other = acquire(&cluster.host(3), &third).await.unwrap().subnet;
    assert_ne!(other, lost);
    assert!(!cluster.host(4).has_another_than(&lost, third.value.public_ip).await.unwrap());
}
