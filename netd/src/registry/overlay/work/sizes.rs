//! Containers whose packets have become too large: what carries them has changed since they were attached.

use super::Work;
use crate::registry::overlay::below::most;

/// How many are named.
const NAMED: usize = 5;

impl Work {
    /// Tells who sends packets that are lost between hosts, as long as nothing else is wrong. Interfaces in
    /// containers stay as they were made: what runs in them has set its connections up by that.
    pub(super) fn tell_sizes(&self) {
        if self.retry.is_some() {
            return;
        }
        let network = &self.at.network;
        match self.too_large() {
            None => self.at.troubles.clear(&network.id),
            Some(why) => {
                if self.at.troubles.put(network, &why) {
                    tracing::warn!(
                        netns = self.at.name,
                        why,
                        "packets of containers are too large"
                    );
                }
            }
        }
    }

    fn too_large(&self) -> Option<String> {
        let underlay = self.uplink.as_ref()?;
        let most = most(underlay, &self.at.network);
        let most = self.spec.mtu.map_or(most, |wanted| wanted.min(most));
        let all = self.members.endpoints.of_network(&self.at.network.id);
        let is_larger = |mtu: &u32| *mtu > most;
        let mtu = |one: &crate::endpoint::Endpoint| one.overlay.as_ref().map(|on| on.mtu);
        let larger = all.iter().filter(|one| mtu(one).as_ref().is_some_and(is_larger));
        let mut names: Vec<&str> = larger.map(|one| one.name()).collect();
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        names.truncate(NAMED);
        let link = &underlay.link;
        (!names.is_empty()).then(|| {
            format!(
                "interface {link} has an MTU of {}, which leaves {most} bytes for a container's packets, and {}{more} \
                 had more when they were attached: larger packets of theirs are lost on the way to other hosts; \
                 start them anew, or raise it",
                underlay.mtu,
                names.join(", ")
            )
        })
    }
}
