//! Steps about links and what is on them, gathered into as few batches as names allow.

use std::ops::Range;

use netlink_packet_core::Emitable;
use netstate::{LinkChange, LinkName, Mode, Ns, Op, Step};

use super::{Work, devconf, generic, group, link};
use crate::error::Error;
use crate::netlink::{Batch, flag};
use crate::route::{self, Changes, rtm};

/// A batch stays well below what a socket can queue of answers, were all of it refused.
const MESSAGES: usize = 128;

pub(super) fn run(work: &mut Work<'_>, ns: &Ns, steps: &[Step]) {
    let mut run = Run { work, ns, batch: Batch::default(), entries: Vec::new() };
    let mut rest = steps;
    while let Some(step) = rest.first() {
        let removals = rest.iter().take_while(|s| matches!(s.op, Op::DelLink(_))).count();
        let taken = removals.clamp(1, MESSAGES);
        let (now, after) = rest.split_at(taken);
        if taken > 1 {
            run.flush();
            group::remove(run.work, ns, now);
        } else if let Err(error) = run.step(step) {
            run.flush();
            run.work.fail(step, error);
        }
        if run.batch.len() >= MESSAGES {
            run.flush();
        }
        if run.work.stopped {
            break;
        }
        rest = after;
    }
    run.flush();
}

/// Messages not sent yet, and the steps they are of.
pub(super) struct Run<'w, 'k, 's> {
    pub(super) work: &'w mut Work<'k>,
    pub(super) ns: &'s Ns,
    batch: Batch,
    entries: Vec<Entry<'s>>,
}

struct Entry<'s> {
    step: &'s Step,
    messages: Range<usize>,
    /// The step was acknowledged before; these messages complete it.
    reported: bool,
}

impl<'s> Run<'_, '_, 's> {
    /// Sends what is gathered and reports on it.
    pub(super) fn flush(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return;
        }
        let sent = self.work.kernel.route(self.ns).and_then(|socket| {
            socket.exchange(batch, 0).map_err(|e| Error::os("send to the kernel", e))
        });
        let replies = match sent {
            Ok(replies) => replies,
            Err(error) => {
                for entry in entries.iter().filter(|entry| !entry.reported) {
                    self.work.perhaps_done(entry.step);
                }
                if let Some(entry) = entries.first() {
                    self.work.fail(entry.step, error);
                }
                return;
            }
        };
        for entry in entries {
            let results = replies.results.get(entry.messages).unwrap_or_default();
            match results.iter().find_map(|r| r.clone().err()) {
                None if entry.reported => {}
                None => self.work.answered(entry.step, Ok(())),
                Some(refusal) => self.work.answered(entry.step, Err(refusal)),
            }
        }
    }

    /// Adds a message of a step.
    pub(super) fn push(&mut self, step: &'s Step, kind: u16, flags: u16, body: &impl Emitable) {
        let message = self.batch.push(kind, flags, body);
        match self.entries.last_mut() {
            Some(entry) if std::ptr::eq(entry.step, step) => entry.messages.end = message + 1,
            _ => {
                let messages = message..message + 1;
                self.entries.push(Entry { step, messages, reported: false });
            }
        }
    }

    /// The messages gathered last complete a step that has been reported as done.
    pub(super) fn mark_reported(&mut self, step: &'s Step) {
        if let Some(entry) = self.entries.last_mut().filter(|e| std::ptr::eq(e.step, step)) {
            entry.reported = true;
        }
    }

    /// The index of a link; what is gathered is sent before it is asked for.
    pub(super) fn index(&mut self, name: &LinkName) -> Result<Option<u32>, Error> {
        if let Some(index) = self.work.kernel.known_index(self.ns, name)? {
            return Ok(Some(index));
        }
        self.flush();
        self.work.kernel.index(self.ns, name)
    }

    /// Adds the messages that make changes to a link whose index is known, or needs not be.
    pub(super) fn changes(
        &mut self,
        step: &'s Step,
        name: &LinkName,
        changes: &[LinkChange],
    ) -> Result<(), Error> {
        let (mut master, mut parent) = (None, None);
        for change in changes {
            if let LinkChange::Master(Some(bridge)) = change {
                master = self.index(bridge)?;
                if master.is_none() {
                    self.work.no_link(step, bridge);
                    return Ok(());
                }
            }
            if let LinkChange::Parent(at) = change {
                self.flush();
                parent = self.work.kernel.index(&at.ns, &at.name)?;
                if parent.is_none() {
                    self.work.no_link(step, &at.name);
                    return Ok(());
                }
            }
        }
        let has_vlans =
            |c: &LinkChange| matches!(c, LinkChange::AddVlan(_) | LinkChange::DelVlan(_));
        let index = if changes.iter().any(has_vlans) {
            self.index(name)?
        } else {
            self.work.kernel.known_index(self.ns, name)?
        };
        let target = index.map_or_else(|| route::by_name(name.as_str()), route::by_index);
        let changes = Changes::new(&target, changes, (master, parent));
        for message in &changes.links {
            self.push(step, rtm::NEWLINK, 0, message);
        }
        if !changes.generic.is_empty() {
            let set_alone = changes.links.is_empty() && matches!(step.op, Op::SetLink { .. });
            self.flush();
            if generic::set(self.work, self.ns, step, name, &changes.generic) && set_alone {
                self.work.done(step, true, None);
            }
        }
        let lists = [(rtm::DELLINK, changes.del_vlans), (rtm::SETLINK, changes.add_vlans)];
        for (kind, vlans) in lists.into_iter().filter(|(_, vlans)| !vlans.is_empty()) {
            match index {
                Some(index) => self.push(step, kind, 0, &route::vlans(index, &vlans)),
                None => self.work.no_link(step, name),
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &'s Step) -> Result<(), Error> {
        const NEW: u16 = flag::CREATE | flag::EXCL;
        let replace = step.mode == Mode::Replace;
        let put = if replace { flag::CREATE | flag::REPLACE } else { NEW };
        match &step.op {
            Op::AddLink { link, peer } => return link::add(self, step, link, peer.as_ref()),
            Op::SetLink { name, changes } => return self.changes(step, name, changes),
            Op::DelLink(name) => self.del_link(step, name)?,
            Op::AddAddr(a) => {
                self.on_link(step, rtm::NEWADDR, NEW, &a.link, |i| route::addr(i, a))?;
            }
            Op::DelAddr(a) => {
                self.on_link(step, rtm::DELADDR, 0, &a.link, |i| route::addr(i, a))?
            }
            Op::AddRoute(r) => {
                // Of several default routes the last one made wins, as with the reference
                // plugins: only the very same route twice is refused.
                let flags = if step.mode == Mode::Fresh { flag::CREATE } else { NEW };
                self.route(step, rtm::NEWROUTE, flags, r)?;
            }
            Op::DelRoute(r) => self.route(step, rtm::DELROUTE, 0, r)?,
            Op::AddNeigh(n) => {
                self.on_link(step, rtm::NEWNEIGH, put, &n.link, |i| route::neigh(i, n))?;
            }
            Op::DelNeigh(n) => {
                self.on_link(step, rtm::DELNEIGH, 0, &n.link, |i| route::neigh(i, n))?;
            }
            Op::AddFdb(f) => {
                let flags = if f.is_list() { flag::CREATE | flag::APPEND } else { put };
                self.on_link(step, rtm::NEWNEIGH, flags, &f.link, |i| route::fdb(i, f))?;
            }
            Op::DelFdb(f) => self.on_link(step, rtm::DELNEIGH, 0, &f.link, |i| route::fdb(i, f))?,
            Op::AddRule(r) => self.push(step, rtm::NEWRULE, NEW, &route::rule(r)),
            Op::DelRule(r) => self.push(step, rtm::DELRULE, 0, &route::rule(r)),
            Op::SetSysctl { .. } => {
                if let Some((link, conf)) = devconf::of_newborn(self.work, step) {
                    self.on_link(step, rtm::NEWLINK, 0, &link, |i| route::ipv4_conf(i, conf))?;
                }
            }
            // Other families never get here.
            Op::AddWgPeer(_)
            | Op::DelWgPeer(_)
            | Op::AddTable(_)
            | Op::DelTable(_)
            | Op::AddChain { .. }
            | Op::AddSet { .. }
            | Op::InsertRule { .. }
            | Op::DelRuleOf { .. }
            | Op::FlushChain(_)
            | Op::AddElement { .. }
            | Op::DelElement { .. } => {}
        }
        Ok(())
    }

    fn del_link(&mut self, step: &'s Step, name: &LinkName) -> Result<(), Error> {
        self.work.kernel.forget_link(self.ns, name)?;
        self.push(step, rtm::DELLINK, 0, &route::by_name(name.as_str()));
        Ok(())
    }

    fn route(
        &mut self,
        step: &'s Step,
        kind: u16,
        flags: u16,
        route: &netstate::Route,
    ) -> Result<(), Error> {
        match &route.dev {
            Some(dev) => {
                self.on_link(step, kind, flags, dev, |i| route::route(Some(i), route))?;
            }
            None => self.push(step, kind, flags, &route::route(None, route)),
        }
        Ok(())
    }

    fn on_link<M: Emitable>(
        &mut self,
        step: &'s Step,
        kind: u16,
        flags: u16,
        link: &LinkName,
        message: impl FnOnce(u32) -> M,
    ) -> Result<(), Error> {
        match self.index(link)? {
            Some(index) => self.push(step, kind, flags, &message(index)),
            None => self.work.no_link(step, link),
        }
        Ok(())
    }
}
