//! A container's veth pair, one end of it a port of the bridge.

use netstate::{
    BridgePort, Desired, Link, LinkChange, LinkKind, LinkName, LinkRef, Mac, Ns, Op, Step,
    VlanRange,
};

use super::every_vlan;
use crate::Owner;
use crate::container::{self, Interface};

/// One container's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Host link.
    pub host_link: LinkName,
    /// Name in the container.
    pub ifname: LinkName,
    /// Address in the container; the kernel's choice otherwise.
    pub mac: Option<Mac>,
    /// MTU of both ends.
    pub mtu: Option<u32>,
    /// Frames may go back where they came from.
    pub hairpin: bool,
    /// No frames to or from other isolated ports.
    pub isolated: bool,
    /// VLANs, on a bridge that filters.
    pub vlans: Option<PortVlans>,
    /// The container's end is left down and bare.
    pub leave_down: bool,
}

/// VLANs of a container's port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortVlans {
    /// What the port carries.
    pub ranges: Vec<VlanRange>,
    /// What the bridge gave the port at birth stays beside them.
    pub keep_default: bool,
}

impl Port {
    /// The attachment's own state: the veth pair and what the container's end carries.
    #[must_use]
    pub fn desired(&self, owner: &Owner, bridge: &LinkName, inside: &Interface) -> Desired {
        self.desired_in(&Ns::Host, owner, bridge, inside)
    }

    /// The same where the bridge is in another namespace than the host's.
    #[must_use]
    pub fn desired_in(
        &self,
        ns: &Ns,
        owner: &Owner,
        bridge: &LinkName,
        inside: &Interface,
    ) -> Desired {
        let mut desired = Desired::default();
        let host_end = LinkRef { ns: ns.clone(), name: self.host_link.clone() };
        let container_end = LinkRef { ns: Ns::Container, name: self.ifname.clone() };
        desired.0.ns_mut(ns.clone()).add_link(Link {
            mtu: self.mtu,
            master: Some(bridge.clone()),
            alias: Some(owner.alias()),
            port: Some(BridgePort {
                hairpin: self.hairpin.then_some(true),
                isolated: self.isolated.then_some(true),
                vlans: None,
            }),
            ..Link::new(self.host_link.clone(), LinkKind::Veth { peer: container_end })
        });
        let end = Link {
            mtu: self.mtu,
            mac: self.mac,
            up: !self.leave_down,
            ..Link::new(self.ifname.clone(), LinkKind::Veth { peer: host_end })
        };
        container::add(&mut desired, end, inside);
        desired
    }

    /// The VLANs of the port, to be set once it is there.
    #[must_use]
    pub fn vlan_steps(&self) -> Vec<Step> {
        let Some(vlans) = &self.vlans else { return Vec::new() };
        let mut changes = Vec::new();
        if !vlans.keep_default {
            changes.push(LinkChange::DelVlan(every_vlan()));
        }
        changes.extend(vlans.ranges.iter().cloned().map(LinkChange::AddVlan));
        let op = Op::SetLink { name: self.host_link.clone(), changes };
        vec![Step::fresh(Ns::Host, op)]
    }
}
