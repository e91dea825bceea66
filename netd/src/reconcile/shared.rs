//! Peers of WireGuard that several leases are about: a host with two subnets has one key.

use netstate::{Op, Plan, WgPeer};

use super::work::Work;

impl Work {
    /// Whether a plan that was made for some leases touches what others want, too: only a look at all
    /// of them tells what the peer may send from.
    pub(super) fn touches_shared(&self, plan: &Plan) -> bool {
        let touched: Vec<(&WgPeer, usize)> =
            plan.steps.iter().filter_map(|step| about(&step.op)).collect();
        if touched.is_empty() {
            return false;
        }
        let claims = self.peers.wg_claims();
        touched.into_iter().any(|(peer, enough)| {
            claims.get(&(peer.link.clone(), peer.key)).is_some_and(|count| *count >= enough)
        })
    }
}

/// The peer that is changed, and how many leases must want it for it to be shared.
fn about(op: &Op) -> Option<(&WgPeer, usize)> {
    if let Op::AddWgPeer(peer) = op {
        Some((peer, 2))
    } else if let Op::DelWgPeer(peer) = op {
        Some((peer, 1))
    } else {
        None
    }
}
