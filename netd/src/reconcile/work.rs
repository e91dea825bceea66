//! The loop itself: inputs in, changes out.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ipnetwork::IpNetwork;
use netstate::NetState;
use tokio::sync::watch;

use super::apply::update;
use super::burst::{Burst, Question};
use super::host::Host;
use super::inbox::Inbox;
use super::left::Left;
use super::parts::Part;
use super::peers::Peers;
use super::retry::Retry;
use super::{Counts, Goal, Health, Input};
use crate::backend::UnusablePeer;
use crate::lease::{ClusterEvent, ClusterView, Peer, SubnetKey};

/// After an event that calls for a look at everything, others of the same cause follow.
const SETTLING: Duration = Duration::from_millis(20);

/// The loop's state.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) host: Box<dyn Host>,
    pub(super) goal: Goal,
    pub(super) part: Part,
    pub(super) peers: Peers,
    /// The host's own part of the desired state.
    pub(super) own: NetState,
    /// It was right in the kernel by the last look at everything.
    pub(super) own_was_right: bool,
    pub(super) health: Health,
    pub(super) trouble: Option<Retry>,
    pub(super) left: Left,
    pub(super) telling: Telling,
    /// The peers are known.
    pub(super) started: bool,
    /// By which way a host is reached decides what leads to its subnet.
    pub(super) asks_ways: bool,
    /// When everything is looked at next.
    pub(super) next_round: Instant,
    /// When what nobody tells of is looked at next.
    pub(super) next_look: Option<Instant>,
}

/// Whom the loop tells.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) report: watch::Sender<Health>,
    pub(super) counts: watch::Sender<Counts>,
    pub(super) uplink: watch::Sender<()>,
}

impl Work {
    pub(super) fn new(host: Box<dyn Host>, goal: Goal, part: Part, telling: Telling) -> Self {
        let own = own(&goal);
        Self {
            host,
            peers: Peers::new(goal.traffic.networks.clone()),
            goal,
            part,
            own,
            own_was_right: false,
            health: Health::default(),
            trouble: None,
            left: Left::default(),
            telling,
            started: false,
            asks_ways: false,
            next_round: Instant::now(),
            next_look: None,
        }
    }

    /// Works until it is told to stop.
    pub(super) fn run(&mut self, inbox: &mut Inbox<Input>) {
        loop {
            inbox.wait(self.until_due());
            let mut told = Burst::default();
            inbox.inputs().for_each(|input| self.take(input, &mut told));
            self.act(&told);
            self.answer(told.questions);
            if told.stop {
                return;
            }
            // The kernel's echo of these changes is there already, and needs no turn of its own.
            let mut heard = Burst::default();
            inbox.notices().iter().for_each(|notice| self.notice(notice, &mut heard));
            if !heard.is_empty() {
                self.act(&heard);
            }
        }
    }

    /// Takes note of an input; nothing is changed yet.
    pub(super) fn take(&mut self, input: Input, burst: &mut Burst) {
        match input {
            Input::Cluster(ClusterEvent::Reset(view)) => self.reset(view, burst),
            Input::Cluster(ClusterEvent::Put(peer)) => self.put(peer, burst),
            Input::Cluster(ClusterEvent::Deleted(key)) => self.delete(key, burst),
            Input::Cluster(ClusterEvent::Replaced { old, new }) => {
                self.delete(old, burst);
                self.put(new, burst);
            }
            // It concerns the store alone.
            Input::Cluster(ClusterEvent::Renewed(_) | ClusterEvent::Store(_)) => {}
            Input::Cluster(ClusterEvent::Malformed { key, reason }) => {
                tracing::warn!(key, %reason, "a lease cannot be read; what was known of it stays");
            }
            Input::Goal(goal) => self.aim(*goal),
            Input::Ping(sender) => burst.questions.push(Question::Ping(sender)),
            Input::Plan(sender) => burst.questions.push(Question::Plan(sender)),
            Input::Stop => burst.stop = true,
        }
    }

    /// Changes what has to change, and tells how it stands then.
    pub(super) fn act(&mut self, burst: &Burst) {
        let now = Instant::now();
        if self.started && self.next_round <= now {
            self.round();
        } else {
            self.apply(burst);
            if burst.traffic {
                self.restore_traffic();
            }
            if burst.forward {
                self.restore_forward();
            }
            for key in self.peers.due(now) {
                self.put_again(&key);
            }
            self.look_at_wg_peers(now);
        }
        self.tell();
    }

    /// What leads to a peer, by the backend.
    pub(super) fn wanted(&mut self, peer: &Peer) -> Result<NetState, UnusablePeer> {
        let Self { host, goal, asks_ways, part, .. } = self;
        if let Some(network) = part.other_with(peer.subnet.networks()) {
            // It may have others by the next look at everything.
            *asks_ways = true;
            return Err(UnusablePeer::OtherNetwork(network));
        }
        goal.overlay.peer(peer, &mut |ip| {
            *asks_ways = true;
            host.is_on_link(ip)
        })
    }

    /// Puts all that a peer needs where it should be, whatever is there.
    pub(super) fn put_again(&mut self, key: &SubnetKey) {
        let plan = update(NetState::default(), self.peers.held(key));
        let failed = self.apply_plan(&plan);
        self.note(key, failed);
    }

    /// Everything is to be looked at, after a little while.
    pub(super) fn round_soon(&mut self) {
        self.next_round = self.next_round.min(Instant::now() + SETTLING);
    }

    /// What is there, and differs, is changed in the round that follows.
    fn aim(&mut self, goal: Goal) {
        self.own = own(&goal);
        self.own_was_right = false;
        self.peers.of_networks(goal.traffic.networks.clone());
        self.goal = goal;
        self.asks_ways = false;
        let all = self.peers.all_inside();
        all.into_iter().for_each(|(key, host)| self.note_outside(key, host));
        if self.started {
            self.next_round = Instant::now();
        }
    }

    fn reset(&mut self, view: ClusterView, burst: &mut Burst) {
        self.count(|counts| counts.listings += 1);
        let gone: Vec<_> =
            self.peers.iter().map(|(k, _)| *k).filter(|k| !view.peers.contains_key(k)).collect();
        gone.into_iter().for_each(|key| self.delete(key, burst));
        for peer in view.peers.into_values() {
            let known = self.peers.get(&peer.subnet).is_some_and(|entry| entry.peer == peer);
            if !known {
                self.put(peer, burst);
            }
        }
        if !self.started {
            self.started = true;
            self.next_round = Instant::now();
        }
    }

    fn put(&mut self, peer: Peer, burst: &mut Burst) {
        let (key, ip) = (peer.subnet, peer.value.public_ip);
        let wanted = self.wanted(&peer);
        match &wanted {
            _ if self.peers.get(&key).is_some_and(|known| known.peer.value == peer.value) => {}
            Ok(_) => tracing::info!(subnet = %key, host = %ip, "peer"),
            Err(why) => tracing::warn!(subnet = %key, host = %ip, %why, "peer cannot be used"),
        }
        self.note_outside(key, ip);
        burst.changed(self.peers.put(peer, wanted));
    }

    /// Notes where a peer's subnet is outside the network.
    fn note_outside(&mut self, key: SubnetKey, host: Ipv4Addr) {
        let networks = &self.goal.traffic.networks;
        let is_outside = |net: IpNetwork| !networks.iter().any(|all| contains(*all, net));
        if key.networks().any(is_outside) && self.peers.is_outside(key) {
            let network =
                networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            tracing::warn!(
                subnet = %key, %host, network,
                "a peer's subnet is outside the network, which flannel allows"
            );
        }
    }

    fn delete(&mut self, key: SubnetKey, burst: &mut Burst) {
        tracing::info!(subnet = %key, "peer is gone");
        burst.changed(self.peers.remove(&key));
    }

    fn until_due(&self) -> Duration {
        // Before the peers are known there is nothing to do of one's own accord.
        let round = if self.started { self.next_round } else { Instant::now() + self.goal.resync };
        let others = [self.peers.next_due(), self.next_look].into_iter().flatten();
        let due = others.fold(round, Instant::min);
        due.saturating_duration_since(Instant::now())
    }

    fn tell(&mut self) {
        self.peers.tell(&mut self.health);
        self.health.trouble = self.trouble.as_ref().map(|retry| retry.reason.clone());
        self.telling.report.send_if_modified(|there| {
            let news = *there != self.health;
            there.clone_from(&self.health);
            news
        });
    }
}

/// The host's own part of the desired state.
fn own(goal: &Goal) -> NetState {
    let mut own = goal.overlay.own();
    if goal.blackhole {
        goal.overlay.subnets().for_each(|net| own.join(drivers::traffic::blackhole(net)));
    }
    own
}

fn contains(all: IpNetwork, net: IpNetwork) -> bool {
    all.prefix() <= net.prefix() && all.contains(net.network())
}
