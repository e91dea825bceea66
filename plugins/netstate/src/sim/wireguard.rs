//! Peers of WireGuard links of the simulated kernel.

use super::link::NO_WIREGUARD;
use super::{Fault, Outcome, Sim};
use crate::link::{LinkKind, LinkRef};
use crate::name::Ns;
use crate::op::Op;
use crate::wireguard::WgPeer;

impl Sim {
    /// The kernel does not mind whether it is there (`set_peer()`, `drivers/net/wireguard/netlink.c`).
    pub(super) fn add_wg_peer(&mut self, ns: &Ns, peer: &WgPeer) -> Result<Outcome, Fault> {
        let at = LinkRef { ns: ns.clone(), name: peer.link.clone() };
        let link = self.state.link(&at).ok_or(Fault::NoLink)?;
        if !matches!(link.kind, LinkKind::WireGuard(_)) {
            return Err(Fault::NotSupported(NO_WIREGUARD));
        }
        let space = self.space(ns);
        let before = space.wg_peers.get(&(peer.link.clone(), peer.key)).cloned();
        if before.as_ref() == Some(peer) {
            return Ok(Outcome::SAME);
        }
        // What is not said of the endpoint stays.
        let known = before.as_ref().and_then(|before| before.endpoint);
        space.put_wg_peer(WgPeer { endpoint: peer.endpoint.or(known), ..peer.clone() });
        let undo = before.map(Op::AddWgPeer);
        Ok(Outcome { changed: true, undo })
    }

    pub(super) fn del_wg_peer(&mut self, ns: &Ns, peer: &WgPeer) -> Outcome {
        let gone = self.space(ns).wg_peers.remove(&(peer.link.clone(), peer.key));
        gone.map_or(Outcome::SAME, |gone| Outcome::undone_by(Op::AddWgPeer(gone)))
    }
}
