//! What the thread does.

mod encrypt;
mod end;
mod hear;
mod order;
mod sieve;
mod sizes;
mod tell;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cni::ErrorChain;
use drivers::overlay::{Overlay, Remote, Underlay};
use kernel::events::{Events, Own};
use kernel::{Kernel, PinError};
use netstate::{Datapath, Desired, LinkKind, Ns, NsNames, Op, Plan, Scope, Step};

use crate::reconcile::Entrance;
use crate::reconcile::inbox::Inbox;
use crate::reconcile::retry::Retry;
use crate::registry::keeper::{Members, Touched};

use super::below::fitting;

pub(super) use end::end_leftover;
pub(super) use order::{Order, Place};
pub(super) use sieve::end_sieves;

/// After an event others of the same cause follow.
const SETTLING: Duration = Duration::from_millis(10);

/// What is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    /// Links and addresses.
    Links,
    /// What leads to other hosts, too: it costs by their number.
    Everything,
}

/// The thread's state.
pub(super) struct Work {
    at: Place,
    spec: Overlay,
    kernel: Kernel,
    names: NsNames,
    members: Members,
    /// The interface between hosts.
    uplink: Option<Underlay>,
    /// Nobody has said yet where there is `None`.
    remotes: Option<BTreeSet<Remote>>,
    /// What something happened to, and when it is looked at.
    look: Option<Look>,
    /// Whether what lets frames in is looked at then.
    rules: bool,
    touched: Touched,
    due: Option<Instant>,
    resync: Duration,
    next_round: Instant,
    retry: Option<Retry>,
}

impl Work {
    /// Listens in the network's namespace from now on.
    pub(super) fn new(
        at: Place,
        spec: Overlay,
        members: Members,
        resync: Duration,
        thread: &str,
    ) -> Result<(Entrance<Order>, Inbox<Order>, Self), String> {
        let mut kernel = Kernel::open(None).with_overlay(&at.netns);
        // The thread is not known by its name here: changes of its own are looked at, and are right.
        let listen = || Events::open(Own::default());
        let events = kernel.inside(&Ns::Overlay, listen).map_err(|error| text(&error))?;
        let events = events.map_err(|error| format!("listen in its namespace: {error}"))?;
        let (orders, inbox) =
            Inbox::new(Some(events)).map_err(|error| format!("{thread}: {error}"))?;
        let overlay = at.pins.path(&at.name).to_string_lossy().into_owned();
        let names = NsNames { overlay, ..NsNames::default() };
        // A thread's sockets are its own.
        let kernel = Kernel::open(None).with_overlay(&at.netns);
        let work = Self {
            touched: Touched { overlay: Some(at.network.id.clone()), ..Touched::default() },
            at,
            spec,
            kernel,
            names,
            members,
            uplink: None,
            remotes: None,
            look: None,
            rules: false,
            due: None,
            resync,
            next_round: Instant::now() + resync,
            retry: None,
        };
        Ok((orders, inbox, work))
    }

    /// What was told before.
    pub(super) fn know(&mut self, uplink: Option<Underlay>, remotes: Option<Vec<Remote>>) {
        self.uplink = uplink;
        self.remotes = remotes.map(|remotes| remotes.into_iter().collect());
    }

    pub(super) fn run(&mut self, inbox: &mut Inbox<Order>) {
        loop {
            inbox.wait(self.pause());
            for order in inbox.inputs() {
                match order {
                    Order::Underlay(uplink) => {
                        if self.uplink.as_ref() != Some(&uplink) {
                            self.uplink = Some(uplink);
                            self.next_round = Instant::now();
                        }
                    }
                    Order::Remotes(remotes) => self.put_remotes(remotes.into_iter().collect()),
                    Order::Rules => {
                        self.rules = true;
                        self.due.get_or_insert_with(|| Instant::now() + SETTLING);
                    }
                    Order::Encryption if !self.spec.encrypted => {}
                    Order::Encryption => {
                        self.next_round = self.next_round.min(Instant::now() + SETTLING);
                    }
                    Order::Sizes => self.tell_sizes(),
                    Order::Settle(answer) => drop(answer.send(self.round())),
                    Order::End(answer) => return drop(answer.send(self.end())),
                    Order::Leave => return,
                }
            }
            inbox.notices().iter().for_each(|notice| self.notice(notice));
            self.act();
        }
    }

    fn pause(&self) -> Duration {
        let due = self.due.map_or(self.next_round, |due| due.min(self.next_round));
        due.saturating_duration_since(Instant::now())
    }

    /// By what is known of before: nothing is read.
    fn put_remotes(&mut self, remotes: BTreeSet<Remote>) {
        let Some(before) = self.remotes.replace(remotes) else {
            // What is there is not known.
            self.next_round = Instant::now();
            return;
        };
        let after = self.remotes.clone().unwrap_or_default();
        let encrypted = self.encrypt();
        let with_known = |remotes| {
            let mut wanted = self.wanted(remotes)?;
            wanted.0.join(self.spec.known(remotes).0);
            Ok::<_, String>(wanted)
        };
        let updated = encrypted.and_then(|()| with_known(&before));
        let updated = updated.and_then(|before| Ok((before, with_known(&after)?)));
        let updated =
            updated.and_then(|(before, after)| self.apply(&Plan::update(&before, &after)));
        if let Err(reason) = updated {
            self.note(&Err(reason));
        }
    }

    fn act(&mut self) {
        let now = Instant::now();
        if self.next_round <= now {
            let _ = self.round();
        } else if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            let (look, rules) = (self.look.take(), std::mem::take(&mut self.rules));
            let sieved = if rules { self.sieve() } else { Ok(()) };
            let settled = sieved.and_then(|()| look.map_or(Ok(()), |look| self.settle(look)));
            let settled = settled.and_then(|()| self.repair());
            if settled.is_err() {
                self.note(&settled);
            }
        }
    }

    /// Looks at everything.
    fn round(&mut self) -> Result<(), String> {
        self.next_round = Instant::now() + self.resync;
        (self.due, self.look, self.rules) = (None, None, false);
        self.touched.everything = true;
        let settled = self.pin().and_then(|()| self.sieve());
        let settled = settled.and_then(|()| self.settle(Look::Everything));
        let settled = settled.and_then(|()| self.repair());
        self.note(&settled);
        settled
    }

    /// By the mount the namespace outlives the agent.
    fn pin(&self) -> Result<(), String> {
        let Place { name, pins, netns, .. } = &self.at;
        let is_there = || -> Result<bool, PinError> {
            let there = pins.open(name)?;
            there.map_or(Ok(false), |there| Ok(there.is_same(netns)?))
        };
        match is_there() {
            Ok(true) => Ok(()),
            Ok(false) => pins.pin(name, netns).map_err(|error| text(&error)),
            Err(error) => Err(text(&error)),
        }
    }

    /// What there is to be with these endpoints elsewhere.
    fn wanted(&self, remotes: &BTreeSet<Remote>) -> Result<Desired, String> {
        let below = self.below();
        let mut wanted = self.spec.desired(below.as_ref()).map_err(|error| text(&error))?;
        if let Some(below) = &below {
            let remotes = self.spec.remotes(below, remotes).map_err(|error| text(&error))?;
            wanted.0.join(remotes.0);
        }
        Ok(wanted)
    }

    fn settle(&mut self, look: Look) -> Result<(), String> {
        let settled = self.put_right(look);
        // On a bridge that was made anew nobody listens.
        self.at.dns.put_namespace(self.at.network.id.as_str(), &self.at.netns);
        settled
    }

    fn put_right(&mut self, look: Look) -> Result<(), String> {
        if let Some(uplink) = &self.uplink {
            fitting(uplink, self.spec.mtu, &self.at.network)?;
            self.settle_encryption()?;
        }
        let with_remotes = look == Look::Everything && self.uplink.is_some();
        let remotes = self.remotes.clone().filter(|_| with_remotes);
        let wanted = self.wanted(remotes.as_ref().unwrap_or(&BTreeSet::new()))?;
        let scope = Scope { neighbours: remotes.is_some(), ..Overlay::scope(&wanted) };
        self.kernel.forget();
        let seen = self.kernel.observe(&scope).map_err(|error| text(&error))?;
        let plan = Plan::between(&seen, &wanted, &scope);
        let born: Vec<&LinkKind> = plan.steps.iter().filter_map(made).collect();
        let has_new = |is: fn(&LinkKind) -> bool| born.iter().any(|kind| is(kind));
        let are_bridges_new = has_new(|kind| matches!(kind, LinkKind::Bridge { .. }));
        let are_tunnels_new = has_new(|kind| matches!(kind, LinkKind::Vxlan(_)));
        self.apply(&plan)?;
        if are_bridges_new {
            // Nobody is on a new bridge.
            self.touched.networks.insert(self.at.network.id.clone());
        }
        if are_tunnels_new && look == Look::Links {
            return self.put_right(Look::Everything);
        }
        Ok(())
    }

    /// Puts right what containers have here.
    fn repair(&mut self) -> Result<(), String> {
        let fresh = Touched { overlay: Some(self.at.network.id.clone()), ..Touched::default() };
        let touched = std::mem::replace(&mut self.touched, fresh);
        self.members.repair(&mut self.kernel, &touched)
    }
}

/// The kind of a link that a step makes.
fn made(step: &Step) -> Option<&LinkKind> {
    if let Op::AddLink { link, .. } = &step.op { Some(&link.kind) } else { None }
}

fn text(error: &dyn std::error::Error) -> String {
    ErrorChain(error).to_string()
}
