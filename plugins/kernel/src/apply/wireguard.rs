//! WireGuard's settings and peers: one message each, as many in a batch as the kernel takes.

use netstate::{LinkChange, LinkName, Ns, Op, Step};

use super::Work;
use crate::error::Error;
use crate::netlink::{Batch, Replies};
use crate::wireguard;

/// As of rtnetlink: the answers must fit into the socket were all refused.
const MESSAGES: usize = 128;

pub(super) fn run(work: &mut Work<'_>, ns: &Ns, steps: &[Step]) {
    for part in steps.chunks(MESSAGES) {
        if work.stopped {
            return;
        }
        let sent = exchange(work, ns, |family, batch| {
            for step in part {
                batch.push_with(family, 0, |out| write(step, out));
            }
        });
        match sent {
            Ok(replies) => {
                for (step, result) in part.iter().zip(replies.results) {
                    work.answered(step, result);
                }
            }
            Err(error) => {
                part.iter().for_each(|step| work.perhaps_done(step));
                if let Some(step) = part.first() {
                    work.fail(step, error);
                }
            }
        }
    }
}

/// Sets a device, which completes a step; gives whether that worked, and tells where it did not.
pub(super) fn set(
    work: &mut Work<'_>,
    ns: &Ns,
    step: &Step,
    name: &LinkName,
    changes: &[LinkChange],
) -> bool {
    let sent = exchange(work, ns, |family, batch| {
        batch.push_with(family, 0, |out| wireguard::set_device(name, changes, out));
    });
    let refused = match sent {
        Ok(replies) => {
            replies.first_refusal().map(|(_, r)| Error::refused(step.to_string(), r.clone()))
        }
        Err(error) => Some(error),
    };
    let worked = refused.is_none();
    if let Some(error) = refused {
        work.fail(step, error);
    }
    worked
}

fn write(step: &Step, out: &mut Vec<u8>) {
    if let Op::AddWgPeer(peer) = &step.op {
        wireguard::put_peer(peer, out);
    } else if let Op::DelWgPeer(peer) = &step.op {
        wireguard::remove_peer(peer, out);
    }
}

fn exchange(
    work: &mut Work<'_>,
    ns: &Ns,
    fill: impl FnOnce(u16, &mut Batch),
) -> Result<Replies, Error> {
    let family = work.kernel.wireguard_family(ns)?;
    let mut batch = Batch::default();
    fill(family, &mut batch);
    work.kernel.generic(ns)?.exchange(batch, 0).map_err(|e| Error::os("set up WireGuard", e))
}
