//! What the kernel tells of the network's namespace.

use std::net::IpAddr;
use std::time::Instant;

use drivers::overlay::{self, Remote};
use kernel::events::Notice;
use netstate::{LinkName, Mac};

use super::{Look, SETTLING, Work};

impl Work {
    /// Takes note of what an event is about; it is looked at a little later.
    pub(super) fn notice(&mut self, notice: &Notice) {
        let look = match notice {
            Notice::Anywhere => Some(Look::Everything),
            Notice::Link(name) | Notice::Port(name) if self.is_own(name) => Some(Look::Links),
            Notice::Address(ip) if self.is_gateway(*ip) => Some(Look::Links),
            Notice::Neighbour(ip, mac) => {
                self.differs(|one| one.address == *ip, |one| *mac == Some(one.mac))
            }
            Notice::Forwarding(mac, to) => self.differs_at(*mac, *to),
            Notice::Link(_) | Notice::Port(_) => {
                if self.members.notice(notice, &mut self.touched) {
                    self.due.get_or_insert_with(|| Instant::now() + SETTLING);
                }
                None
            }
            Notice::Address(_)
            | Notice::NewAddress(_)
            | Notice::Route(_)
            | Notice::Table
            | Notice::Element(_)
            | Notice::Chain
            | Notice::NotForwarding
            | Notice::NamespaceGone => None,
        };
        if look.is_some() {
            self.look = self.look.max(look);
            self.due.get_or_insert_with(|| Instant::now() + SETTLING);
        }
    }

    fn is_own(&self, name: &LinkName) -> bool {
        let mut numbers = 0..self.spec.segments.len();
        numbers.any(|number| {
            let own = [overlay::bridge(number), overlay::tunnel(number)];
            own.iter().flatten().any(|own| own == name)
        })
    }

    fn is_gateway(&self, ip: IpAddr) -> bool {
        self.spec.segments.iter().flat_map(|one| &one.gateways).any(|net| net.ip() == ip)
    }

    fn differs_at(&self, mac: Mac, to: Option<IpAddr>) -> Option<Look> {
        self.differs(|one| one.mac == mac, |one| to == Some(one.vtep))
    }

    /// What is told of an endpoint that is nobody's does not matter.
    fn differs(
        &self,
        is_meant: impl Fn(&Remote) -> bool,
        is_right: impl Fn(&Remote) -> bool,
    ) -> Option<Look> {
        let remotes = self.remotes.iter().flatten();
        let wrong = remotes.filter(|one| is_meant(one)).any(|one| !is_right(one));
        wrong.then_some(Look::Everything)
    }
}
