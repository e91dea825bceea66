//! What containers have on this host, put right after somebody has changed it while the agent runs.
//!
//! Elements of all that something happened to are put back in one transaction. Whatever is done here is
//! done of endpoints that stand: one that is being made or taken away is its thread's, and marked as such
//! before it is touched, under the same lock.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::attach::forward;
use ::attach::tables::{self, Constant};
use cni::ErrorChain;
use drivers::Owner;
use ipnetwork::IpNetwork;
use kernel::Kernel;
use netstate::{
    Datapath, Desired, Link, LinkKind, LinkName, NetState, Ns, Observed, Op, Plan, Scope, State,
    Step,
};

use super::wire::ADMIN;
use super::{Endpoints, Networks, Place, life};
use crate::endpoint::{Endpoint, Parts};
use crate::registry::apply::apply;
use crate::registry::keeper::Touched;

/// What became of a repair.
#[derive(Debug, Default)]
pub(in crate::registry) struct Repaired {
    /// The commands that stand for what was changed.
    pub(in crate::registry) done: Vec<String>,
    /// Why something is not as it should be; the rest is.
    pub(in crate::registry) failed: Option<String>,
}

/// An endpoint that is looked at, and what it is to have.
struct Target {
    endpoint: Arc<Endpoint>,
    parts: Parts,
}

impl Repaired {
    fn take(&mut self, done: Result<Vec<String>, String>) {
        match done {
            Ok(done) => self.done.extend(done),
            Err(reason) => drop(self.failed.get_or_insert(reason)),
        }
    }
}

impl Endpoints {
    /// Puts right what was touched; what is right costs a look, and nothing is looked at but that.
    pub(in crate::registry) fn repair(
        &self,
        host: &mut Kernel,
        networks: &Networks,
        touched: &Touched,
    ) -> Repaired {
        let mut repaired = Repaired::default();
        let all = touched.are_all_concerned().then(|| self.targets(self.all(), touched, networks));
        // What is on a parent directly has no rules. Those of overlays are about their networks.
        let have_rules = all.as_ref().is_some_and(|all| {
            all.iter().any(|one| one.parts.bridge.is_some()) || self.are_overlays(touched)
        });
        if all.as_ref().is_some_and(Vec::is_empty) && !have_rules {
            return repaired;
        }
        // Links come and go and are renamed, and tables are made anew.
        host.forget();
        let are_rules = touched.rules || touched.everything;
        if are_rules && have_rules {
            let restored = tables::restore(host, &self.records, Constant::Inet);
            repaired.take(restored.map_err(|error| text(&error)));
        }
        let some = |places| self.targets(self.meant(touched, places), touched, networks);
        let of_elements = match &all {
            Some(all) if are_rules => all,
            Some(_) | None => &some(&touched.elements),
        };
        repaired.take(self.put_elements(host, of_elements));
        let of_links = match &all {
            Some(all) if touched.everything => all,
            Some(_) | None => &some(&touched.links),
        };
        of_links.iter().for_each(|target| repaired.take(self.put_link(host, target)));
        if let Some(all) = all.filter(|_| touched.forward || touched.everything) {
            repaired.take(put_forwarding(host, &all));
        }
        repaired
    }

    /// Makes sure that the table of rules is there.
    pub(in crate::registry) fn have_rules(&self, host: &mut Kernel) -> Result<(), String> {
        let there = tables::ensure(host, &self.records, Constant::Inet);
        there.map(drop).map_err(|error| text(&error))
    }

    /// Whether what happened on the host may concern overlays.
    fn are_overlays(&self, touched: &Touched) -> bool {
        touched.overlay.is_none() && self.all().iter().any(|one| one.overlay.is_some())
    }

    /// The endpoints on bridges that are new, and at these places.
    fn meant(&self, touched: &Touched, places: &BTreeSet<Place>) -> Vec<Arc<Endpoint>> {
        let index = self.index();
        let on_new = touched.networks.iter().flat_map(|network| index.of_network(network));
        let others = places.iter().filter(|(network, _)| !touched.networks.contains(network));
        on_new.chain(others.filter_map(|(network, key)| index.get(network, key))).collect()
    }

    /// Those of some endpoints that stand, with what they are to have. Those on an overlay are put right by
    /// who is in its namespace, and no others are there.
    fn targets(
        &self,
        endpoints: Vec<Arc<Endpoint>>,
        touched: &Touched,
        networks: &Networks,
    ) -> Vec<Target> {
        let is_here = |one: &Arc<Endpoint>| {
            let overlay = one.overlay.as_ref().map(|_| &one.network);
            one.made && overlay == touched.overlay.as_ref()
        };
        let target = |endpoint: Arc<Endpoint>| {
            // A network's options were checked when it was made.
            let parts = Parts::of(&endpoint, networks.get(&endpoint.network)?, self.has_ipv6);
            Some(Target { parts: parts.ok()?, endpoint })
        };
        endpoints.into_iter().filter(is_here).filter_map(target).collect()
    }

    /// Of all in one transaction; where that fails, of each by itself, so that one holds no other up.
    fn put_elements(&self, host: &mut Kernel, targets: &[Target]) -> Result<Vec<String>, String> {
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        let together: Vec<&Target> = targets.iter().collect();
        let put = self.put_elements_of(host, &together);
        if put.is_ok() || targets.len() == 1 {
            return put;
        }
        let mut repaired = Repaired::default();
        targets.iter().for_each(|target| repaired.take(self.put_elements_of(host, &[target])));
        repaired.failed.map_or(Ok(repaired.done), Err)
    }

    fn put_elements_of(
        &self,
        host: &mut Kernel,
        targets: &[&Target],
    ) -> Result<Vec<String>, String> {
        let mut wanted = NetState::default();
        for part in targets.iter().flat_map(|t| [&t.parts.elements, &t.parts.shared]) {
            wanted.join(part.0.ns(&Ns::Host).cloned().unwrap_or_default());
        }
        let sysctls = std::mem::take(&mut wanted.sysctls);
        let wanted = on_host(wanted);
        let seen = host.observe(&Scope::of(&wanted)).map_err(|error| text(&error))?;
        let mut plan = Plan::missing(&seen, &wanted);
        self.make_room(&seen, &mut plan);
        let mut done = Vec::new();
        if !plan.is_empty() {
            // Whoever takes an endpoint away from here on finds what is put back now.
            let index = self.index();
            let stands = |target: &&Target| index.stands(&target.endpoint);
            if !targets.iter().all(&stands) {
                let left: Vec<&Target> = targets.iter().copied().filter(stands).collect();
                drop(index);
                return self.put_elements_of(host, &left);
            }
            done = apply(host, &plan)?;
        }
        let keys = NetState { sysctls, ..NetState::default() };
        done.extend(put(host, on_host(keys))?);
        Ok(done)
    }

    /// What is in the place of an element and is nobody's goes first.
    fn make_room(&self, seen: &Observed, plan: &mut Plan) {
        let Some(seen) = seen.0.ns(&Ns::Host) else { return };
        let mut first = Vec::new();
        for step in &plan.steps {
            let Op::AddElement { set, element } = &step.op else { continue };
            let there = seen.elements.get(set).into_iter().flatten();
            let there = there.filter(|there| there.key == element.key);
            // One with the same owner goes by the plan.
            let foreign = there.filter(|there| there.comment != element.comment);
            for element in foreign.filter(|there| !self.is_anybodys(&there.comment)) {
                let op = Op::DelElement { set: set.clone(), element: element.clone() };
                first.push(Step::fresh(Ns::Host, op));
            }
        }
        plan.steps.splice(0..0, first);
    }

    /// Whether some attachment is called so.
    fn is_anybodys(&self, comment: &str) -> bool {
        let mut names = comment.split('/').map(str::to_owned);
        let (Some(network), Some(container_id), Some(ifname), None) =
            (names.next(), names.next(), names.next(), names.next())
        else {
            return false;
        };
        self.records.has_any(&Owner { network, container_id, ifname })
    }

    /// The end of a container's interface that is not the container's, as it was made: on its bridge, with a
    /// port's settings.
    fn put_link(&self, host: &mut Kernel, target: &Target) -> Result<Vec<String>, String> {
        let Target { endpoint, parts } = target;
        let ns = match (&endpoint.overlay, &parts.bridge) {
            (Some(_), _) => Ns::Overlay,
            (None, Some(_)) => Ns::Host,
            (None, None) => return self.put_routes(host, endpoint, parts),
        };
        let wanted = parts.links.0.ns(&ns).and_then(|on| on.links.get(&endpoint.host_link));
        let Some(wanted) = wanted else { return Ok(Vec::new()) };
        let there = host.link_by_name(&ns, &endpoint.host_link);
        let Some(there) = there.map_err(|error| text(&error))? else {
            self.note_lost(endpoint);
            return Ok(Vec::new());
        };
        let kind = &there.link.kind;
        // That of a pair whose far end is in a namespace that is not asked is known by name only.
        let is_pair = matches!(kind, LinkKind::Veth { .. })
            || matches!(kind, LinkKind::Other(name) if name == "veth");
        if !is_pair {
            return Err(format!(
                "existing interface {} is not container {}'s: rename or remove it",
                endpoint.host_link, endpoint.container
            ));
        }
        let wanted = Link { kind: there.link.kind.clone(), ..wanted.clone() };
        let [there, wanted] = [there.link, wanted].map(|link| of_link(&ns, link));
        let plan = Plan::missing(&Observed(there), &Desired(wanted));
        let done = apply(host, &plan);
        match done {
            Err(_) if !self.index().stands(endpoint) => Ok(Vec::new()),
            done => done,
        }
    }

    /// A pair cannot be made anew for a container that runs: its routes and addresses are its own.
    fn note_lost(&self, endpoint: &Endpoint) {
        // With its namespace it went by itself.
        if !life::is_at_path(endpoint) {
            self.suspect(endpoint);
        } else if self.index().lose(endpoint) {
            tracing::error!(
                endpoint = endpoint.owner().path(), interface = %endpoint.host_link,
                "somebody has deleted a container's interface: disconnect it, and connect it again"
            );
        }
    }
}

/// Lets the host forward for the networks of these.
fn put_forwarding(host: &mut Kernel, all: &[Target]) -> Result<Vec<String>, String> {
    let mut networks: Vec<(&LinkName, &Parts)> = Vec::new();
    let mut seen = BTreeSet::new();
    for Target { parts, .. } in all {
        let bridge = parts.bridge.as_ref().filter(|bridge| seen.insert(*bridge));
        networks.extend(bridge.map(|bridge| (bridge, parts)));
    }
    let gateways: Vec<IpNetwork> =
        networks.iter().flat_map(|(_, parts)| parts.gateways.iter().copied()).collect();
    let plan = forward::off(host, &gateways).map_err(|error| text(&error))?;
    let mut done = apply(host, &plan)?;
    for (bridge, parts) in networks {
        for ip in parts.forwarded() {
            let open = forward::closed(host, ip, bridge, ADMIN);
            let commands = open.map_err(|error| text(&error))?;
            if !commands.is_empty() {
                let opened = forward::open(host, ip, bridge, ADMIN);
                opened.map_err(|error| text(&error))?;
                done.extend(commands);
            }
        }
    }
    Ok(done)
}

/// Makes what is missing.
pub(super) fn put(host: &mut Kernel, wanted: Desired) -> Result<Vec<String>, String> {
    let seen = host.observe(&Scope::of(&wanted)).map_err(|error| text(&error))?;
    apply(host, &Plan::missing(&seen, &wanted))
}

pub(super) fn on_host(content: NetState) -> Desired {
    Desired(State::of(Ns::Host, content))
}

fn of_link(ns: &Ns, link: Link) -> State {
    let mut state = State::default();
    state.ns_mut(ns.clone()).add_link(link);
    state
}

fn text(error: &dyn std::error::Error) -> String {
    ErrorChain(error).to_string()
}
