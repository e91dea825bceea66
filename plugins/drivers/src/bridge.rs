//! The bridge driver: a bridge on the host, a veth pair per container.
//!
//! The bridge, its gateway addresses and its VLAN gateways are shared by all attachments of the
//! host and outlive them; the veth pair belongs to one attachment.

mod port;
mod standing;

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netstate::{
    Addr, Link, LinkChange, LinkKind, LinkName, LinkRef, Mac, Ns, Observed, Op, Plan, Scope, Step,
    SysctlKey, VlanRange,
};

use crate::Owner;

pub use port::{Port, PortVlans};
pub use standing::Standing;

/// `ifalias` of a bridge that was made by this project, whose address is therefore fixed.
pub const BRIDGE_ALIAS: &str = "netd:bridge";

/// The host side that all attachments of a bridge network share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Its name.
    pub name: LinkName,
    /// MTU in bytes, where it has to be made; the kernel's default otherwise.
    pub mtu: Option<u32>,
    /// The address it gets where it has to be made: set at birth it stays, whichever ports come.
    pub new_mac: Mac,
    /// Promiscuous.
    pub promisc: bool,
    /// Sort frames by VLAN.
    pub vlan_filtering: bool,
    /// Addresses this host has on the network.
    pub gateways: Vec<IpNetwork>,
    /// The VLAN the gateway addresses are on, behind a link of its own.
    pub gateway_vlan: Option<VlanGateway>,
    /// An address that is in the way is removed, not an error.
    pub force_address: bool,
}

/// The host's leg in a VLAN of the bridge: a veth pair in the host, one end a port of the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VlanGateway {
    /// `<bridge>.<vlan>`, which holds the addresses.
    pub name: LinkName,
    /// The end that is a port.
    pub port: LinkName,
    /// The VLAN.
    pub vlan: u16,
}

/// Why a bridge that is there cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// Another kind of link has the name.
    #[error("\"{name}\" already exists but is not a bridge: choose another \"bridge\" name")]
    NotABridge {
        /// The name.
        name: LinkName,
    },
    /// It has another address of the family (IPv4), or an overlapping one (IPv6).
    #[error(
        "\"{name}\" already has an IP address different from {wanted}: {found} (set \
         \"forceAddress\": true to replace it)"
    )]
    OtherAddress {
        /// The link that has it.
        name: LinkName,
        /// What it should have.
        wanted: IpNetwork,
        /// What it has.
        found: IpNetwork,
    },
}

impl Bridge {
    /// The link that holds the gateway addresses.
    #[must_use]
    pub fn gateway_link(&self) -> &LinkName {
        self.gateway_vlan.as_ref().map_or(&self.name, |v| &v.name)
    }

    /// What has to be looked at before [`Bridge::ensure`].
    #[must_use]
    pub fn scope(&self) -> Scope {
        let mut scope = Scope::default();
        let mut link = |name: &LinkName| {
            scope.links.insert(LinkRef { ns: Ns::Host, name: name.clone() });
        };
        link(&self.name);
        if let Some(vlan) = &self.gateway_vlan {
            link(&vlan.name);
        }
        scope
    }

    /// What is still missing of the shared side.
    ///
    /// # Errors
    /// [`BridgeError`] where what is there is in the way; nothing has been changed.
    pub fn ensure(&self, observed: &Observed) -> Result<Plan, BridgeError> {
        let host = observed.0.ns(&Ns::Host);
        let there = host.and_then(|h| h.links.get(&self.name));
        let mut ops = match there {
            None => self.create(),
            Some(link) => self.adjust(link)?,
        };
        if let Some(vlan) = &self.gateway_vlan
            && host.is_none_or(|h| !h.links.contains_key(&vlan.name))
        {
            ops.extend(vlan.create(self));
        }
        let addrs = host.into_iter().flat_map(|h| &h.addrs);
        let addrs: Vec<&Addr> = addrs.filter(|a| a.link == *self.gateway_link()).collect();
        for gateway in &self.gateways {
            ops.extend(self.address(*gateway, &addrs)?);
        }
        Ok(Plan { steps: ops.into_iter().map(|op| Step::ensure(Ns::Host, op)).collect() })
    }

    fn create(&self) -> Vec<Op> {
        let kind = LinkKind::Bridge { vlan_filtering: self.vlan_filtering.then_some(true) };
        let link = Link {
            mtu: self.mtu,
            mac: Some(self.new_mac),
            promisc: self.promisc,
            alias: Some(BRIDGE_ALIAS.to_owned()),
            ..Link::new(self.name.clone(), kind)
        };
        let mut ops = vec![Op::AddLink { link, peer: None }, no_router_advertisements(&self.name)];
        if self.gateway_vlan.is_none() {
            ops.extend(self.no_detection());
        }
        ops
    }

    /// The link-local address of what holds the gateway addresses is good at once: without it the
    /// kernel asks for no neighbour, and for 1 to 2 s no packet from elsewhere would reach a
    /// container over IPv6 (`ndisc_send_ns()`, net/ipv6/ndisc.c). For a link that is new.
    fn no_detection(&self) -> Option<Op> {
        let any = self.gateways.iter().any(IpNetwork::is_ipv6);
        any.then(|| off(self.gateway_link(), "accept_dad"))
    }

    fn adjust(&self, link: &Link) -> Result<Vec<Op>, BridgeError> {
        let LinkKind::Bridge { vlan_filtering } = link.kind else {
            return Err(BridgeError::NotABridge { name: self.name.clone() });
        };
        let mut changes = Vec::new();
        if !link.up {
            changes.push(LinkChange::Up(true));
        }
        if self.promisc && !link.promisc {
            changes.push(LinkChange::Promisc(true));
        }
        if self.vlan_filtering && vlan_filtering != Some(true) {
            changes.push(LinkChange::VlanFiltering(true));
        }
        let mut ops = Vec::new();
        let ours = link.alias.as_deref() == Some(BRIDGE_ALIAS);
        if !ours && !self.gateways.is_empty() {
            // Setting the address it has keeps it, whichever ports come (br_stp_recalculate_
            // bridge_id(), net/bridge/br_stp_if.c); and only the first time costs a message.
            changes.extend(link.mac.map(LinkChange::Mac));
            if link.alias.is_none() {
                changes.push(LinkChange::Alias(BRIDGE_ALIAS.to_owned()));
            }
            ops.push(no_router_advertisements(&self.name));
        }
        if !changes.is_empty() {
            ops.insert(0, Op::SetLink { name: self.name.clone(), changes });
        }
        Ok(ops)
    }

    fn address(&self, wanted: IpNetwork, there: &[&Addr]) -> Result<Vec<Op>, BridgeError> {
        if there.iter().any(|a| a.net == wanted) {
            return Ok(Vec::new());
        }
        let link = self.gateway_link().clone();
        let mut ops = Vec::new();
        for other in there.iter().filter(|a| in_the_way(a.net, wanted)) {
            if self.gateways.contains(&other.net) {
                continue;
            }
            if !self.force_address {
                return Err(BridgeError::OtherAddress { name: link, wanted, found: other.net });
            }
            ops.push(Op::DelAddr((*other).clone()));
        }
        ops.push(Op::AddAddr(Addr::new(link, wanted)));
        Ok(ops)
    }
}

impl VlanGateway {
    fn create(&self, bridge: &Bridge) -> Vec<Op> {
        let end = LinkRef { ns: Ns::Host, name: self.name.clone() };
        let port = Link {
            master: Some(bridge.name.clone()),
            ..Link::new(self.port.clone(), LinkKind::Veth { peer: end.clone() })
        };
        let pvid = VlanRange { first: self.vlan, last: self.vlan, pvid: true, untagged: true };
        let changes = vec![LinkChange::DelVlan(every_vlan()), LinkChange::AddVlan(pvid)];
        let peer = Some(netstate::PeerInit { link: end, mac: None, mtu: None });
        let mut ops = vec![
            Op::AddLink { link: port, peer },
            Op::SetLink { name: self.port.clone(), changes },
            no_router_advertisements(&self.name),
        ];
        ops.extend(bridge.no_detection());
        ops.push(Op::SetLink { name: self.name.clone(), changes: vec![LinkChange::Up(true)] });
        ops
    }
}

/// Every VLAN: a port of a filtering bridge gets `vlan_default_pvid` at birth, which is 1 unless the
/// bridge's owner has set another.
fn every_vlan() -> VlanRange {
    VlanRange { first: 1, last: 4094, pvid: false, untagged: false }
}

/// The reference's rule: a second IPv4 address is always in the way, an IPv6 address only where
/// the networks overlap; link-local ones are the kernel's own.
fn in_the_way(there: IpNetwork, wanted: IpNetwork) -> bool {
    match (there, wanted) {
        (IpNetwork::V4(_), IpNetwork::V4(_)) => true,
        (IpNetwork::V6(a), IpNetwork::V6(b)) => {
            !a.ip().is_unicast_link_local() && (a.contains(b.ip()) || b.contains(a.ip()))
        }
        (IpNetwork::V4(_), IpNetwork::V6(_)) | (IpNetwork::V6(_), IpNetwork::V4(_)) => false,
    }
}

/// Containers must not configure the host by router advertisements (CVE-2020-10749). A bridge that
/// was there, and that the host is no gateway of, is left as it is: it may be the host's own way
/// out, and its routes learnt from a router.
fn no_router_advertisements(link: &LinkName) -> Op {
    off(link, "accept_ra")
}

/// Turns an IPv6 key off, on a host that has IPv6.
fn off(link: &LinkName, key: &str) -> Op {
    Op::SetSysctl { key: SysctlKey::conf("ipv6", link, key), value: "0".to_owned(), optional: true }
}

/// Name of the port behind a VLAN gateway link: the same for all attachments of the bridge.
///
/// # Errors
/// Never in practice: the name is always valid.
pub fn vlan_port(gateway: &LinkName) -> Result<LinkName, netstate::NameError> {
    let owner = Owner {
        network: String::new(),
        container_id: "vlan gateway".to_owned(),
        ifname: gateway.to_string(),
    };
    owner.host_link()
}

/// The first address after the network's own: the gateway where IPAM names none.
#[must_use]
pub fn default_gateway(net: IpNetwork) -> IpAddr {
    match net {
        IpNetwork::V4(n) => {
            IpAddr::V4(std::net::Ipv4Addr::from_bits(n.network().to_bits().wrapping_add(1)))
        }
        IpNetwork::V6(n) => {
            IpAddr::V6(std::net::Ipv6Addr::from_bits(n.network().to_bits().wrapping_add(1)))
        }
    }
}

#[cfg(test)]
mod tests;
