//! Tunnel ends of the simulated kernel.

use super::{Fault, Sim};
use crate::link::{Link, LinkChange, LinkKind, LinkRef};
use crate::tunnel::{Ipip, Vxlan};

/// What encapsulation takes of the parent's MTU (`VXLAN_HEADROOM` and `VXLAN6_HEADROOM`,
/// `include/net/vxlan.h`).
const HEADROOM: u32 = 50;
const HEADROOM6: u32 = 70;

impl Sim {
    pub(super) fn check_new_tunnel(&self, vxlan: &Vxlan) -> Result<(), Fault> {
        if vxlan.id >= 1 << 24 {
            return Err(Fault::Invalid("the VNI has more than 24 bits"));
        }
        if vxlan.parent.as_ref().is_some_and(|parent| self.state.link(parent).is_none()) {
            return Err(Fault::NoLink);
        }
        let rival = |(_, other): (_, &Link)| match &other.kind {
            LinkKind::Vxlan(v) => {
                v.id == vxlan.id && v.port == vxlan.port.or(Some(8472)) && {
                    v.parent == vxlan.parent && is_v6(v) == is_v6(vxlan)
                }
            }
            LinkKind::Loopback
            | LinkKind::Bridge { .. }
            | LinkKind::Veth { .. }
            | LinkKind::MacVlan { .. }
            | LinkKind::IpVlan(_)
            | LinkKind::Vlan { .. }
            | LinkKind::Ipip(_)
            | LinkKind::WireGuard(_)
            | LinkKind::Other(_) => false,
        };
        if self.state.links().any(rival) {
            return Err(Fault::Exists);
        }
        Ok(())
    }

    /// Of two tunnel ends of a namespace with the same addresses no packet could tell which is meant
    /// (`ip_tunnel_find()`, `net/ipv4/ip_tunnel.c`).
    pub(super) fn check_ipip(&self, at: &LinkRef, ipip: &Ipip) -> Result<(), Fault> {
        let rival = |(other, link): (LinkRef, &Link)| {
            other.ns == at.ns && other != *at && link.kind == LinkKind::Ipip(ipip.clone())
        };
        if self.state.links().any(rival) { Err(Fault::Exists) } else { Ok(()) }
    }

    /// The other address stays.
    pub(super) fn check_source(&self, at: &LinkRef, change: &LinkChange) -> Result<(), Fault> {
        match (self.state.link(at).map(|link| &link.kind), change) {
            (Some(LinkKind::Ipip(ipip)), LinkChange::Source(ip)) => {
                self.check_ipip(at, &Ipip { local: Some(*ip), ..ipip.clone() })
            }
            _ => Err(Fault::NotSupported("not an IPIP link")),
        }
    }

    /// What can be changed, and to what (`vxlan_nl2conf()`, `drivers/net/vxlan/vxlan_core.c`).
    pub(super) fn check_tunnel_change(
        &self,
        link: &Link,
        change: &LinkChange,
    ) -> Result<(), Fault> {
        let LinkKind::Vxlan(vxlan) = &link.kind else {
            return Err(Fault::NotSupported("not a VXLAN link"));
        };
        if let LinkChange::Local(ip) = change
            && ip.is_ipv6() != is_v6(vxlan)
        {
            return Err(Fault::NotSupported("the local address is of another family"));
        }
        if let LinkChange::Parent(parent) = change
            && self.state.link(parent).is_none()
        {
            return Err(Fault::NoLink);
        }
        Ok(())
    }

    /// The largest MTU of a link of this kind, where its parent bounds it.
    pub(super) fn mtu_limit(&self, kind: &LinkKind) -> Option<u32> {
        let parent = self.state.link(kind.parent()?)?.mtu?;
        Some(match kind {
            LinkKind::Vxlan(vxlan) if is_v6(vxlan) => parent.saturating_sub(HEADROOM6),
            LinkKind::Vxlan(_) => parent.saturating_sub(HEADROOM),
            LinkKind::MacVlan { .. }
            | LinkKind::IpVlan(_)
            | LinkKind::Vlan { .. }
            | LinkKind::Loopback
            | LinkKind::Bridge { .. }
            | LinkKind::Veth { .. }
            | LinkKind::Ipip(_)
            | LinkKind::WireGuard(_)
            | LinkKind::Other(_) => parent,
        })
    }
}

/// The family of outer packets, which is that of the link's own address.
pub(super) fn is_v6(vxlan: &Vxlan) -> bool {
    vxlan.local.is_some_and(|ip| ip.is_ipv6())
}
