//! A thousand hosts of one cluster: each leases, keeps and watches by a connection of its own, with
//! the agent's code; their kernels are left out (what one costs is measured in e2e). Figures go to
//! standard error.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use netd::lease::{ClusterEvent, Held, Keeper, LeaseValue, Leases, SubnetKey};
use netd::store::Backoff;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::setup::{Cluster, wanted};

const NETWORK: &str = r#"{"Network":"10.0.0.0/12","Backend":{"Type":"vxlan"}}"#;
const HOSTS: u16 = 1000;
/// How long until each knows of all others.
const CONVERGED_WITHIN: Duration = Duration::from_secs(60);
/// Changes of one host, one after the other, whose way to all others is measured.
const CHANGES: u8 = 20;
/// What a host asks etcd for, by the method of its protocol.
const METHODS: [&str; 5] = ["Range", "Txn", "LeaseGrant", "LeaseKeepAlive", "Watch"];

/// A host that knows its lease.
struct Member {
    held: Held,
    keeper: Keeper,
    events: mpsc::Receiver<ClusterEvent>,
    known: BTreeSet<SubnetKey>,
}

#[tokio::test]
async fn a_thousand_hosts_that_start_at_once_know_each_other_within_a_minute() {
    let cluster = Cluster::new(NETWORK);
    let before = METHODS.map(|method| cluster.etcd.calls(method));
    let start = Instant::now();
    let mut members = converged(&cluster).await;
    let took = start.elapsed();
    let per_host = |at: usize| {
        let counted = cluster.etcd.calls(METHODS[at]) - before[at];
        format!("{} {:.2}", METHODS[at], counted / f64::from(HOSTS))
    };
    let requests: Vec<String> = (0..METHODS.len()).map(per_host).collect();
    let spread = changes(&mut members).await;
    writeln!(
        std::io::stderr(),
        "{HOSTS} hosts: all know each other after {took:.1?}; requests per host: {}; a change is \
         everywhere after {spread:.0?} (median of {CHANGES}); {} KiB per host, {} MiB in etcd",
        requests.join(", "),
        resident(std::process::id()) / u64::from(HOSTS),
        resident(cluster.etcd.pid()) / 1024,
    )
    .unwrap();
    let subnets: BTreeSet<SubnetKey> = members.iter().map(|member| member.held.subnet).collect();
    assert_eq!(subnets.len(), usize::from(HOSTS), "each has a subnet of its own");
    assert_eq!(cluster.subnets().await.len(), usize::from(HOSTS));
    assert!(took < CONVERGED_WITHIN, "{took:?}");
}

/// All hosts, started at once, as soon as each knows of all others.
async fn converged(cluster: &Cluster) -> Vec<Member> {
    let mut starting = JoinSet::new();
    for number in 0..HOSTS {
        let host = cluster.host(number);
        starting.spawn(async move {
            let mut member = join(&host, number).await;
            while member.known.len() + 1 < usize::from(HOSTS) {
                member.hear().await;
            }
            member
        });
    }
    let all = tokio::time::timeout(CONVERGED_WITHIN * 2, starting.join_all());
    all.await.expect("all hosts know each other in time")
}

/// Leases a subnet as the agent does: what did not succeed is tried again, later and later.
async fn join(host: &Leases, number: u16) -> Member {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    let held = loop {
        if let Ok(config) = host.config().await
            && let Ok(held) = host.acquire(&config, &wanted(number)).await
        {
            break held;
        }
        backoff.wait().await;
    };
    let events = host.watch(held.subnet);
    let keeper = host.keep(held.clone());
    Member { held, keeper, events, known: BTreeSet::new() }
}

impl Member {
    async fn hear(&mut self) -> Option<LeaseValue> {
        match self.events.recv().await.expect("the watch goes on") {
            ClusterEvent::Reset(view) => self.known = view.peers.into_keys().collect(),
            ClusterEvent::Put(peer) => {
                self.known.insert(peer.subnet);
                return Some(peer.value);
            }
            ClusterEvent::Deleted(subnet) => {
                self.known.remove(&subnet);
            }
            ClusterEvent::Malformed { key, reason } => panic!("{key}: {reason}"),
        }
        None
    }
}

/// How long until all others know what one publishes: the median.
async fn changes(members: &mut [Member]) -> Duration {
    let (one, others) = members.split_first_mut().unwrap();
    let mut times = Vec::new();
    for change in 0..CHANGES {
        let mut value = one.held.value.clone();
        value.backend_data = Some(u64::from(change).into());
        let start = Instant::now();
        one.keeper.publish(value.clone());
        for other in &mut *others {
            while other.hear().await.as_ref() != Some(&value) {}
        }
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

/// Resident memory in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
