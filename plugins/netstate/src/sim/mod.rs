//! An in-memory kernel, for tests of plans and of whatever runs on a [`Datapath`].
//!
//! It refuses what Linux refuses and takes along what Linux takes along (module `cascade`). It does
//! not forward packets, choose source addresses, or hold what the kernel makes by itself:
//! connected, local and link-local routes and addresses, default sysctls. A bridge does not take
//! its address or MTU from its ports, and every VLAN filtering attribute is supported.

mod at;
mod content;
mod error;
mod link;
mod nft;
mod observe;
#[cfg(test)]
mod tests;
mod tunnel;
mod wireguard;

use std::collections::BTreeMap;

pub use error::{Fault, SimError};

use crate::addr::Addr;
use crate::datapath::Datapath;
use crate::link::{Link, LinkKind, LinkRef};
use crate::name::{LinkName, Ns};
use crate::op::{Mode, Op, Step};
use crate::plan::Plan;
use crate::report::{Done, Report};
use crate::scope::Scope;
use crate::state::{Observed, State};

/// The simulated kernel.
#[derive(Debug, Clone)]
pub struct Sim {
    state: State,
    /// Addresses in the order in which they came: it decides which are secondary.
    addrs: Vec<(Ns, Addr)>,
    indexes: BTreeMap<LinkRef, u32>,
    last_index: u32,
    /// Steps until the one that fails.
    fail_in: Option<usize>,
    in_batches: bool,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    changed: bool,
    undo: Option<Op>,
}

impl Default for Sim {
    /// Two namespaces as the kernel makes them: with `lo` alone, down.
    fn default() -> Self {
        let mut state = State::default();
        for ns in [Ns::Host, Ns::Container] {
            let lo = Link::new(LinkName::lo(), LinkKind::Loopback);
            state.ns_mut(ns).add_link(Link { up: false, mtu: Some(65536), ..lo });
        }
        Self::new(state)
    }
}

impl Sim {
    /// A kernel with this state; of several IPv4 addresses in a subnet the lowest is primary.
    #[must_use]
    pub fn new(state: State) -> Self {
        let addrs = state
            .iter()
            .flat_map(|(ns, state)| state.addrs.iter().map(|addr| (ns.clone(), addr.clone())))
            .collect();
        let mut sim = Self {
            state,
            addrs,
            indexes: BTreeMap::new(),
            last_index: 0,
            fail_in: None,
            in_batches: false,
        };
        let links: Vec<LinkRef> = sim.state.links().map(|(at, _)| at).collect();
        for at in links {
            sim.give_index(at);
        }
        sim
    }

    /// What is there.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Changes the state behind everybody's back, as an administrator does.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// Lets the step with this number fail, counted from 0 and across plans, without an effect.
    pub fn fail_at(&mut self, step: usize) {
        self.fail_in = Some(step);
    }

    /// Whether the steps after a failed one still run while they are in its namespace, as the rest
    /// of a netlink batch does.
    pub fn set_in_batches(&mut self, in_batches: bool) {
        self.in_batches = in_batches;
    }

    fn step(&mut self, step: &Step) -> Result<Outcome, Fault> {
        if self.fails_now() {
            return Err(Fault::Injected);
        }
        let (ns, mode) = (&step.ns, step.mode);
        match &step.op {
            Op::AddLink { link, peer } => self.add_link(ns, link, peer.as_ref(), mode),
            Op::SetLink { name, changes } => self.set_link(ns, name, changes),
            Op::DelLink(name) => self.del_link(ns, name),
            Op::AddAddr(addr) => self.add_addr(ns, addr, mode),
            Op::DelAddr(addr) => Ok(self.del_addr(ns, addr)),
            Op::AddRoute(route) => self.add_route(ns, route, mode),
            Op::DelRoute(route) => Ok(self.del_route(ns, route)),
            Op::AddNeigh(neigh) => self.add_neigh(ns, neigh, mode),
            Op::DelNeigh(neigh) => Ok(self.del_neigh(ns, neigh)),
            Op::AddFdb(entry) => self.add_fdb(ns, entry, mode),
            Op::DelFdb(entry) => Ok(Outcome::of(self.space(ns).fdb.remove(entry))),
            Op::AddWgPeer(peer) => self.add_wg_peer(ns, peer),
            Op::DelWgPeer(peer) => Ok(self.del_wg_peer(ns, peer)),
            Op::AddRule(rule) => self.add_rule(ns, rule, mode),
            Op::DelRule(rule) => Ok(Outcome::of(self.space(ns).rules.remove(rule))),
            Op::SetSysctl { key, value, optional } => self.set_sysctl(ns, key, value, *optional),
            Op::AddTable(table) => self.add_table(ns, table, mode),
            Op::DelTable(id) => Ok(self.del_table(ns, id)),
            Op::AddChain { table, chain } => self.add_chain(ns, table, chain, mode),
            Op::AddSet { table, set } => self.add_set(ns, table, set, mode),
            Op::InsertRule { chain, rule } => self.insert_rule(ns, chain, rule, mode),
            Op::DelRuleOf { chain, rule } => Ok(self.del_rule_of(ns, chain, rule)),
            Op::FlushChain(chain) => Ok(self.flush_chain(ns, chain)),
            Op::AddElement { set, element } => self.add_element(ns, set, element, mode),
            Op::DelElement { set, element } => Ok(self.del_element(ns, set, element)),
        }
    }

    fn fails_now(&mut self) -> bool {
        let left = self.fail_in;
        self.fail_in = left.and_then(|left| left.checked_sub(1));
        left == Some(0)
    }

    fn space(&mut self, ns: &Ns) -> &mut crate::state::NetState {
        self.state.ns_mut(ns.clone())
    }

    fn give_index(&mut self, at: LinkRef) -> u32 {
        self.last_index = self.last_index.saturating_add(1);
        self.indexes.insert(at, self.last_index);
        self.last_index
    }
}

impl Datapath for Sim {
    type Error = SimError;

    fn observe(&mut self, scope: &Scope) -> Result<Observed, SimError> {
        Ok(Observed(observe::observe(&self.state, scope)))
    }

    fn apply(&mut self, plan: &Plan) -> Report<SimError> {
        let mut report = Report::default();
        let mut failed_in: Option<&Ns> = None;
        for step in &plan.steps {
            if failed_in.is_some_and(|ns| !self.in_batches || *ns != step.ns) {
                break;
            }
            match self.step(step) {
                Ok(Outcome { changed, undo }) => {
                    report.links.extend(self.facts_of(step));
                    report.done.push(Done { step: step.clone(), changed, undo });
                }
                Err(fault) => {
                    if !step.op.is_removal() {
                        failed_in = Some(&step.ns);
                    }
                    let error = SimError { command: step.to_string(), fault };
                    report.failed.get_or_insert_with(|| (step.clone(), error));
                }
            }
        }
        report
    }
}

impl Outcome {
    const SAME: Self = Self { changed: false, undo: None };
    const NEW: Self = Self { changed: true, undo: None };

    fn of(changed: bool) -> Self {
        Self { changed, undo: None }
    }

    fn undone_by(op: Op) -> Self {
        Self { changed: true, undo: Some(op) }
    }
}

/// How it is taken that something is there already.
fn exists(mode: Mode, is_what_was_asked_for: bool) -> Result<Outcome, Fault> {
    match mode {
        Mode::Fresh => Err(Fault::Exists),
        Mode::Ensure | Mode::Replace if is_what_was_asked_for => Ok(Outcome::SAME),
        Mode::Ensure | Mode::Replace => Err(Fault::Differs),
    }
}
