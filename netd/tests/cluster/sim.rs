//! Hosts for the agent's loop: simulated ones, and one of the real kernel in a namespace of its own.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ipnetwork::IpNetwork;
use kernel::testing::{in_new_host, sh};
use kernel::{Kernel, Netns};
use netd::backend::{Backend, Macs};
use netd::lease::{ClusterEvent, ClusterView, Peer};
use netd::reconcile::{self, Applied, Goal, Host, Input, Part, Reconciler};
use netd::underlay::Underlay;
use netstate::sim::Sim;
use netstate::{
    Addr, Datapath, Link, LinkKind, LinkName, NetState, Ns, Observed, Op, Plan, Scope, Step,
    SysctlKey,
};
use tokio::sync::watch;

use super::setup::key;

/// The interface between hosts.
pub(crate) const UPLINK: &str = "eth0";

/// A host with the loop on it.
pub(crate) enum Ground {
    Simulated(Simulated),
    Real(Netns),
}

/// What a host at 192.168.0.1 with subnet 10.5.1.0/24 wants by a backend. Everything is looked at once an hour: not
/// within a test.
pub(crate) fn goal(backend: Backend, macs: &Macs) -> Goal {
    let v4 = [192, 168, 0, 1].into();
    let link = LinkName::new(UPLINK).unwrap();
    let underlay = Underlay { link, mtu: 1500, v4, v6: None, public_v4: v4, public_v6: None };
    Goal {
        overlay: backend.overlay(underlay, key("10.5.1.0-24"), macs, true).unwrap(),
        traffic: Default::default(),
        forward_rules: true,
        blackhole: false,
        resync: Duration::from_secs(3600),
    }
}

impl Ground {
    /// A simulated host with this address.
    pub(crate) fn simulated(address: IpNetwork, goal: Goal) -> (Self, Reconciler) {
        let host = Simulated::new(address);
        let reconciler = Reconciler::start_on(Box::new(host.clone()), goal, None).unwrap();
        (Self::Simulated(host), reconciler)
    }

    /// A simulated host with this address, once its loop has made what these peers need.
    pub(crate) async fn settled(
        address: &str,
        goal: Goal,
        peers: impl IntoIterator<Item = Peer>,
    ) -> (Simulated, Reconciler) {
        let (ground, reconciler) = Self::simulated(address.parse().unwrap(), goal);
        let Self::Simulated(host) = ground else { panic!() };
        let peers = peers.into_iter().map(|peer| (peer.subnet, peer)).collect();
        let reset = Input::Cluster(ClusterEvent::Reset(ClusterView { peers }));
        reconciler.inputs().send(reset).unwrap();
        reconciler.health().wait_for(|health| health.synced).await.unwrap();
        (host, reconciler)
    }

    /// A host of this machine's kernel.
    pub(crate) fn real(address: IpNetwork, goal: Goal) -> (Self, Reconciler) {
        in_new_host(|| {
            sh(&format!(
                "ip link set lo up; ip link add {UPLINK} type bridge; ip link set {UPLINK} up
                 ip addr add {address} dev {UPLINK}"
            ));
            let events = reconcile::listen().unwrap();
            let reconciler = Reconciler::start(goal, events, Part::default()).unwrap();
            (Self::Real(Netns::current().unwrap()), reconciler)
        })
    }

    /// What it holds in the scope, and the comment of its table of rules.
    pub(crate) fn look(&self, scope: &Scope) -> (Observed, Option<String>) {
        let look =
            |host: &mut dyn Host| (host.observe(scope).unwrap(), host.table_comment().unwrap());
        match self {
            Self::Simulated(host) => look(&mut host.clone()),
            Self::Real(netns) => netns.with(|| look(&mut Kernel::open(None))).unwrap(),
        }
    }
}

/// A simulated host. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Simulated {
    sim: Arc<Mutex<Sim>>,
    /// Told after each plan.
    pub(crate) applied: watch::Sender<()>,
}

impl Simulated {
    fn new(address: IpNetwork) -> Self {
        let mut sim = Sim::default();
        let host = sim.state_mut().ns_mut(Ns::Host);
        let uplink = LinkName::new(UPLINK).unwrap();
        let found = LinkKind::Other("device".to_owned());
        host.add_link(Link { mtu: Some(1500), ..Link::new(uplink.clone(), found) });
        host.addrs.insert(Addr::new(uplink, address));
        for key in [ip_forward(), forwarding()] {
            host.sysctls.insert(key, "0".to_owned());
        }
        Self { sim: Arc::new(Mutex::new(sim)), applied: watch::channel(()).0 }
    }

    /// Asks something of what it holds.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&NetState) -> T) -> T {
        f(self.lock().state().ns(&Ns::Host).unwrap())
    }

    /// Changes it behind the loop's back.
    pub(crate) fn change(&self, f: impl FnOnce(&mut NetState)) {
        f(self.lock().state_mut().ns_mut(Ns::Host));
    }

    /// Lets the next step of its kernel fail.
    pub(crate) fn refuse_next(&self) {
        self.lock().fail_at(0);
    }

    fn lock(&self) -> MutexGuard<'_, Sim> {
        self.sim.lock().unwrap()
    }
}

impl Host for Simulated {
    fn observe(&mut self, scope: &Scope) -> Result<Observed, String> {
        self.lock().observe(scope).map_err(|error| error.to_string())
    }

    fn apply(&mut self, plan: &Plan) -> Applied {
        let applied = self.lock().apply(plan).into();
        self.applied.send_replace(());
        applied
    }

    fn forget(&mut self) {}

    fn is_on_link(&mut self, ip: IpAddr) -> bool {
        self.with(|host| host.addrs.iter().any(|addr| addr.net.contains(ip)))
    }

    fn forwarding(&mut self, subnets: &[IpNetwork]) -> Result<Plan, String> {
        let v6 = subnets.iter().any(IpNetwork::is_ipv6).then_some(forwarding());
        let off =
            |key: &SysctlKey| self.with(|host| host.sysctls.get(key).is_none_or(|v| v != "1"));
        let set = |key| Op::SetSysctl { key, value: "1".to_owned(), optional: false };
        let keys = std::iter::once(ip_forward()).chain(v6).filter(off);
        Ok(Plan { steps: keys.map(|key| Step::ensure(Ns::Host, set(key))).collect() })
    }

    /// It has no rules but the agent's.
    fn accepting(&mut self, _network: IpNetwork) -> Result<Plan, String> {
        Ok(Plan::default())
    }

    fn table_comment(&mut self) -> Result<Option<String>, String> {
        Ok(self.with(|host| {
            host.tables.get(&drivers::traffic::id()).map(|table| table.comment.clone())
        }))
    }
}

fn ip_forward() -> SysctlKey {
    SysctlKey::fixed("net/ipv4/ip_forward")
}

fn forwarding() -> SysctlKey {
    SysctlKey::fixed("net/ipv6/conf/all/forwarding")
}
