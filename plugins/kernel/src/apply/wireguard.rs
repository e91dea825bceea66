//! WireGuard's peers: one message each, as many in a batch as the kernel takes.

use netstate::{Ns, Op, Step};

use super::Work;
use super::generic::exchange;
use crate::wireguard;

/// As of rtnetlink: the answers must fit into the socket were all refused.
const MESSAGES: usize = 128;

pub(super) fn run(work: &mut Work<'_>, ns: &Ns, steps: &[Step]) {
    for part in steps.chunks(MESSAGES) {
        if work.stopped {
            return;
        }
        let sent = exchange(work, ns, wireguard::FAMILY, |family, batch| {
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

fn write(step: &Step, out: &mut Vec<u8>) {
    if let Op::AddWgPeer(peer) = &step.op {
        wireguard::put_peer(peer, out);
    } else if let Op::DelWgPeer(peer) = &step.op {
        wireguard::remove_peer(peer, out);
    }
}
