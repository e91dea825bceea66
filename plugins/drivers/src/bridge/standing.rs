//! A link that stands by itself, as the bridge of a network: it belongs to a network of the agent's, not
//! to attachments, so the agent makes it, keeps it as it should be, and removes it.

use ipnetwork::IpNetwork;
use netstate::{Addr, Link, LinkKind, LinkName, LinkRef, Mac, NetState, Ns, Scope, SysctlKey};

use crate::ruleset::Ip;

/// The host's side of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The link.
    pub name: LinkName,
    /// What it is.
    pub kind: LinkKind,
    /// `ifalias`: whose it is.
    pub alias: String,
    /// Its link-layer address, the same whichever ports come, and after a restart; of one without, it
    /// is that of the link below.
    pub mac: Option<Mac>,
    /// In bytes; without one it follows its ports, or the link below.
    pub mtu: Option<u32>,
    /// The host's addresses on it.
    pub gateways: Vec<IpNetwork>,
    /// The protocols in which whoever is on it does not reach the host by it, at no address.
    pub apart: Vec<Ip>,
}

impl Standing {
    /// The link with all that is on it.
    #[must_use]
    pub fn desired(&self, has_ipv6: bool) -> NetState {
        let mut state = self.addresses();
        state.add_link(Link {
            mtu: self.mtu,
            mac: self.mac,
            alias: Some(self.alias.clone()),
            ..Link::new(self.name.clone(), self.kind.clone())
        });
        if self.kind.takes_parent() {
            // It asks and answers for the containers alone: whoever else asks for the host's addresses
            // is answered by the parent.
            let key = SysctlKey::conf("ipv4", &self.name, "arp_filter");
            state.sysctls.insert(key, "1".to_owned());
        }
        if self.apart.contains(&Ip::V4) {
            // Without an address of its own it would be asked for those of the host's other links: 8 is
            // no answer at all (Documentation/networking/ip-sysctl.rst).
            state.sysctls.insert(SysctlKey::conf("ipv4", &self.name, "arp_ignore"), "8".to_owned());
        }
        let carries_ipv6 = crate::carries_ipv6(self.mtu);
        if has_ipv6 && self.apart.contains(&Ip::V6) {
            // The link-local address would be one of the host's, too.
            if carries_ipv6 {
                let key = SysctlKey::conf("ipv6", &self.name, "disable_ipv6");
                state.sysctls.insert(key, "1".to_owned());
            }
        } else if has_ipv6 {
            // As on a bridge of plugin `bridge`: containers configure no host (CVE-2020-10749), and
            // the link-local address is good at once. A host may have IPv6 off for new links.
            let of_v6: &[&str] = match self.gateways.iter().any(IpNetwork::is_ipv6) {
                true => &["disable_ipv6", "accept_ra", "accept_dad"],
                false if carries_ipv6 => &["accept_ra"],
                false => &[],
            };
            for key in of_v6 {
                let key = SysctlKey::conf("ipv6", &self.name, key);
                state.sysctls.insert(key, "0".to_owned());
            }
        }
        state
    }

    /// The host's addresses alone, on a link that is somebody else's.
    #[must_use]
    pub fn addresses(&self) -> NetState {
        let mut state = NetState::default();
        let addresses = self.gateways.iter().map(|net| Addr::new(self.name.clone(), *net));
        state.addrs.extend(addresses);
        state
    }

    /// Adds to a scope what belongs to it, or is to be looked at for it.
    pub fn scope(&self, has_ipv6: bool, scope: &mut Scope) {
        scope.links.insert(LinkRef { ns: Ns::Host, name: self.name.clone() });
        let keys = self.desired(has_ipv6).sysctls.into_keys();
        scope.sysctls.extend(keys.map(|key| (Ns::Host, key)));
    }
}

#[cfg(test)]
mod tests {
    use netstate::sim::Sim;
    use netstate::{Datapath, Desired, Plan, State};

    use super::*;

    fn standing() -> Standing {
        Standing {
            name: LinkName::fixed("br-0123456789ab"),
            kind: LinkKind::Bridge { vlan_filtering: None },
            alias: "netd:network:0123456789ab".to_owned(),
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            mtu: Some(1400),
            gateways: vec!["172.30.1.1/24".parse().unwrap()],
            apart: Vec::new(),
        }
    }

    fn on_host(content: NetState) -> Desired {
        Desired(State::of(Ns::Host, content))
    }

    #[test]
    fn what_was_changed_of_a_bridge_is_put_right_and_nothing_is_done_to_one_that_is_right() {
        let (mut sim, standing) = (Sim::default(), standing());
        let desired = on_host(standing.desired(false));
        let mut scope = Scope::default();
        standing.scope(false, &mut scope);
        let difference = |sim: &mut Sim| {
            let seen = sim.observe(&scope).unwrap();
            Plan::between(&seen, &desired, &scope)
        };
        let plan = difference(&mut sim);
        assert!(sim.apply(&plan).failed.is_none());
        assert!(difference(&mut sim).is_empty());
        let other = Standing { mtu: Some(1300), gateways: vec![], ..standing.clone() };
        let worse =
            Plan::between(&sim.observe(&scope).unwrap(), &on_host(other.desired(false)), &scope);
        assert!(sim.apply(&worse).failed.is_none());
        assert_eq!(difference(&mut sim).steps.len(), 2);
    }
}
