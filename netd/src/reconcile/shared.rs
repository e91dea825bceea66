//! Peers of WireGuard that several leases are about: a host with two subnets has one key.

use netstate::{Op, Plan};

use super::work::Work;

impl Work {
    /// Whether a plan that was made for some leases touches what others want, too: only a look at all
    /// of them tells what the peer may send from.
    pub(super) fn touches_shared(&self, plan: &Plan) -> bool {
        plan.steps.iter().any(|step| {
            let (peer, enough) = if let Op::AddWgPeer(peer) = &step.op {
                (peer, 2)
            } else if let Op::DelWgPeer(peer) = &step.op {
                (peer, 1)
            } else {
                return false;
            };
            self.peers.wanting(&(peer.link.clone(), peer.key)) >= enough
        })
    }
}
