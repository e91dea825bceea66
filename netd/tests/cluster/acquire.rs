//! How a host gets its subnet. flannel's tests of the same are `pkg/subnet/etcd/local_manager_test.go`.

use std::collections::BTreeSet;
use std::time::Duration;

use netd::lease::{AcquireError, ConfigError, Wanted};

use super::etcd::Etcd;
use super::setup::{CONFIG, Cluster, SUBNETS, acquire, key, leases, leases_of_boot, wanted};

const NETWORK: &str = r#"{"Network":"10.3.0.0/16","Backend":{"Type":"vxlan"}}"#;
/// A network of two subnets.
const TWO: &str = r#"{"Network":"10.3.0.0/16","SubnetMin":"10.3.7.0","SubnetMax":"10.3.8.0"}"#;

#[tokio::test]
async fn an_absent_or_wrong_configuration_is_told_apart() {
    let etcd = Etcd::start();
    let leases = leases(etcd.store(), 1);
    let error = leases.config().await.unwrap_err();
    assert!(matches!(&error, ConfigError::Absent { .. }), "{error:?}");
    assert!(error.to_string().contains("/coreos.com/network/config"), "{error}");
    etcd.ctl(&["put", CONFIG, r#"{"Network":"10.3.0.0/30"}"#]);
    let error = leases.config().await.unwrap_err();
    assert!(matches!(&error, ConfigError::Invalid { .. }), "{error:?}");
    etcd.ctl(&["put", CONFIG, NETWORK]);
    assert_eq!(leases.config().await.unwrap().backend.kind, "vxlan");
}

#[tokio::test]
async fn a_lease_is_flannels_to_the_byte_and_lives_for_24_hours() {
    let cluster = Cluster::new(NETWORK);
    let host = cluster.host(1);
    let mut wanted = wanted(1);
    wanted.value.public_ip = [1, 2, 3, 4].into();
    wanted.previous = Some(key("10.3.5.0-24"));
    let held = acquire(&host, &wanted).await.unwrap();
    assert_eq!(held.subnet, key("10.3.5.0-24"));
    let entry = cluster.store().get(&format!("{SUBNETS}10.3.5.0-24")).await.unwrap().unwrap();
    assert_eq!(
        String::from_utf8(entry.value).unwrap(),
        r#"{"PublicIP":"1.2.3.4","PublicIPv6":null}"#
    );
    assert_eq!(entry.session, held.session);
    let life = cluster.store().time_to_live(held.session.unwrap()).await.unwrap().unwrap();
    assert_eq!(life.granted, Duration::from_secs(24 * 3600));
    assert_eq!(host.list().await.unwrap().leases.len(), 1);
}

#[tokio::test]
async fn the_same_host_gets_the_same_subnet_and_writes_nothing() {
    let cluster = Cluster::new(NETWORK);
    let first = cluster.acquire(1).await.unwrap();
    let revision = cluster.store().list(SUBNETS).await.unwrap().revision;
    assert_eq!(cluster.acquire(1).await.unwrap(), first);
    assert_eq!(cluster.store().list(SUBNETS).await.unwrap().revision, revision);
    assert_eq!(cluster.etcd_leases().len(), 1, "none is left behind");
    let config = cluster.host(1).config().await.unwrap();
    assert!(config.gives_out(&first.subnet), "{first:?}");
}

#[tokio::test]
async fn a_host_whose_address_changed_keeps_its_subnet() {
    let cluster = Cluster::new(NETWORK);
    let before = cluster.acquire(1).await.unwrap();
    let mut wanted = wanted(1);
    wanted.value.public_ip = [192, 168, 7, 7].into();
    let after = acquire(&cluster.host(1), &wanted).await.unwrap();
    assert_eq!((after.subnet, after.session), (before.subnet, before.session));
    let lease = cluster.host(1).list().await.unwrap().leases.remove(0);
    assert_eq!(lease.value.unwrap(), wanted.value);
    assert_eq!(cluster.subnets().await.len(), 1);
}

#[tokio::test]
async fn the_previous_subnet_is_taken_only_if_it_is_free_and_of_the_network() {
    let cluster = Cluster::new(NETWORK);
    let with = async |number: u16, previous: &str| {
        let wanted = netd::lease::Wanted { previous: Some(key(previous)), ..wanted(number) };
        acquire(&cluster.host(number), &wanted).await.unwrap().subnet
    };
    assert_eq!(with(1, "10.3.6.0-24").await, key("10.3.6.0-24"));
    assert_ne!(with(2, "10.3.6.0-24").await, key("10.3.6.0-24"));
    assert_ne!(with(3, "10.4.1.0-24").await, key("10.4.1.0-24"));
}

#[tokio::test]
async fn a_subnet_that_containers_use_is_not_given_up_though_another_host_has_it() {
    let cluster = Cluster::new(NETWORK);
    let had = cluster.acquire(1).await.unwrap().subnet;
    let used = |previous| Wanted { previous: Some(previous), is_used: true, ..wanted(2) };
    let us = cluster.host(2);
    let error = acquire(&us, &used(had)).await.unwrap_err();
    let AcquireError::Taken { subnet, by } = &error else { panic!("{error:?}") };
    assert_eq!((*subnet, by.as_str()), (had, "the host at 192.168.0.1 has it"));
    assert_eq!(cluster.subnets().await, [had.to_string()], "nothing was written");
    // What its own record proves, as after `netd lease acquire --new`, is taken; so is a subnet that
    // is free, and where the network does not give out the old one any more a new one.
    let new = acquire(&us, &wanted(2)).await.unwrap().subnet;
    assert_eq!(acquire(&us, &used(had)).await.unwrap().subnet, new);
    let (one, other) = (key("10.3.77.0-24"), key("10.3.78.0-24"));
    let free = if new == one { other } else { one };
    let third = Wanted { previous: Some(free), is_used: true, ..wanted(3) };
    assert_eq!(acquire(&cluster.host(3), &third).await.unwrap().subnet, free);
    cluster.etcd.ctl(&["put", CONFIG, r#"{"Network":"10.4.0.0/16"}"#]);
    let other = Wanted { previous: Some(had), is_used: true, ..wanted(4) };
    let moved = acquire(&cluster.host(4), &other).await.unwrap().subnet;
    assert!(moved.to_string().starts_with("10.4."), "{moved}");
}

#[tokio::test]
async fn after_a_change_of_the_network_a_host_gets_a_subnet_of_the_new_one() {
    let cluster = Cluster::new(NETWORK);
    cluster.acquire(1).await.unwrap();
    cluster.etcd.ctl(&["put", CONFIG, r#"{"Network":"10.4.0.0/16"}"#]);
    let held = cluster.acquire(1).await.unwrap();
    assert!(held.subnet.to_string().starts_with("10.4."), "{held:?}");
    assert_eq!(cluster.subnets().await, [held.subnet.to_string()]);
}

#[tokio::test]
async fn a_host_keeps_its_ipv4_subnet_when_ipv6_is_enabled() {
    let cluster = Cluster::new(NETWORK);
    let v4 = cluster.acquire(1).await.unwrap().subnet;
    let dual = r#"{"Network":"10.3.0.0/16","EnableIPv6":true,"IPv6Network":"fd00:3::/48"}"#;
    cluster.etcd.ctl(&["put", CONFIG, dual]);
    let both = cluster.acquire(1).await.unwrap().subnet;
    assert_eq!(both.v4, v4.v4);
    assert!(both.v6.is_some());
    assert_eq!(cluster.subnets().await, [both.to_string()]);
    // And one that has it is safe from a host that knows of IPv4 only.
    cluster.etcd.ctl(&["put", CONFIG, NETWORK]);
    let previous = Some(v4);
    let other = netd::lease::Wanted { previous, ..wanted(2) };
    assert_ne!(acquire(&cluster.host(2), &other).await.unwrap().subnet.v4, v4.v4);
}

#[tokio::test]
async fn hosts_that_start_together_get_a_subnet_each_and_then_none_is_left() {
    let cluster =
        Cluster::new(r#"{"Network":"10.3.0.0/16","SubnetMin":"10.3.1.0","SubnetMax":"10.3.8.0"}"#);
    let starts = (1..=8).map(|number| {
        let host = cluster.host(number);
        tokio::spawn(async move { acquire(&host, &wanted(number)).await.unwrap().subnet })
    });
    let mut subnets = BTreeSet::new();
    for start in starts.collect::<Vec<_>>() {
        subnets.insert(start.await.unwrap());
    }
    assert_eq!(subnets.len(), 8, "{subnets:?}");
    assert_eq!(cluster.etcd_leases().len(), 8, "none is left behind");

    let error = cluster.acquire(9).await.unwrap_err();
    assert!(matches!(error, AcquireError::Exhausted { total: 8, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("10.3.0.0/16") && text.contains("netd lease release"), "{text}");
    assert_eq!(cluster.etcd_leases().len(), 8, "none is left behind");
}

#[tokio::test]
async fn of_two_hosts_that_race_for_the_last_subnet_one_gets_it() {
    let cluster = Cluster::new(TWO);
    for round in 0..5_u16 {
        let first = cluster.acquire(1).await.unwrap();
        let (two, three) = (10 + 2 * round, 11 + 2 * round);
        let (a, b) = tokio::join!(cluster.acquire(two), cluster.acquire(three));
        let (won, lost) = if a.is_ok() { (a, b) } else { (b, a) };
        let won = won.unwrap();
        assert!(matches!(lost.unwrap_err(), AcquireError::Exhausted { total: 2, .. }));
        assert!(!won.subnet.overlaps(&first.subnet));
        assert_eq!(cluster.etcd_leases().len(), 2, "none is left behind");
        cluster.store().revoke(won.session.unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn two_hosts_with_one_address_get_a_subnet_each() {
    let cluster = Cluster::new(NETWORK);
    let host = cluster.host(1);
    let held = acquire(&host, &wanted(7)).await.unwrap();
    let keeper = host.keep(held.clone());
    let live = format!("/netd/v1/hosts/{:032x}/live/coreos.com/network", 1);
    assert!(cluster.store().get(&live).await.unwrap().is_some(), "it came with the lease");
    let other = acquire(&cluster.host(2), &wanted(7)).await.unwrap();
    assert_ne!(other.subnet, held.subnet);
    keeper.stop().await;
    assert_eq!(cluster.store().get(&live).await.unwrap(), None, "it was taken back");
}

#[tokio::test]
async fn two_hosts_that_start_at_once_with_one_address_get_a_subnet_each() {
    let cluster = Cluster::new(NETWORK);
    for round in 0..5_u16 {
        let hosts = [cluster.host(20 + 2 * round), cluster.host(21 + 2 * round)];
        let same = wanted(100 + round);
        let (a, b) = tokio::join!(acquire(&hosts[0], &same), acquire(&hosts[1], &same));
        assert_ne!(a.unwrap().subnet, b.unwrap().subnet);
    }
}

#[tokio::test]
async fn of_two_that_start_at_once_with_one_machine_id_one_is_refused() {
    let cluster = Cluster::new(NETWORK);
    for round in 0..5_u16 {
        let one = cluster.host(30 + round);
        let two = leases_of_boot(cluster.etcd.store(), 30 + round, "of the other");
        let (a, b) = (wanted(110 + round), wanted(120 + round));
        let (a, b) = tokio::join!(acquire(&one, &a), acquire(&two, &b));
        let refused = if a.is_err() { a } else { b };
        assert!(matches!(refused, Err(AcquireError::Twin { .. })), "{refused:?}");
        assert_eq!(cluster.subnets().await.len(), usize::from(round) + 1);
    }
}

#[tokio::test]
async fn a_host_whose_lease_another_with_its_address_took_over_does_not_share_it() {
    let cluster = Cluster::new(NETWORK);
    let first = acquire(&cluster.host(1), &wanted(7)).await.unwrap();
    let live = format!("/netd/v1/hosts/{:032x}/live/coreos.com/network", 1);
    cluster.etcd.ctl(&["del", &live]);
    // As a reinstalled host does, which has another machine id; but the first comes back.
    let second = acquire(&cluster.host(2), &wanted(7)).await.unwrap();
    assert_eq!(second.subnet, first.subnet);
    assert_ne!(second.session, first.session);
    let again = acquire(&cluster.host(1), &wanted(7)).await.unwrap();
    assert_ne!(again.subnet, second.subnet);
}

#[tokio::test]
async fn two_running_hosts_with_one_machine_id_are_told_of_it() {
    let cluster = Cluster::new(NETWORK);
    let host = cluster.host(1);
    let held = acquire(&host, &wanted(1)).await.unwrap();
    let _keeper = host.keep(held);
    let sign = r#"{"bootId":"another","host":"elsewhere","publicIP":"192.168.0.9"}"#;
    let live = format!("/netd/v1/hosts/{:032x}/live/coreos.com/network", 2);
    cluster.etcd.ctl(&["put", &live, sign]);
    let error = cluster.acquire(2).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, AcquireError::Twin { .. }), "{text}");
    assert!(text.contains("elsewhere at 192.168.0.9") && text.contains("systemd-machine-id-setup"));
}

#[tokio::test]
async fn a_host_that_crashed_has_its_subnet_at_once_after_its_boot() {
    let cluster = Cluster::new(NETWORK);
    let before = acquire(&cluster.host(1), &wanted(1)).await.unwrap();
    // Its sign of life is there for another 30 s.
    let live = format!("/netd/v1/hosts/{:032x}/live/coreos.com/network", 1);
    assert!(cluster.etcd.ctl(&["get", &live]).contains("boot of 1"));
    let booted = leases_of_boot(cluster.etcd.store(), 1, "another boot");
    let elsewhere = acquire(&booted, &wanted(9)).await;
    assert!(matches!(elsewhere, Err(AcquireError::Twin { .. })), "{elsewhere:?}");
    let held = acquire(&booted, &wanted(1)).await.unwrap();
    assert_eq!((held.subnet, held.session), (before.subnet, before.session));
    assert!(cluster.etcd.ctl(&["get", &live]).contains("another boot"));
    // A clone of it, while it runs.
    let clone = leases_of_boot(cluster.etcd.store(), 1, "of a clone");
    let refused = acquire(&clone, &wanted(2)).await;
    assert!(matches!(refused, Err(AcquireError::Twin { .. })), "{refused:?}");
    assert!(cluster.etcd.ctl(&["get", &live]).contains("another boot"));
}

#[tokio::test]
async fn a_lease_of_flannels_is_taken_over_with_its_session() {
    let cluster = Cluster::new(NETWORK);
    let granted = cluster.etcd.ctl(&["lease", "grant", "86400"]);
    let id = granted.split(' ').nth(1).unwrap();
    let value = r#"{"PublicIP":"192.168.0.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}"#;
    let key = format!("{SUBNETS}10.3.77.0-24");
    cluster.etcd.ctl(&["put", "--lease", id, &key, value]);
    let before = cluster.store().get(&key).await.unwrap().unwrap();
    let mut wanted = wanted(1);
    wanted.value = netd::lease::LeaseValue::decode(value.as_bytes()).unwrap();
    let held = acquire(&cluster.host(1), &wanted).await.unwrap();
    assert_eq!(held.subnet.to_string(), "10.3.77.0-24");
    assert_eq!(held.session.unwrap().to_string(), id);
    let after = cluster.store().get(&key).await.unwrap().unwrap();
    assert_eq!(after, before, "flannel's hosts are told nothing");
}

#[tokio::test]
async fn a_reservation_is_used_and_stays_one() {
    let cluster = Cluster::new(NETWORK);
    let reserved = format!("{SUBNETS}10.3.9.0-24");
    cluster.etcd.ctl(&["put", &reserved, r#"{"PublicIP":"192.168.0.1"}"#]);
    let mut wanted = wanted(1);
    wanted.value.backend_type = "host-gw".to_owned();
    let held = acquire(&cluster.host(1), &wanted).await.unwrap();
    assert_eq!((held.subnet, held.session), (key("10.3.9.0-24"), None));
    let entry = cluster.store().get(&reserved).await.unwrap().unwrap();
    assert_eq!((entry.value, entry.session), (wanted.value.encode(), None));
    assert_eq!(cluster.etcd_leases(), [""; 0], "none was begun");
    assert_ne!(cluster.acquire(2).await.unwrap().subnet, held.subnet);
}
