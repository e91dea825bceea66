//! Peers of WireGuard links: what goes and what comes.

use std::collections::BTreeSet;

use super::order::Phase;
use super::planner::Planner;
use crate::link::LinkRef;
use crate::name::Ns;
use crate::op::Op;
use crate::state::NetState;

impl Planner<'_> {
    /// Peers that are not wanted, and are on a link that stays.
    pub(super) fn del_wg_peers(&mut self, ns: &Ns, dying: &BTreeSet<LinkRef>) {
        let Some(have) = self.work.ns(ns) else { return };
        let wanted = self.want.ns(ns).map(|want| &want.wg_peers);
        let unwanted = have
            .wg_peers
            .iter()
            .filter(|(id, _)| !wanted.is_some_and(|wanted| wanted.contains_key(id)))
            .filter(|(_, peer)| self.content_goes(ns, &peer.link, dying, false));
        let gone: Vec<_> = unwanted.map(|(id, peer)| (id.clone(), peer.clone())).collect();
        for (id, peer) in gone {
            self.work.ns_mut(ns.clone()).wg_peers.remove(&id);
            self.push(Phase::DelNeighs, ns, Op::DelWgPeer(peer));
        }
    }

    /// A peer is put in the place of the one of its key in one message.
    pub(super) fn add_wg_peers(&mut self, ns: &Ns, want: &NetState) {
        for (id, peer) in &want.wg_peers {
            let work = self.work.ns_mut(ns.clone());
            if work.wg_peers.get(id).is_some_and(|have| have.is(peer)) {
                continue;
            }
            work.put_wg_peer(peer.clone());
            let is_ours = self.owns_content_of(ns, &peer.link);
            self.push_replacing(Phase::Neighs, ns, Op::AddWgPeer(peer.clone()), is_ours);
        }
    }
}
