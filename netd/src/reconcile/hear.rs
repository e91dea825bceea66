//! What the kernel's events mean: which peer to put again, whether to look at everything.

use std::time::Instant;

use kernel::events::Notice;

use super::burst::Burst;
use super::work::Work;

impl Work {
    /// Takes note of an event; nothing is changed yet.
    pub(super) fn notice(&mut self, notice: &Notice, burst: &mut Burst) {
        self.count(|counts| {
            counts.events += 1;
            counts.losses += u64::from(*notice == Notice::Anywhere);
        });
        self.hint(notice);
        match notice {
            // The first round looks at everything anyway.
            _ if !self.started => {}
            Notice::Anywhere => self.next_round = Instant::now(),
            Notice::Link(name) => {
                let overlay = &self.goal.overlay;
                if overlay.parent() == name || overlay.devices().any(|device| device == name) {
                    self.round_soon();
                }
            }
            Notice::Address(ip) => {
                if self.own.addrs.iter().any(|addr| addr.net.ip() == *ip) {
                    self.round_soon();
                }
            }
            Notice::Route(net) => match self.peers.based_at(net.network()) {
                Some(key) => drop(burst.again.insert(key)),
                None if self.own.routes.iter().any(|route| route.dst == *net) => self.round_soon(),
                None => {}
            },
            Notice::Neighbour(ip, mac) => {
                let Some(key) = self.peers.based_at(*ip) else { return };
                let neighs = self.peers.get(&key).map(|entry| &entry.wanted.neighs);
                let wanted = neighs.and_then(|all| all.iter().find(|n| n.ip == *ip));
                if wanted.is_some_and(|wanted| Some(wanted.mac) != *mac) {
                    burst.again.insert(key);
                }
            }
            Notice::Forwarding(mac, dst) => {
                let Some(key) = self.peers.at_mac(*mac) else { return };
                let entries = self.peers.get(&key).map(|entry| &entry.wanted.fdb);
                let wanted = entries.and_then(|all| all.iter().find(|e| e.mac == *mac));
                if wanted.is_some_and(|wanted| Some(wanted.dst) != *dst) {
                    burst.again.insert(key);
                }
            }
            Notice::Table => burst.traffic = true,
            Notice::NewAddress(_) => {}
        }
    }

    /// Tells who follows the interface between hosts that it may have changed.
    fn hint(&self, notice: &Notice) {
        let may_be = match notice {
            Notice::Anywhere | Notice::Address(_) | Notice::NewAddress(_) => true,
            Notice::Link(name) => self.goal.overlay.parent() == name,
            Notice::Route(net) => net.prefix() == 0,
            Notice::Neighbour(..) | Notice::Forwarding(..) | Notice::Table => false,
        };
        if may_be {
            self.telling.uplink.send_replace(());
        }
    }
}
