//! A look at everything: what is there, what is wanted, the changes between.

use std::time::Instant;

use attach::forward;
use cni::ErrorChain;
use drivers::traffic;
use netstate::{Datapath, Desired, Ns, Op, Plan, SysctlKey};

use super::apply::{on_host, update};
use super::retry::Retry;
use super::work::Work;
use crate::lease::SubnetKey;

/// The chain of iptables that is the administrator's, as plugin `firewall` has it.
pub(super) const ADMIN_CHAIN: &str = "CNI-ADMIN";

impl Work {
    /// Puts everything right, and plans the next round: by the timer, or soon after trouble.
    pub(super) fn round(&mut self) {
        let now = Instant::now();
        self.next_round = now + self.goal.resync;
        let done = self.everything();
        self.count_round(now, done.is_ok());
        match done {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    tracing::info!("the overlay is whole again");
                }
                self.health.synced = true;
            }
            Err(reason) => {
                let news = self.trouble.as_ref().is_none_or(|old| old.reason != reason);
                if news {
                    tracing::error!(%reason, "the overlay is not as it should be; trying again");
                }
                let retry = Retry::after(self.trouble.as_ref(), reason, now);
                self.next_round = retry.due;
                self.trouble = Some(retry);
            }
        }
    }

    /// Puts the table of rules back after somebody changed it.
    pub(super) fn restore_traffic(&mut self) {
        if let Err(reason) = self.traffic(true) {
            tracing::error!(%reason, "the rules of traffic cannot be restored; trying again");
            self.round_soon();
        }
    }

    /// Accepts again what belongs to the cluster, where FORWARD drops since a moment ago.
    pub(super) fn restore_forward(&mut self) {
        if let Err(reason) = self.forward_rules() {
            tracing::error!(%reason, "FORWARD drops, and cannot be opened; trying again");
            self.round_soon();
        }
    }

    fn everything(&mut self) -> Result<(), String> {
        // Links come and go and are renamed.
        self.kernel.forget();
        self.forwarding()?;
        self.choose_ways_anew();
        let plan = self.difference()?;
        if !plan.is_empty() {
            let removed = plan.steps.iter().filter(|step| step.op.is_removal()).count();
            let made = plan.steps.len() - removed;
            tracing::info!(made, removed, peers = self.peers.len(), "the kernel differed");
        }
        self.apply_in_parts(plan)?;
        self.traffic(false)?;
        self.forward_rules()
    }

    /// From what is there, as observed now, to what is wanted.
    pub(super) fn difference(&mut self) -> Result<Plan, String> {
        let mut wanted = self.own.clone();
        self.peers.iter().for_each(|(key, _)| wanted.join(self.peers.held(key)));
        let scope = self.goal.overlay.scope();
        let observed = self.kernel.observe(&scope).map_err(chain)?;
        Ok(Plan::between(&observed, &Desired(on_host(wanted)), &scope))
    }

    /// First what all peers need, and what has to go; then the peers: all together, and where that
    /// fails each by itself.
    fn apply_in_parts(&mut self, plan: Plan) -> Result<(), String> {
        let (peers, own): (Vec<_>, Vec<_>) =
            plan.steps.into_iter().partition(|step| leads_to_a_peer(&step.op));
        if let Some(reason) = self.apply_plan(&Plan { steps: own }) {
            return Err(reason);
        }
        if self.apply_plan(&Plan { steps: peers }).is_none() {
            self.peers.all_succeeded();
            return Ok(());
        }
        let keys: Vec<SubnetKey> = self.peers.iter().map(|(key, _)| *key).collect();
        keys.iter().for_each(|key| self.put_again(key));
        let own = netstate::NetState { routes: self.own.routes.clone(), ..Default::default() };
        self.apply_plan(&update(netstate::NetState::default(), own)).map_or(Ok(()), Err)
    }

    /// Which peers are on a link of this host may have changed.
    fn choose_ways_anew(&mut self) {
        let all: Vec<_> = self.peers.iter().map(|(_, entry)| entry.peer.clone()).collect();
        for peer in all {
            let found = self.wanted(&peer);
            let known = self.peers.get(&peer.subnet);
            if !known.is_some_and(|entry| entry.is_found(&found)) {
                // What is there by now is observed in this round.
                self.peers.put(peer, found);
            }
        }
    }

    /// Containers are of no use where the host does not forward.
    fn forwarding(&mut self) -> Result<(), String> {
        let subnets: Vec<_> = self.goal.overlay.subnets().collect();
        let v4 = SysctlKey::fixed("net/ipv4/ip_forward");
        let v6 = SysctlKey::fixed("net/ipv6/conf/all/forwarding");
        let is_off = |work: &mut Self, key: &SysctlKey| matches!(work.kernel.sysctl(&Ns::Host, key), Ok(Some(value)) if value == "0");
        let mut off = vec![v4];
        off.extend(subnets.iter().any(ipnetwork::IpNetwork::is_ipv6).then_some(v6));
        off.retain(|key| is_off(self, key));
        forward::enable(&mut self.kernel, &subnets).map_err(|e| ErrorChain(&e).to_string())?;
        for key in off {
            tracing::info!(sysctl = %key, value = 1, "forwarding was off; turned it on");
        }
        Ok(())
    }

    /// The table of rules, made anew where it is not the one that is wanted, or was touched.
    fn traffic(&mut self, touched: bool) -> Result<(), String> {
        let plan = self.traffic_plan(touched)?;
        if !plan.is_empty() && self.health.synced {
            tracing::warn!("the rules of traffic were not as they should be; made anew");
        }
        self.apply_plan(&plan).map_or(Ok(()), Err)
    }

    pub(super) fn traffic_plan(&mut self, touched: bool) -> Result<Plan, String> {
        // What a touched table holds is nobody's knowledge, whatever its comment says.
        const UNKNOWN: &str = "touched";
        let there = self.kernel.table_comment(&Ns::Host, &traffic::id()).map_err(chain)?;
        let there = there.map(|comment| if touched { UNKNOWN.to_owned() } else { comment });
        Ok(traffic::plan(there.as_deref(), &self.goal.traffic))
    }

    /// Where iptables' FORWARD drops what nobody accepts, it has to accept the cluster's:
    /// no other table can overrule it.
    fn forward_rules(&mut self) -> Result<(), String> {
        if !self.goal.forward_rules {
            return Ok(());
        }
        let networks = self.goal.traffic.networks.clone();
        for network in networks {
            forward::open_network(&mut self.kernel, network, ADMIN_CHAIN)
                .map_err(|e| ErrorChain(&e).to_string())?;
        }
        Ok(())
    }
}

fn leads_to_a_peer(op: &Op) -> bool {
    matches!(op, Op::AddRoute(_) | Op::AddNeigh(_) | Op::AddFdb(_) | Op::AddWgPeer(_))
}

pub(super) fn chain(error: kernel::Error) -> String {
    ErrorChain(&error).to_string()
}
