//! Links of the simulated kernel.

use std::mem::discriminant;

use super::{Fault, Outcome, Sim, exists};
use crate::cascade::IPV6_MIN_MTU;
use crate::link::{BridgePort, Link, LinkChange, LinkKind, LinkRef, PeerInit};
use crate::name::{LinkName, Mac, Ns};
use crate::op::{Mode, Op, Step};
use crate::plan::compare::{Rigour, link_changes, same_kind};
use crate::report::LinkFacts;
use crate::tunnel::Vxlan;

/// `macvlan_change_mtu()`, `drivers/net/macvlan.c`.
const LARGER_THAN_PARENT: &str = "the MTU is larger than the parent's";

pub(super) const NO_WIREGUARD: &str = "not a WireGuard link";

/// `ether_setup()`, `net/ethernet/eth.c`.
const ETHERNET_MTU: u32 = 1500;

impl Sim {
    pub(super) fn add_link(
        &mut self,
        ns: &Ns,
        link: &Link,
        peer: Option<&PeerInit>,
        mode: Mode,
    ) -> Result<Outcome, Fault> {
        let at = LinkRef { ns: ns.clone(), name: link.name.clone() };
        if let Some(have) = self.state.link(&at) {
            let same = same_kind(&have.kind, &link.kind)
                && link_changes(have, link, Rigour::Contained).is_empty();
            return exists(mode, same);
        }
        self.check_new_link(&at, link, peer)?;
        let mut born = Link { kind: with_defaults(&link.kind), ..link.clone() };
        let index = self.give_index(at.clone());
        born.mac = born.mac.or(link.kind.is_ethernet().then(|| random_mac(index)));
        born.mtu = Some(self.mtu_at_birth(link));
        born.port = born.master.as_ref().map(|_| BridgePort::as_born());
        self.space(ns).add_link(born.clone());
        for change in born.changes_to(&Link { port: link.port.clone(), ..born.clone() }) {
            self.state.change_link(&at, &change);
        }
        if let Some(peer) = peer {
            let index = self.give_index(peer.link.clone());
            let end = Link {
                up: false,
                mac: peer.mac.or(Some(random_mac(index))),
                mtu: peer.mtu.or(Some(ETHERNET_MTU)),
                ..Link::new(peer.link.name.clone(), LinkKind::Veth { peer: at })
            };
            self.space(&peer.link.ns).add_link(end);
        }
        Ok(Outcome::NEW)
    }

    pub(super) fn set_link(
        &mut self,
        ns: &Ns,
        name: &LinkName,
        changes: &[LinkChange],
    ) -> Result<Outcome, Fault> {
        let at = LinkRef { ns: ns.clone(), name: name.clone() };
        let before = self.state.link(&at).cloned().ok_or(Fault::NoLink)?;
        for change in changes {
            self.check_change(&at, change)?;
            self.state.change_link(&at, change);
        }
        self.forget_lost_addrs();
        let after = self.state.link(&at).ok_or(Fault::NoLink)?;
        if *after == before {
            return Ok(Outcome::SAME);
        }
        let mut undo = after.changes_to(&before);
        if before.alias.is_none() && after.alias.is_some() {
            undo.push(LinkChange::Alias(String::new()));
        }
        Ok(Outcome::undone_by(Op::SetLink { name: name.clone(), changes: undo }))
    }

    pub(super) fn del_link(&mut self, ns: &Ns, name: &LinkName) -> Result<Outcome, Fault> {
        let at = LinkRef { ns: ns.clone(), name: name.clone() };
        let Some(link) = self.state.link(&at) else { return Ok(Outcome::SAME) };
        if !link.kind.is_made() {
            return Err(Fault::NotSupported("this link cannot be removed"));
        }
        self.state.drop_link(&at);
        self.forget_lost_addrs();
        let state = &self.state;
        self.indexes.retain(|at, _| state.link(at).is_some());
        Ok(Outcome::NEW)
    }

    /// What the kernel chose for the links that a step names.
    pub(super) fn facts_of(&self, step: &Step) -> Vec<(LinkRef, LinkFacts)> {
        let Op::AddLink { link, .. } = &step.op else { return Vec::new() };
        let own = LinkRef { ns: step.ns.clone(), name: link.name.clone() };
        let peer = step.op.peer().map(|peer| peer.link.clone());
        let facts = |at: LinkRef| {
            let link = self.state.link(&at)?;
            let index = self.indexes.get(&at).copied()?;
            let (mac, mtu) = (link.mac.unwrap_or(Mac([0; 6])), link.mtu.unwrap_or(0));
            Some((at, LinkFacts { index, mac, mtu }))
        };
        [Some(own), peer].into_iter().flatten().filter_map(facts).collect()
    }

    fn check_new_link(
        &self,
        at: &LinkRef,
        link: &Link,
        peer: Option<&PeerInit>,
    ) -> Result<(), Fault> {
        if let Some(master) = &link.master {
            self.check_can_be_port(at, &link.kind)?;
            self.check_bridge(&at.ns, master)?;
        }
        match (&link.kind, peer) {
            (LinkKind::Veth { peer: named }, Some(peer)) => {
                if peer.link != *named || peer.link == *at {
                    Err(Fault::Invalid("the far end is not the one named"))
                } else if self.state.link(&peer.link).is_some() {
                    Err(Fault::Exists)
                } else {
                    Ok(())
                }
            }
            (LinkKind::Veth { .. }, None) => Err(Fault::Invalid("a veth needs a far end")),
            (_, Some(_)) => Err(Fault::Invalid("only a veth has a far end")),
            (LinkKind::MacVlan { .. } | LinkKind::IpVlan(_) | LinkKind::Vlan { .. }, None) => {
                self.check_parent(link)
            }
            (LinkKind::Vxlan(vxlan), None) => self.check_new_tunnel(vxlan),
            (LinkKind::Ipip(ipip), None) => self.check_ipip(at, ipip),
            (LinkKind::WireGuard(_), None) => Ok(()),
            (LinkKind::Bridge { .. } | LinkKind::Loopback | LinkKind::Other(_), None) => {
                let made = link.kind.is_made();
                if made { Ok(()) } else { Err(Fault::NotSupported("this link cannot be made")) }
            }
        }
    }

    fn check_parent(&self, link: &Link) -> Result<(), Fault> {
        let parent = link.kind.lower().ok_or(Fault::NoLink)?;
        let rival = |(_, other): (_, &Link)| {
            other.kind.takes_parent() && discriminant(&other.kind) != discriminant(&link.kind)
        };
        let is_taken = link.kind.takes_parent() && self.state.children_of(parent).any(rival);
        let parent = self.state.link(parent).ok_or(Fault::NoLink)?;
        if parent.kind == LinkKind::Loopback {
            Err(Fault::Invalid("a loopback link is no parent"))
        } else if link.kind.takes_parent() && parent.master.is_some() {
            Err(Fault::Busy("a bridge"))
        } else if is_taken {
            Err(Fault::Busy("links of another kind"))
        } else if link.mtu > parent.mtu {
            Err(Fault::Invalid(LARGER_THAN_PARENT))
        } else {
            Ok(())
        }
    }

    fn check_change(&self, at: &LinkRef, change: &LinkChange) -> Result<(), Fault> {
        let link = self.state.link(at).ok_or(Fault::NoLink)?;
        match change {
            LinkChange::Master(Some(master)) => {
                self.check_can_be_port(at, &link.kind)?;
                self.check_bridge(&at.ns, master)
            }
            LinkChange::Hairpin(_)
            | LinkChange::Isolated(_)
            | LinkChange::AddVlan(_)
            | LinkChange::DelVlan(_) => {
                let is_port = link.master.is_some();
                if is_port { Ok(()) } else { Err(Fault::Invalid("not a port of a bridge")) }
            }
            LinkChange::VlanFiltering(_) => match link.kind {
                LinkKind::Bridge { .. } => Ok(()),
                LinkKind::Loopback
                | LinkKind::Veth { .. }
                | LinkKind::MacVlan { .. }
                | LinkKind::IpVlan(_)
                | LinkKind::Vlan { .. }
                | LinkKind::Vxlan(_)
                | LinkKind::Ipip(_)
                | LinkKind::WireGuard(_)
                | LinkKind::Other(_) => Err(Fault::NotSupported("not a bridge")),
            },
            LinkChange::Local(_)
            | LinkChange::Parent(_)
            | LinkChange::Learning(_)
            | LinkChange::TxChecksum(_) => self.check_tunnel_change(link, change),
            LinkChange::ListenPort(_) | LinkChange::PrivateKey(_) => {
                let fits = matches!(link.kind, LinkKind::WireGuard(_));
                if fits { Ok(()) } else { Err(Fault::NotSupported(NO_WIREGUARD)) }
            }
            LinkChange::Source(_) => self.check_source(at, change),
            LinkChange::Mac(_) if !link.kind.is_ethernet() => {
                Err(Fault::NotSupported("it has no link-layer address"))
            }
            LinkChange::Mac(mac) if !mac.is_unicast() => {
                Err(Fault::Invalid("not a unicast address"))
            }
            LinkChange::Mtu(mtu) => {
                let fits = self.mtu_limit(&link.kind).is_none_or(|limit| *mtu <= limit);
                if fits { Ok(()) } else { Err(Fault::Invalid(LARGER_THAN_PARENT)) }
            }
            LinkChange::Mac(_)
            | LinkChange::Up(_)
            | LinkChange::Master(None)
            | LinkChange::Promisc(_)
            | LinkChange::Alias(_) => Ok(()),
        }
    }

    /// One receive handler a link: a bridge's or a macvlan's (`netdev_rx_handler_register()`,
    /// `net/core/dev.c`); and no bridge is a port of one (`br_add_if()`, `net/bridge/br_if.c`).
    fn check_can_be_port(&self, at: &LinkRef, kind: &LinkKind) -> Result<(), Fault> {
        if matches!(kind, LinkKind::Bridge { .. } | LinkKind::Loopback) || !kind.is_ethernet() {
            Err(Fault::Invalid("it cannot be a port of a bridge"))
        } else if self.state.children_of(at).any(|(_, child)| child.kind.takes_parent()) {
            Err(Fault::Busy("a macvlan"))
        } else {
            Ok(())
        }
    }

    fn check_bridge(&self, ns: &Ns, name: &LinkName) -> Result<(), Fault> {
        let at = LinkRef { ns: ns.clone(), name: name.clone() };
        let master = self.state.link(&at).ok_or(Fault::NoLink)?;
        let is_bridge = matches!(master.kind, LinkKind::Bridge { .. });
        if is_bridge { Ok(()) } else { Err(Fault::NotSupported("the master is not a bridge")) }
    }

    /// A tunnel end that is told too much gets what fits (`vxlan_config_apply()`).
    fn mtu_at_birth(&self, link: &Link) -> u32 {
        let default = self.default_mtu(&link.kind);
        let asked = link.mtu.unwrap_or(default);
        if matches!(link.kind, LinkKind::Vxlan(_)) { asked.min(default) } else { asked }
    }

    fn default_mtu(&self, kind: &LinkKind) -> u32 {
        // `ip_tunnel_bind_dev()`, net/ipv4/ip_tunnel.c, without a parent.
        let headers = match kind {
            LinkKind::Ipip(_) => 20,
            // `wg_setup()`, drivers/net/wireguard/device.c.
            LinkKind::WireGuard(_) => 80,
            LinkKind::Loopback
            | LinkKind::Bridge { .. }
            | LinkKind::Veth { .. }
            | LinkKind::MacVlan { .. }
            | LinkKind::IpVlan(_)
            | LinkKind::Vlan { .. }
            | LinkKind::Vxlan(_)
            | LinkKind::Other(_) => 0,
        };
        self.mtu_limit(kind).unwrap_or(ETHERNET_MTU - headers)
    }
}

/// Whether the link can have IPv6 addresses.
pub(super) fn has_ipv6(link: &Link) -> bool {
    link.mtu.is_none_or(|mtu| mtu >= IPV6_MIN_MTU)
}

fn with_defaults(kind: &LinkKind) -> LinkKind {
    match kind {
        LinkKind::Bridge { vlan_filtering } => {
            LinkKind::Bridge { vlan_filtering: vlan_filtering.or(Some(false)) }
        }
        LinkKind::MacVlan { parent, mode, bc_queue_len } => LinkKind::MacVlan {
            parent: parent.clone(),
            mode: *mode,
            // MACVLAN_DEFAULT_BC_QUEUE_LEN, drivers/net/macvlan.c.
            bc_queue_len: bc_queue_len.or(Some(1000)),
        },
        LinkKind::Vxlan(vxlan) => {
            // VXLAN_PORT's default, drivers/net/vxlan/vxlan_core.c.
            let tx_checksum = vxlan.tx_checksum.or(Some(true));
            LinkKind::Vxlan(Vxlan { port: vxlan.port.or(Some(8472)), tx_checksum, ..vxlan.clone() })
        }
        LinkKind::Loopback
        | LinkKind::Veth { .. }
        | LinkKind::IpVlan(_)
        | LinkKind::Vlan { .. }
        | LinkKind::Ipip(_)
        | LinkKind::WireGuard(_)
        | LinkKind::Other(_) => kind.clone(),
    }
}

/// Locally administered, and different for each link; tests need it to be the same each time.
fn random_mac(index: u32) -> Mac {
    let [a, b, c, d] = index.to_be_bytes();
    Mac([0x02, 0, a, b, c, d])
}
