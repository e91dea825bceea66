//! The store of all of them is built anew, empty.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Instant;

use super::{CONVERGED_WITHIN, Member};
use crate::setup::{CONFIG, Cluster, until};

/// What a host asks for at most, by method, until all are there again and nobody is said to be missing,
/// however many they are. A fifth of it is usual; an etcd that answers late is asked again. Were it to grow with the
/// hosts, it would be hundreds.
const REQUESTS: [(&str, f64); 7] = [
    ("Range", 32.0),
    ("Txn", 48.0),
    ("LeaseGrant", 24.0),
    ("LeaseRevoke", 12.0),
    ("LeaseTimeToLive", 2.0),
    ("LeaseKeepAlive", 32.0),
    ("Watch", 16.0),
];
/// Leases without keys that a host leaves at most: what it tried when etcd went, or what an etcd that answers a
/// thousand hosts at once was too late for. They end by themselves.
const KEYLESS: f64 = 4.0;

pub(super) async fn rebuilt(cluster: &mut Cluster, members: &[Member]) {
    let before = cluster.subnets().await;
    cluster.etcd.kill();
    cluster.etcd.forget();
    cluster.etcd.run();
    let start = Instant::now();
    let all_are_back = async {
        for member in members {
            let mut store = member.store.clone();
            let is_back = store.wait_for(|now| now.until.is_some() && now.missing.is_empty());
            is_back.await.unwrap();
        }
    };
    tokio::time::timeout(CONVERGED_WITHIN * 6, all_are_back).await.expect("all are back in time");
    let took = start.elapsed();
    assert_eq!(cluster.subnets().await, before);
    assert!(cluster.store().get(CONFIG).await.unwrap().is_some(), "the configuration is there");
    until("nobody is said to be missing", async || {
        cluster.store().list("/netd/v1/missing/").await.unwrap().entries.is_empty()
    })
    .await;
    let hosts = f64::from(u16::try_from(members.len()).unwrap());
    let requests = REQUESTS.map(|(method, most)| {
        let each = cluster.etcd.calls(method) / hosts;
        (format!("{method} {each:.2}"), each <= most)
    });
    let figures: Vec<&str> = requests.iter().map(|(text, _)| text.as_str()).collect();
    let keyless = keyless(cluster).await;
    let mut told = std::io::stderr();
    writeln!(
        told,
        "{hosts} hosts: all are back {took:.1?} after etcd is there, empty; requests per host: {}; \
         {keyless} leases without keys",
        figures.join(", ")
    )
    .expect("a standard error");
    assert!(requests.iter().all(|(_, few)| *few), "{requests:?}");
    assert!(f64::from(keyless) <= KEYLESS * hosts + 1.0, "{keyless} leases without keys");
}

/// Leases of etcd's that no key lives by.
async fn keyless(cluster: &Cluster) -> u32 {
    let entries = cluster.store().list("/").await.unwrap().entries;
    let used = entries.iter().filter_map(|entry| Some(entry.session?.to_string()));
    let used: BTreeSet<String> = used.collect();
    let leases = cluster.etcd.ctl(&["lease", "list"]);
    let unused = leases.lines().skip(1).filter(|id| !used.contains(&format!("{id:0>16}")));
    u32::try_from(unused.count()).unwrap()
}
