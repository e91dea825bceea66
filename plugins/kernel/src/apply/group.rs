//! Removing several links at once: the wait at the end of a removal (`rcu_barrier()`, 12-30 ms) is
//! one for all links that one message removes.

use std::hash::{BuildHasher, Hasher, RandomState};

use netstate::{Ns, Op, Step};
use rustix::io::Errno;

use super::{Work, is_gone};
use crate::error::{Error, Refusal};
use crate::netlink::{Batch, Replies};
use crate::route::{self, rtm};

/// Puts the links into a group of their own (`IFLA_GROUP`) and removes the group; one by one where
/// that cannot be done.
pub(super) fn remove(work: &mut Work<'_>, ns: &Ns, steps: &[Step]) {
    let group = random_group();
    // RTM_SETLINK: by RTM_NEWLINK, kernels before 6.1 would take a message for a link that is gone
    // for one about the whole group.
    let mark = batch(steps, |name, batch| {
        batch.push(rtm::SETLINK, 0, &route::group(route::by_name(name), group));
    });
    let marked = match exchange(work, ns, mark) {
        Ok(replies) => replies.results,
        Err(error) => {
            if let Some(step) = steps.first() {
                work.fail(step, error);
            }
            return;
        }
    };
    let mut sweep = Batch::default();
    sweep.push(rtm::DELLINK, 0, &route::group(route::by_index(0), group));
    let swept = exchange(work, ns, sweep).is_ok_and(|replies| replies.first_refusal().is_none());
    let mut left = Vec::new();
    for (step, result) in steps.iter().zip(marked) {
        forget(work, ns, step);
        match result {
            Ok(()) if swept => work.answered(step, Ok(())),
            Err(refusal) if is_gone(&refusal) => work.answered(step, Err(refusal)),
            Ok(()) | Err(_) => left.push(step),
        }
    }
    for step in left {
        one(work, ns, step);
    }
}

fn one(work: &mut Work<'_>, ns: &Ns, step: &Step) {
    let single = batch(std::slice::from_ref(step), |name, batch| {
        batch.push(rtm::DELLINK, 0, &route::by_name(name));
    });
    match exchange(work, ns, single) {
        Ok(replies) => {
            let result = replies.results.into_iter().next();
            work.answered(step, result.unwrap_or(Err(Refusal::from(Errno::BADMSG))));
        }
        Err(error) => work.fail(step, error),
    }
}

fn batch(steps: &[Step], mut push: impl FnMut(&str, &mut Batch)) -> Batch {
    let mut batch = Batch::default();
    for step in steps {
        if let Op::DelLink(name) = &step.op {
            push(name.as_str(), &mut batch);
        }
    }
    batch
}

fn exchange(work: &mut Work<'_>, ns: &Ns, batch: Batch) -> Result<Replies, Error> {
    let socket = work.kernel.route(ns)?;
    socket.exchange(batch, 0).map_err(|e| Error::os("remove links", e))
}

fn forget(work: &mut Work<'_>, ns: &Ns, step: &Step) {
    if let Op::DelLink(name) = &step.op {
        // Only an unknown namespace fails, and that was asked before.
        let _ = work.kernel.forget_link(ns, name);
    }
}

fn random_group() -> u32 {
    // Administrators number groups from 0 up.
    let random = RandomState::new().build_hasher().finish().to_ne_bytes();
    let [a, b, c, ..] = random;
    u32::from_be_bytes([0x6e, a, b, c])
}
