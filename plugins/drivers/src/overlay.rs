//! Overlay networks: on every host with containers a namespace of the network's own, with a bridge and a
//! VXLAN tunnel end for each of its segments.
//!
//! ```text
//! container            namespace of the network                    host
//!   eth0 -- veth pair -- port of br0, vxlan0 port of br0 ... UDP 4789 by the uplink
//! ```
//!
//! As in Docker nothing is learnt from other hosts and nothing is flooded to them: for each endpoint
//! elsewhere there is a permanent neighbour, by which the tunnel end answers ARP and neighbour discovery
//! in its place, and a forwarding entry that leads to its host. Two networks share no link, so whatever
//! addresses they have, they cannot meet. Frames come from hosts that are known to be on the network, or not
//! at all: the host's table sees to that.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netstate::nft::{Element, SetId, Value};
use netstate::{
    Desired, Fdb, Link, LinkKind, LinkName, LinkRef, Mac, NameError, Neigh, NetState, Ns, Scope,
    State, SysctlKey, Vxlan,
};

use crate::bridge::Standing;
use crate::encryption::{self, Peer};
use crate::ruleset::{self, Ip};
use crate::vxlan;

/// The UDP port of VXLAN (RFC 7348, section 5), which is Docker's too; flannel's tunnels have another.
pub const PORT: u16 = 4789;

/// What carries frames between hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Underlay {
    /// The interface.
    pub link: LinkName,
    /// Its address: what the other hosts send to, and the source of what is sent.
    pub address: IpAddr,
    /// Its MTU in bytes.
    pub mtu: u32,
}

/// One link-layer network of an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// VXLAN network identifier, 1 to 16,777,215.
    pub vni: u32,
    /// Its subnets.
    pub subnets: Vec<IpNetwork>,
    /// The addresses that its bridge has, on every host the same.
    pub gateways: Vec<IpNetwork>,
    /// Its bridge's link-layer address, on every host the same.
    pub mac: Mac,
}

/// What a network has on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// `ifalias` of its links: whose they are.
    pub alias: String,
    /// In the order of their numbers.
    pub segments: Vec<Segment>,
    /// The largest packet in bytes that its users want.
    pub mtu: Option<u32>,
    /// Whether there is IPv6 at all.
    pub has_ipv6: bool,
    /// Whether its frames go by WireGuard, and by nothing else.
    pub encrypted: bool,
}

/// An endpoint on another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remote {
    /// Its address on the network.
    pub address: IpAddr,
    /// Its link-layer address.
    pub mac: Mac,
    /// The address of its host; on an encrypted overlay the inner one.
    pub vtep: IpAddr,
    /// Who encrypts there; none on an overlay that is not encrypted.
    pub peer: Option<Peer>,
}

/// The largest packet in bytes that a container can send through an underlay.
#[must_use]
pub fn mtu(underlay: &Underlay, wanted: Option<u32>) -> u32 {
    let most = vxlan::mtu(underlay.mtu, Ip::of(underlay.address));
    wanted.map_or(most, |wanted| wanted.min(most))
}

/// The bridge of a segment in the network's namespace: `br0`, `br1`, ...
///
/// # Errors
/// Never in practice: nobody has so many subnets.
pub fn bridge(segment: usize) -> Result<LinkName, NameError> {
    LinkName::new(format!("br{segment}"))
}

/// The tunnel end of a segment: `vxlan0`, `vxlan1`, ...
///
/// # Errors
/// As [`bridge`].
pub fn tunnel(segment: usize) -> Result<LinkName, NameError> {
    LinkName::new(format!("vxlan{segment}"))
}

/// The link-layer address of a container by its address: wherever it comes up with it, its neighbours need
/// to learn nothing. Docker's for IPv4; for IPv6 of the interface identifier's end.
#[must_use]
pub fn mac(address: IpAddr) -> Mac {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            Mac([0x02, 0x42, a, b, c, d])
        }
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            Mac([0x02, 0x42, a, b, c, d])
        }
    }
}

impl Overlay {
    /// What is in the namespace without any endpoint; without an underlay no tunnel ends.
    ///
    /// # Errors
    /// As [`bridge`].
    pub fn desired(&self, underlay: Option<&Underlay>) -> Result<Desired, NameError> {
        let mut inside = NetState::default();
        inside.add_link(Link::new(LinkName::lo(), LinkKind::Loopback));
        let mtu = underlay.map(|underlay| mtu(underlay, self.mtu));
        for (number, segment) in self.segments.iter().enumerate() {
            let bridge = Standing {
                name: bridge(number)?,
                kind: LinkKind::Bridge { vlan_filtering: None },
                alias: self.alias.clone(),
                mac: Some(segment.mac),
                mtu,
                gateways: segment.gateways.clone(),
                apart: Vec::new(),
            };
            inside.join(bridge.desired(self.has_ipv6));
            if let Some(underlay) = underlay {
                inside.add_link(self.tunnel(number, segment, underlay, &bridge.name)?);
            }
        }
        if self.segments.len() > 1 {
            // From one subnet to another by its gateway.
            inside.sysctls.insert(SysctlKey::fixed("net/ipv4/ip_forward"), "1".to_owned());
        }
        Ok(Desired(State::of(Ns::Overlay, inside)))
    }

    /// What leads to endpoints on other hosts. One whose host is reached by another family of addresses than
    /// this one cannot be, and one that is in no subnet is of another time. Nothing of an encrypted overlay leads to
    /// an address that is no inner one.
    ///
    /// # Errors
    /// As [`bridge`].
    pub fn remotes<'r>(
        &self,
        underlay: &Underlay,
        remotes: impl IntoIterator<Item = &'r Remote>,
    ) -> Result<Desired, NameError> {
        let mut inside = NetState::default();
        let is_reached = |remote: &&Remote| {
            remote.vtep != underlay.address
                && remote.vtep.is_ipv4() == underlay.address.is_ipv4()
                && self.encrypted == encryption::is_inner(remote.vtep)
        };
        for remote in remotes.into_iter().filter(is_reached) {
            let Some(segment) = self.segment_of(remote.address) else { continue };
            let link = tunnel(segment)?;
            let (ip, mac, dst) = (remote.address, remote.mac, remote.vtep);
            inside.neighs.insert(Neigh { link: link.clone(), ip, mac });
            inside.fdb.insert(Fdb { link, mac, dst });
        }
        Ok(Desired(State::of(Ns::Overlay, inside)))
    }

    /// What lets nobody's frames in but those of [`Self::known`] on the host: it is there before the tunnel ends are.
    /// Those of an encrypted overlay come and go by the device that encrypts, or not at all.
    #[must_use]
    pub fn closed(&self) -> Desired {
        let mut host = NetState::default();
        for segment in &self.segments {
            host.add_element(ruleset::closed(), self.element(vec![Value::Vni(segment.vni)]));
            if self.encrypted {
                host.add_element(ruleset::sealed(), self.element(vec![Value::Vni(segment.vni)]));
            }
        }
        Desired(State::of(Ns::Host, host))
    }

    /// What lets the frames of hosts in that these endpoints are on. They may be of any segment: a host leads from
    /// one to the other.
    #[must_use]
    pub fn known<'r>(&self, remotes: impl IntoIterator<Item = &'r Remote>) -> Desired {
        let hosts: BTreeSet<IpAddr> = remotes.into_iter().map(|remote| remote.vtep).collect();
        let mut host = NetState::default();
        for address in hosts {
            for segment in &self.segments {
                let key = vec![Value::from(address), Value::Vni(segment.vni)];
                host.add_element(ruleset::known(Ip::of(address)), self.element(key));
            }
        }
        Desired(State::of(Ns::Host, host))
    }

    /// Where elements of [`Self::closed`] and [`Self::known`] are, in the order in which they go.
    #[must_use]
    pub fn sieves() -> [SetId; 4] {
        [ruleset::known(Ip::V4), ruleset::known(Ip::V6), ruleset::closed(), ruleset::sealed()]
    }

    /// What belongs to the network in its namespace: the links of [`Self::desired`] with what is on them.
    #[must_use]
    pub fn scope(desired: &Desired) -> Scope {
        Scope { routes: false, ..Scope::of(desired) }
    }

    /// The number of the segment that an address is in.
    #[must_use]
    pub fn segment_of(&self, address: IpAddr) -> Option<usize> {
        self.segments.iter().position(|segment| segment.has(address))
    }

    fn element(&self, key: Vec<Value>) -> Element {
        Element { key, data: Vec::new(), comment: self.alias.clone() }
    }

    fn tunnel(
        &self,
        number: usize,
        segment: &Segment,
        underlay: &Underlay,
        bridge: &LinkName,
    ) -> Result<Link, NameError> {
        let kind = LinkKind::Vxlan(Vxlan {
            id: segment.vni,
            port: Some(PORT),
            parent: Some(LinkRef { ns: Ns::Host, name: underlay.link.clone() }),
            local: Some(underlay.address),
            learning: false,
            gbp: false,
            proxy: true,
            tx_checksum: None,
        });
        Ok(Link {
            mtu: Some(mtu(underlay, self.mtu)),
            master: Some(bridge.clone()),
            alias: Some(self.alias.clone()),
            ..Link::new(tunnel(number)?, kind)
        })
    }
}

impl Segment {
    fn has(&self, address: IpAddr) -> bool {
        self.subnets.iter().any(|subnet| subnet.contains(address))
    }
}

#[cfg(test)]
mod tests;
