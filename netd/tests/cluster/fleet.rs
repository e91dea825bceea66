//! Many hosts of one cluster: each leases, keeps and watches by a connection of its own, and makes of it
//! what its kernel is to hold, all with the agent's code. The kernels are simulated, but for one. Figures
//! go to standard error.

mod rebuilt;

use std::io::Write as _;
use std::time::{Duration, Instant};

use drivers::traffic::{self, Traffic};
use ipnetwork::IpNetwork;
use netd::backend::{Backend, Macs, Overlay};
use netd::config::network::NetworkConfig;
use netd::lease::{
    ClusterEvent, Held, Keeper, Known, LeaseValue, Peer, StoreState, SubnetKey, TIME_TO_LIVE,
    Wanted,
};
use netd::reconcile::{Goal, Input, Reconciler};
use netd::store::Backoff;
use netd::underlay::Underlay;
use netstate::{Desired, LinkName, Mac, NetState, Ns, Plan, State};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::setup::{Cluster, wanted};
use super::sim::{Ground, UPLINK};

const NETWORK: &str = r#"{"Network":"10.0.0.0/12","Backend":{"Type":"vxlan"}}"#;
/// How many hosts there are at most, where this variable says nothing: a thousand make a million
/// changes, which only an optimised program makes in a minute (`make fleet`).
const HOSTS: u16 = 100;
const VARIABLE: &str = "FLEET_HOSTS";
/// How long until each is connected with all others.
const CONVERGED_WITHIN: Duration = Duration::from_secs(60);
/// Changes of one host, one after the other, whose way to all others is measured.
const CHANGES: u8 = 20;
/// What a host asks etcd for, by the method of its protocol, and how often at most until all are connected:
/// once more for each that others were faster than, and where two processors answer a thousand hosts so late that they
/// ask again. Were it to grow with the hosts, it would be hundreds.
const REQUESTS: [(&str, f64); 5] =
    [("Range", 24.0), ("Txn", 12.0), ("LeaseGrant", 8.0), ("LeaseKeepAlive", 24.0), ("Watch", 8.0)];
/// What a host takes at most for itself and each other one, with a kernel that is simulated, in KiB.
const MEMORY: (u64, u64) = (1024, 10);

/// A host that knows its lease.
struct Member {
    held: Held,
    keeper: Keeper,
    overlay: Overlay,
    traffic: Traffic,
    reconciler: Reconciler,
    ground: Ground,
    store: watch::Receiver<StoreState>,
    _events: JoinHandle<()>,
}

#[tokio::test]
async fn hosts_that_start_at_once_are_connected_with_each_other_within_a_minute() {
    let most = std::env::var(VARIABLE).map_or(HOSTS, |text| text.parse().unwrap());
    for hosts in [10, 100, 1000].into_iter().filter(|hosts| *hosts <= most) {
        fleet(hosts).await;
    }
}

async fn fleet(hosts: u16) {
    let mut cluster = Cluster::new(NETWORK);
    let before = REQUESTS.map(|(method, _)| cluster.etcd.calls(method));
    let memory = resident(std::process::id());
    let start = Instant::now();
    let mut members = converged(&cluster, hosts).await;
    let took = start.elapsed();
    let requests: Vec<String> = REQUESTS
        .iter()
        .zip(before)
        .map(|((method, most), before)| {
            let each = (cluster.etcd.calls(method) - before) / f64::from(hosts);
            assert!(each <= *most, "{method}: {each} of each of {hosts} hosts");
            format!("{method} {each:.2}")
        })
        .collect();
    assert_whole(&members);
    let memory = resident(std::process::id()).saturating_sub(memory) / u64::from(hosts);
    assert!(memory <= MEMORY.0 + MEMORY.1 * u64::from(hosts), "{memory} KiB of each of {hosts}");
    let (spread, cost) = changes(&mut members).await;
    assert_whole(&members);
    let mut figures = std::io::stderr();
    writeln!(
        figures,
        "{hosts} hosts: all connected after {took:.1?}; requests per host: {}; a change is in \
         every kernel after {spread:.1?} (median of {CHANGES}), and costs a host {cost:.0?}; {} KiB \
         per host, {} MiB in etcd",
        requests.join(", "),
        memory,
        resident(cluster.etcd.pid()) / 1024,
    )
    .unwrap();
    assert_eq!(cluster.subnets().await.len(), usize::from(hosts));
    assert!(took < CONVERGED_WITHIN, "{took:?}");
    rebuilt::rebuilt(&mut cluster, &members).await;
    assert_whole(&members);
}

/// All hosts, started at once, as soon as each is connected with all others.
async fn converged(cluster: &Cluster, hosts: u16) -> Vec<Member> {
    let mut starting = JoinSet::new();
    let others = usize::from(hosts - 1);
    for number in 1..=hosts {
        let host = cluster.host(number);
        starting.spawn(async move {
            let member = join(&host, number).await;
            let mut health = member.reconciler.health();
            let connected = health.wait_for(|health| {
                (health.synced, health.peers, health.unconnected) == (true, others, 0)
            });
            assert_eq!(connected.await.unwrap().trouble, None);
            member
        });
    }
    let all = tokio::time::timeout(CONVERGED_WITHIN * 2, starting.join_all());
    all.await.expect("all hosts are connected in time")
}

/// Starts as the agent does: leases a subnet, and what did not succeed is tried again, later and later.
async fn join(host: &netd::lease::Leases, number: u16) -> Member {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    let (config, held) = loop {
        if let Ok(config) = host.config().await
            && let Ok(held) = host.acquire(&config, &first(&config, number)).await
        {
            break (config, held);
        }
        backoff.wait().await;
    };
    let goal = goal(&config, number, held.subnet);
    let address = IpNetwork::new(underlay(number).v4.into(), 16).unwrap();
    let (overlay, traffic) = (goal.overlay.clone(), goal.traffic.clone());
    let (ground, reconciler) = match number {
        1 => Ground::real(address, goal),
        _ => Ground::simulated(address, goal),
    };
    let mut events = host.watch(held.subnet, Known::default(), TIME_TO_LIVE);
    let inputs = reconciler.inputs();
    let (telling, store) = watch::channel(StoreState::default());
    let leases = host.clone();
    let events = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let ClusterEvent::Store(state) = event {
                if telling.send_replace(state.clone()).until != state.until {
                    let _ = leases.restore_config(NETWORK.as_bytes()).await;
                }
                continue;
            }
            if matches!(event, ClusterEvent::Renewed(_)) {
                continue;
            }
            if inputs.send(Input::Cluster(event)).is_err() {
                return;
            }
        }
    });
    let keeper = host.keep(held.clone());
    Member { held, keeper, overlay, traffic, reconciler, ground, store, _events: events }
}

fn goal(config: &NetworkConfig, number: u16, subnet: SubnetKey) -> Goal {
    let backend = Backend::parse(&config.backend).unwrap();
    Goal {
        overlay: backend.overlay(underlay(number), subnet, &macs(number, 0), true).unwrap(),
        traffic: Traffic {
            networks: vec![config.network.into()],
            subnets: subnet.networks().collect(),
            masquerade: true,
            ..Traffic::default()
        },
        forward_rules: true,
        blackhole: false,
        resync: Duration::from_secs(60),
    }
}

fn first(config: &NetworkConfig, number: u16) -> Wanted {
    Wanted { value: published(config, number, 0), ..wanted(number) }
}

fn published(config: &NetworkConfig, number: u16, change: u8) -> LeaseValue {
    let backend = Backend::parse(&config.backend).unwrap();
    backend.publish(&underlay(number), &macs(number, change)).unwrap()
}

fn underlay(number: u16) -> Underlay {
    let v4 = wanted(number).value.public_ip;
    let link = LinkName::new(UPLINK).unwrap();
    Underlay { link, mtu: 1500, v4, v6: None, public_v4: v4, public_v6: None }
}

/// Its device's link-layer address, which changes.
fn macs(number: u16, change: u8) -> Macs {
    let [high, low] = number.to_be_bytes();
    [(LinkName::new("flannel.1").unwrap(), Mac([2, change, 0, 0, high, low]))].into()
}

/// Each holds, object by object, what it is to hold, and nothing else in its scope.
fn assert_whole(members: &[Member]) {
    // Which host it is seen from makes no difference, as there is one overlay.
    let leads_to = |(at, member): (usize, &Member)| {
        let (subnet, value) = (member.held.subnet, member.held.value.clone());
        let from = &members[usize::from(at == 0)].overlay;
        from.peer(&Peer { subnet, value, revision: 0, session: None }, &mut |_| false).unwrap()
    };
    let others: Vec<NetState> = members.iter().enumerate().map(leads_to).collect();
    let mut all = NetState::default();
    others.iter().for_each(|other| all.join(other.clone()));
    for (member, own) in members.iter().zip(&others) {
        let mut wanted = all.clone();
        wanted.routes.retain(|route| !own.routes.contains(route));
        wanted.neighs.retain(|neigh| !own.neighs.contains(neigh));
        wanted.fdb.retain(|entry| !own.fdb.contains(entry));
        wanted.join(member.overlay.own());
        let scope = member.overlay.scope();
        let (seen, rules) = member.ground.look(&scope);
        let there = seen.0.ns(&Ns::Host).unwrap();
        assert_eq!(there.routes, wanted.routes);
        assert_eq!(there.neighs, wanted.neighs);
        assert_eq!(there.fdb, wanted.fdb);
        let mut state = State::default();
        *state.ns_mut(Ns::Host) = wanted;
        let plan = Plan::between(&seen, &Desired(state), &scope);
        assert_eq!(plan, Plan::default(), "{}", member.held.subnet);
        assert_eq!(rules, traffic::table(&[&member.traffic]).map(|table| table.comment));
    }
}

/// How long until all others hold what one publishes: the median; and the processor time that each
/// takes for it.
async fn changes(members: &mut [Member]) -> (Duration, Duration) {
    let config = NetworkConfig::parse(NETWORK.as_bytes()).unwrap();
    let (others, one) = members.split_at_mut(members.len() - 1);
    let number = u16::try_from(others.len() + 1).unwrap();
    let (mut times, before) = (Vec::new(), processor_time());
    for change in 1..=CHANGES {
        let value = published(&config, number, change);
        let start = Instant::now();
        one[0].keeper.publish(value.clone());
        one[0].held.value = value;
        let mac = *macs(number, change).first_key_value().unwrap().1;
        for other in &*others {
            other.wait_for(mac).await;
        }
        times.push(start.elapsed());
    }
    times.sort();
    let cost =
        (processor_time() - before) / u32::from(CHANGES) / u32::try_from(others.len()).unwrap();
    (times[times.len() / 2], cost)
}

impl Member {
    /// Waits until it holds a forwarding entry for a link-layer address.
    async fn wait_for(&self, mac: Mac) {
        let leads = |state: &NetState| state.fdb.iter().any(|entry| entry.mac == mac);
        match &self.ground {
            Ground::Simulated(host) => {
                let mut applied = host.applied.subscribe();
                drop(applied.wait_for(|()| host.with(leads)).await.unwrap());
            }
            Ground::Real(_) => {
                let scope = self.overlay.scope();
                while !leads(self.ground.look(&scope).0.0.ns(&Ns::Host).unwrap()) {
                    let (answer, answered) = oneshot::channel();
                    self.reconciler.inputs().send(Input::Ping(answer)).unwrap();
                    answered.await.unwrap();
                }
            }
        }
    }
}

/// Of this whole process.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap()
}

/// Resident memory in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
