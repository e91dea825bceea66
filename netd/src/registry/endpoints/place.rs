//! Published ports follow the network that gives a container's default route.

use std::collections::BTreeSet;
use std::sync::Arc;

use cni::ErrorChain;
use kernel::Kernel;
use netstate::{Datapath, NetState, Ns, NsNames, Op, Plan};

use super::life::Life;
use super::repair::on_host;
use super::{Endpoints, Networks, with_host};
use crate::endpoint::{Dynamic, Endpoint, EndpointError, Parts, Sandbox, placed};
use crate::network::Network;

/// An endpoint whose ports are others from now on.
struct Moved<'n> {
    before: Arc<Endpoint>,
    after: Endpoint,
    network: &'n Network,
}

impl Endpoints {
    /// Leads the ports of a container to where they belong by now; what stands already is not touched.
    pub(super) fn place_ports(&self, sandbox: Sandbox, networks: &Networks) {
        let mut there = self.index().in_sandbox(sandbox);
        there.retain(|endpoint| endpoint.made);
        let none = |one: &Arc<Endpoint>| one.ports.is_empty() && one.carried.is_none();
        let is_gone = |one: &Arc<Endpoint>| self.life(one, networks) == Life::Gone;
        if there.iter().all(none) || there.iter().all(is_gone) {
            return;
        }
        let with = |one: &Arc<Endpoint>| Some((Arc::clone(one), networks.get(&one.network)?));
        let known: Vec<(Arc<Endpoint>, &Network)> = there.iter().filter_map(with).collect();
        let all: Vec<(&Endpoint, &Network)> = known.iter().map(|(one, of)| (&**one, *of)).collect();
        let moved = placed(&all).into_iter().filter_map(|after| {
            let (before, network) = known.iter().find(|(one, _)| one.id == after.id)?;
            Some(Moved { before: Arc::clone(before), after, network })
        });
        let moved: Vec<Moved<'_>> = moved.collect();
        if moved.is_empty() {
            return;
        }
        if let Err(error) = with_host(|host| self.move_ports(host, &moved)) {
            let (container, error) =
                (&moved.first().map(|one| &one.after.container), ErrorChain(&error));
            tracing::error!(?container, %error, "published ports do not follow the default route");
            return;
        }
        for one in &there {
            self.hold_carried(one, networks);
        }
    }

    /// Of all containers, at the start.
    pub(super) fn place_all_ports(&self, networks: &Networks) {
        let all: BTreeSet<Sandbox> = self.index().all().iter().map(|one| one.sandbox()).collect();
        all.into_iter().for_each(|sandbox| self.place_ports(sandbox, networks));
    }

    /// Gives the ports of an endpoint that is gone to another of the container's that asked for them, too.
    pub(super) fn hand_over(&self, gone: &Endpoint, networks: &Networks) {
        if gone.ports.is_empty() {
            return;
        }
        let heirs = self.index().in_sandbox(gone.sandbox());
        for heir in heirs {
            let mut after = Endpoint::clone(&heir);
            if !heir.made || !after.inherit(gone) {
                continue;
            }
            let Some(network) = networks.get(&heir.network) else { continue };
            // They lead nowhere until they are placed.
            let carried = after.carried.take();
            after.carried = Some(carried.unwrap_or_else(|| heir.leading()));
            self.rewrite(after.clone());
            let own = Endpoint { carried: None, ..after };
            if let Err(error) =
                self.hold_ports(&mut own.clone(), network, false, &Dynamic::default())
            {
                let (endpoint, error) = (own.owner().path(), ErrorChain(&error));
                tracing::error!(endpoint, %error, "host ports are not held");
            }
            return;
        }
    }

    /// Records say more than there is rather than less, whatever ends this early.
    fn move_ports(&self, host: &mut Kernel, moved: &[Moved<'_>]) -> Result<(), EndpointError> {
        let (mut before, mut after) = (NetState::default(), NetState::default());
        let mut records = Vec::new();
        for Moved { before: old, after: new, network } in moved {
            let old = Parts::of(old, network, self.has_ipv6)?;
            let parts = Parts::of(new, network, self.has_ipv6)?;
            let mut both = parts.clone();
            both.elements.0.join(old.elements.0.clone());
            self.records.replace(&self.record(new, &both))?;
            before.join(of_endpoint(&old));
            after.join(of_endpoint(&parts));
            records.push(self.record(new, &parts));
        }
        let plan = Plan::update(&on_host(before), &on_host(after));
        // Rules last, and all of them at once: a port leads to the one place or to the other.
        let (rules, links): (Vec<_>, Vec<_>) = plan
            .steps
            .into_iter()
            .partition(|step| matches!(step.op, Op::AddElement { .. } | Op::DelElement { .. }));
        // Whoever puts rules back from here on puts back those.
        moved.iter().for_each(|one| self.index().replace(one.after.clone()));
        for steps in [links, rules] {
            if let Some((step, source)) = host.apply(&Plan { steps }).failed {
                moved.iter().for_each(|one| self.index().replace(Endpoint::clone(&one.before)));
                let step = step.command(&NsNames::default());
                let source = ::attach::Refusal(source);
                return Err(::attach::Error::Refused { step, source }.into());
            }
        }
        for Moved { after, .. } in moved {
            self.rewrite(after.clone());
        }
        for record in &records {
            self.records.replace(record)?;
        }
        Ok(())
    }
}

/// What an endpoint has on the host.
fn of_endpoint(parts: &Parts) -> NetState {
    parts.all().0.ns(&Ns::Host).cloned().unwrap_or_default()
}
