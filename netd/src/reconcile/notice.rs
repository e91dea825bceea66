//! What events of the kernel call for.

use std::time::Instant;

use ipnetwork::IpNetwork;
use kernel::events::Notice;
use netstate::NetState;

use super::burst::Burst;
use super::places::Place;
use super::work::Work;
use crate::underlay;

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
            Notice::Route(net) => match self.peers.holder(Place::Route(*net)) {
                Some(key) => drop(burst.again.insert(key)),
                None if self.own.routes.iter().any(|route| route.dst == *net) => self.round_soon(),
                None if self.opens_a_way(*net) => self.round_soon(),
                None => {}
            },
            Notice::Neighbour(ip, mac) => {
                let place = Place::Neighbour(*ip);
                let there = |wanted: &NetState| wanted.neighs.iter().all(|n| Some(n.mac) == *mac);
                self.put_again_unless(place, there, burst);
            }
            Notice::Forwarding(mac, dst) => {
                let there = |wanted: &NetState| wanted.fdb.iter().all(|e| Some(e.dst) == *dst);
                for v6 in [false, true] {
                    self.put_again_unless(Place::Forwarding { mac: *mac, v6 }, there, burst);
                }
            }
            Notice::Table => burst.traffic = true,
            Notice::Chain => burst.forward = true,
            // These are not asked for.
            Notice::NewAddress(_)
            | Notice::Port(_)
            | Notice::Element(_)
            | Notice::NotForwarding
            | Notice::NamespaceGone => {}
        }
    }

    /// Whether a route by which hosts are reached makes another way to them the right one, or lets
    /// through what was refused for want of it.
    fn opens_a_way(&self, net: IpNetwork) -> bool {
        let in_need = self.asks_ways || self.peers.next_due().is_some();
        in_need && self.peers.has_host_in(net)
    }

    /// Tells who follows the interface between hosts that it may have changed.
    fn hint(&self, notice: &Notice) {
        let may_be = underlay::may_change(notice, |name| self.goal.overlay.parent() == name);
        if may_be {
            self.telling.uplink.send_replace(());
        }
    }

    /// The peer whose entry is in a place is to be put there again, unless that entry is there.
    fn put_again_unless(
        &self,
        place: Place,
        is_there: impl Fn(&NetState) -> bool,
        burst: &mut Burst,
    ) {
        let Some(key) = self.peers.holder(place) else { return };
        if self.peers.get(&key).is_some_and(|entry| !is_there(&entry.at(place))) {
            burst.again.insert(key);
        }
    }
}
