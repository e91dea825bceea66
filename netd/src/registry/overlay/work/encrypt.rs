//! What is below tunnel ends: the interface between hosts, or what encrypts on it.

use std::collections::BTreeSet;

use drivers::encryption::Peer;
use drivers::overlay::Underlay;

use super::Work;

impl Work {
    /// What tunnel ends are on.
    pub(super) fn below(&self) -> Option<Underlay> {
        let uplink = self.uplink.as_ref()?;
        if self.spec.encrypted { self.at.encryption.inner(uplink) } else { Some(uplink.clone()) }
    }

    /// Looks at what encrypts, and puts it right.
    pub(super) fn settle_encryption(&mut self) -> Result<(), String> {
        let (true, Some(uplink)) = (self.spec.encrypted, &self.uplink) else { return Ok(()) };
        let peers = self.peers();
        self.at.encryption.settle(&mut self.kernel, &self.at.network.id, uplink, peers)
    }

    /// Whose frames are encrypted is told what is known by now.
    pub(super) fn encrypt(&mut self) -> Result<(), String> {
        let (true, Some(peers)) = (self.spec.encrypted, self.peers()) else { return Ok(()) };
        self.at.encryption.put(&mut self.kernel, &self.at.network.id, peers)
    }

    /// The network is no more here.
    pub(super) fn end_encryption(&mut self) -> Result<(), String> {
        let ends = self.spec.encrypted;
        if ends { self.at.encryption.leave(&mut self.kernel, &self.at.network.id) } else { Ok(()) }
    }

    /// Who encrypts for the endpoints elsewhere; none where nobody has said yet who those are.
    fn peers(&self) -> Option<BTreeSet<Peer>> {
        Some(self.remotes.as_ref()?.iter().filter_map(|remote| remote.peer).collect())
    }
}
