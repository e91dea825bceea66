//! A look at everything: what is there, what is wanted, the changes between.

use std::time::Instant;

use drivers::traffic;
use netstate::{Desired, Ns, NsNames, Op, Plan, State};

use super::apply::update;
use super::parts::Held;
use super::retry::Retry;
use super::work::Work;
use crate::lease::SubnetKey;

impl Work {
    /// Puts everything right, and plans the next round: by the timer, or soon after trouble.
    pub(super) fn round(&mut self) {
        let now = Instant::now();
        self.next_round = now + self.goal.resync;
        self.plan_look(now);
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
        self.host.forget();
        self.forwarding()?;
        self.choose_ways_anew();
        let plan = self.difference()?;
        if !plan.is_empty() {
            let removed = plan.steps.iter().filter(|step| step.op.is_removal()).count();
            let (made, peers) = (plan.steps.len() - removed, self.peers.len());
            // What leads to a peer differs as long as the kernel refuses it, and what led there is left till then.
            let is_own = |op: &Op| !leads_to_a_peer(op) && !op.is_removal();
            if self.own_was_right && plan.steps.iter().any(|step| is_own(&step.op)) {
                tracing::warn!(made, removed, peers, "what netd had made was changed; put back");
            } else {
                tracing::info!(made, removed, peers, "the kernel differed");
            }
        }
        self.own_was_right = false;
        self.apply_in_parts(plan)?;
        self.own_was_right = true;
        self.traffic(false)?;
        self.forward_rules()
    }

    /// From what is there, as observed now, to what is wanted.
    pub(super) fn difference(&mut self) -> Result<Plan, String> {
        let mut wanted = self.own.clone();
        self.peers.iter().for_each(|(key, _)| wanted.join(self.peers.held(key)));
        let scope = self.goal.overlay.scope();
        let mut observed = self.host.observe(&scope)?;
        self.part.only_own(observed.0.ns_mut(Ns::Host), &wanted, &self.goal.overlay);
        Ok(Plan::between(&observed, &Desired(State::of(Ns::Host, wanted)), &scope))
    }

    /// First what all peers need, and what has to go; then the peers: all together, and where that
    /// fails each by itself; last what led to them before.
    fn apply_in_parts(&mut self, plan: Plan) -> Result<(), String> {
        let mut own = plan.steps;
        let first = own.iter().position(|step| leads_to_a_peer(&step.op)).unwrap_or(own.len());
        let (peers, old): (Vec<_>, Vec<_>) =
            own.split_off(first).into_iter().partition(|step| leads_to_a_peer(&step.op));
        let done = |refused: Option<String>| refused.map_or(Ok(()), Err);
        done(self.apply_plan(&Plan { steps: own }))?;
        if self.apply_plan(&Plan { steps: peers }).is_none() {
            self.peers.all_succeeded();
            return self.take_away(old);
        }
        let keys: Vec<SubnetKey> = self.peers.iter().map(|(key, _)| *key).collect();
        keys.iter().for_each(|key| self.put_again(key));
        let own = netstate::NetState { routes: self.own.routes.clone(), ..Default::default() };
        done(self.apply_plan(&update(netstate::NetState::default(), own)))?;
        self.take_away(old)
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
        let plan = self.host.forwarding(&subnets)?;
        for step in &plan.steps {
            tracing::info!(command = %step.command(&NsNames::default()), "forwarding is off; turning it on");
        }
        self.apply_plan(&plan).map_or(Ok(()), Err)
    }

    /// The table of rules, made anew where it is not the one that is wanted, or was touched.
    fn traffic(&mut self, touched: bool) -> Result<(), String> {
        let part = self.part.clone();
        let all = part.hold(&self.goal.traffic);
        let plan = self.traffic_plan(&all, touched)?;
        if !plan.is_empty() && self.health.synced {
            tracing::warn!("the rules of traffic were not as they should be; made anew");
        }
        self.apply_plan(&plan).map_or(Ok(()), Err)
    }

    pub(super) fn traffic_plan(&mut self, all: &Held<'_>, touched: bool) -> Result<Plan, String> {
        // What a touched table holds is nobody's knowledge, whatever its comment says.
        const UNKNOWN: &str = "touched";
        let there = self.host.table_comment()?;
        let there = there.map(|comment| if touched { UNKNOWN.to_owned() } else { comment });
        Ok(traffic::plan(there.as_deref(), &all.rules()))
    }

    /// Where iptables' FORWARD drops what nobody accepts, it has to accept the cluster's:
    /// no other table can overrule it.
    fn forward_rules(&mut self) -> Result<(), String> {
        if !self.goal.forward_rules {
            return Ok(());
        }
        let part = self.part.clone();
        // Of two loops that look at the same time each would make what both need.
        let _held = part.hold(&self.goal.traffic);
        let networks = self.goal.traffic.networks.clone();
        for network in networks {
            let plan = self.host.accepting(network)?;
            if let Some(reason) = self.apply_plan(&plan) {
                return Err(reason);
            }
        }
        Ok(())
    }
}

fn leads_to_a_peer(op: &Op) -> bool {
    matches!(op, Op::AddRoute(_) | Op::AddNeigh(_) | Op::AddFdb(_) | Op::AddWgPeer(_))
}
