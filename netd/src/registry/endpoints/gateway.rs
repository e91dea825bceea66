//! Which of a container's networks gives its default route, and how that changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use kernel::Kernel;
use netstate::{Datapath, LinkRef, Ns, Op, Plan, Route, Scope, Step};

use super::{Endpoints, Networks, life};
use crate::endpoint::{
    Contender, Displaced, Endpoint, EndpointError, Sandbox, Wanted, Way, default_route, first,
    ways_out,
};
use crate::network::Network;

/// What becomes of the routes of others when an endpoint gets the default route.
#[derive(Debug, Default)]
pub(super) struct Change {
    routes: Vec<Route>,
    losers: Vec<Endpoint>,
}

impl Change {
    /// A plan that makes an endpoint's links, in which the routes of others go just before its own
    /// come.
    pub(super) fn within(&self, mut plan: Plan) -> Plan {
        let is_default =
            |step: &Step| matches!(&step.op, Op::AddRoute(route) if route.dst.prefix() == 0);
        let at = plan.steps.iter().position(is_default).unwrap_or(plan.steps.len());
        let gone = self.routes.iter().cloned();
        let gone = gone.map(|route| Step::fresh(Ns::Container, Op::DelRoute(route)));
        plan.steps.splice(at..at, gone);
        plan
    }
}

impl Endpoints {
    /// Decides whether a new endpoint gives its container's default route, of each family.
    pub(super) fn elect(
        &self,
        new: &mut Endpoint,
        inside: &mut Kernel,
        network: &Network,
        wanted: &Wanted,
        networks: &Networks,
    ) -> Result<Change, EndpointError> {
        let mut change = Change::default();
        let others = self.index().in_sandbox(new.sandbox());
        let others: Vec<Arc<Endpoint>> = others.into_iter().filter(|o| o.id != new.id).collect();
        let ways: Vec<_> = ways_out(network, &new.addresses).collect();
        for Way { v6, .. } in ways {
            let holder = others.iter().find(|other| other.default_routes.has(v6));
            let wins = match holder {
                Some(holder) if wanted.live => new.gw_priority > holder.gw_priority,
                Some(holder) => first([contender(holder), contender(new)])
                    .is_some_and(|winner| winner.of.id == new.id),
                None => {
                    let foreign = foreign(inside, v6)?;
                    let wins = foreign.is_empty() || new.gw_priority > 0;
                    if wins {
                        new.displaced.extend(foreign.iter().filter_map(Displaced::of));
                        change.routes.extend(foreign);
                    }
                    wins
                }
            };
            if !wins {
                continue;
            }
            new.default_routes.set(v6, true);
            if let Some(holder) = holder {
                change.lose(holder, v6, networks);
            }
        }
        Ok(change)
    }

    /// Notes who has lost a default route.
    pub(super) fn settle(&self, change: Change) {
        for loser in change.losers {
            self.rewrite(loser);
        }
    }

    /// When nothing of an endpoint is left: its default routes are given by another of the container's, or are
    /// what they were before. It is written down still, so a crash lets this be done again; what is done
    /// already is left as it is.
    pub(super) fn elect_again(&self, gone: &Endpoint, networks: &Networks) {
        if self.left_after(gone).is_empty() && gone.displaced.is_empty() {
            return;
        }
        let Some(netns) = life::open(gone) else { return };
        let mut inside = Kernel::open(Some(&netns));
        for v6 in [false, true] {
            let left = self.left_after(gone);
            let displaced = gone.displaced.iter().filter(|route| route.is_ipv6() == v6);
            let displaced: Vec<Displaced> = displaced.cloned().collect();
            let routes: Vec<Route> = match heir(gone, &left, &displaced, v6, networks) {
                Some(heir) => {
                    let mut after = Endpoint::clone(heir);
                    after.default_routes.set(v6, true);
                    let news = displaced.into_iter().filter(|one| !heir.displaced.contains(one));
                    after.displaced.extend(news);
                    if after != *heir {
                        self.rewrite(after);
                    }
                    route_of(heir, v6, networks).into_iter().collect()
                }
                None => displaced.iter().filter_map(Displaced::route).collect(),
            };
            if gone.default_routes.has(v6) {
                add(&mut inside, routes, gone);
            }
        }
    }

    fn left_after(&self, gone: &Endpoint) -> Vec<Arc<Endpoint>> {
        let mut left = self.index().in_sandbox(gone.sandbox());
        left.retain(|endpoint| endpoint.made && endpoint.id != gone.id);
        left
    }

    /// Of several endpoints of a container that say to give its default route, the one that was elected last
    /// does: a crash came between its file and the other's.
    pub(super) fn settle_all(&self) {
        let all: BTreeSet<Sandbox> = self.index().all().iter().map(|one| one.sandbox()).collect();
        for (sandbox, v6) in all.into_iter().flat_map(|one| [(one, false), (one, true)]) {
            let mut say_so = self.index().in_sandbox(sandbox);
            say_so.retain(|one| one.made && one.default_routes.has(v6));
            let winner = first(say_so.iter().map(|one| contender(one))).map(|first| &first.of.id);
            for loser in say_so.iter().filter(|one| winner != Some(&one.id)) {
                let mut loser = Endpoint::clone(loser);
                loser.default_routes.set(v6, false);
                self.rewrite(loser);
            }
        }
    }

    /// Writes an endpoint that has changed. Its file follows what is true in memory.
    pub(super) fn rewrite(&self, endpoint: Endpoint) {
        let written = self.files.write(&endpoint);
        let mut index = self.index();
        if let Err(error) = written {
            tracing::warn!(error = %cni::ErrorChain(&error), "an endpoint is not written down");
            index.owe(&endpoint);
        }
        index.replace(endpoint);
    }

    /// Writes those that could not be written before.
    pub(in crate::registry) fn write_again(&self) {
        let owed = self.index().owed();
        for endpoint in owed.iter().filter(|endpoint| endpoint.made) {
            let _hold = self.hold(endpoint.sandbox());
            let now = self.index().get(&endpoint.network, &endpoint.key());
            if let Some(now) = now.filter(|now| now.made) {
                self.rewrite(Endpoint::clone(&now));
            }
        }
    }
}

impl Change {
    fn lose(&mut self, holder: &Endpoint, v6: bool, networks: &Networks) {
        self.routes.extend(route_of(holder, v6, networks));
        let known = self.losers.iter_mut().find(|loser| loser.id == holder.id);
        match known {
            Some(known) => known.default_routes.set(v6, false),
            None => {
                let mut loser = holder.clone();
                loser.default_routes.set(v6, false);
                self.losers.push(loser);
            }
        }
    }
}

fn contender(endpoint: &Endpoint) -> Contender<&Endpoint> {
    Contender {
        priority: endpoint.gw_priority,
        families: endpoint.addresses.len(),
        network: endpoint.network_name.clone(),
        of: endpoint,
    }
}

/// Who gives a default route when an endpoint is gone: whoever does already, else the best of those that can.
/// What was there before any of them goes before one without a priority.
fn heir<'a>(
    gone: &Endpoint,
    left: &'a [Arc<Endpoint>],
    displaced: &[Displaced],
    v6: bool,
    networks: &Networks,
) -> Option<&'a Endpoint> {
    let all = left.iter().map(|one| &**one);
    let holder = all.clone().find(|endpoint| endpoint.default_routes.has(v6));
    if holder.is_some() || !gone.default_routes.has(v6) {
        return holder;
    }
    let able = all.filter(|one| route_of(one, v6, networks).is_some());
    let best = first(able.map(contender))?;
    (displaced.is_empty() || best.priority > 0).then_some(best.of)
}

/// The default route by an endpoint, if its network leads out.
fn route_of(endpoint: &Endpoint, v6: bool, networks: &Networks) -> Option<Route> {
    default_route(networks.get(&endpoint.network)?, endpoint, v6)
}

/// The default routes that a container has by others.
fn foreign(inside: &mut Kernel, v6: bool) -> Result<Vec<Route>, EndpointError> {
    let Some(link) = inside.default_route_link(&Ns::Container, v6)? else { return Ok(Vec::new()) };
    let mut scope = Scope { routes: true, ..Scope::default() };
    scope.links.insert(LinkRef { ns: Ns::Container, name: link });
    let observed = inside.observe(&scope)?;
    let routes = observed.0.ns(&Ns::Container).into_iter().flat_map(|there| &there.routes);
    let is_default = |route: &&Route| {
        route.dst.prefix() == 0 && route.dst.is_ipv6() == v6 && route.table == netstate::TABLE_MAIN
    };
    Ok(routes.filter(is_default).cloned().collect())
}

fn add(inside: &mut Kernel, routes: Vec<Route>, gone: &Endpoint) {
    let steps = routes.into_iter().map(|route| Step::ensure(Ns::Container, Op::AddRoute(route)));
    let plan = Plan { steps: steps.collect() };
    if let Some((step, error)) = inside.apply(&plan).failed {
        let command = step.command(&gone.netns.names());
        tracing::warn!(command, error = %cni::ErrorChain(&error), "a default route is not given");
    }
}
