//! How packets travel between hosts: flannel's backends as pure functions.
//!
//! A [`Backend`] is what the network's configuration asks for. With this host's addresses and
//! subnet it becomes an [`Overlay`], which says what the kernel is to hold: for the host itself
//! ([`Overlay::own`]) and for each other host ([`Overlay::peer`]). Nothing here asks the kernel.

mod alloc;
mod error;
mod host_gw;
#[cfg(test)]
mod tests;
mod vxlan;

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netstate::{LinkName, Mac, NetState, Scope};

use crate::config::network::BackendConf;
use crate::lease::{LeaseValue, Peer, SubnetKey};
use crate::underlay::Underlay;

pub use error::{InvalidBackend, UnusablePeer};

/// What the network's configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Encapsulated in VXLAN.
    Vxlan(vxlan::Conf),
    /// Plain routes over one Ethernet segment.
    HostGw,
    /// A subnet and nothing else.
    Alloc,
}

/// Link-layer addresses of this host's devices by name: what peers are told.
pub type Macs = BTreeMap<LinkName, Mac>;

impl Backend {
    /// Reads the keys of `Backend`.
    ///
    /// # Errors
    /// A type that netd does not have, a wrong key: one sentence with the remedy.
    pub fn parse(conf: &BackendConf) -> Result<Self, InvalidBackend> {
        match conf.kind.as_str() {
            "vxlan" => vxlan::Conf::parse(&conf.options).map(Self::Vxlan),
            "host-gw" => Ok(Self::HostGw),
            "alloc" => Ok(Self::Alloc),
            other => Err(InvalidBackend::Kind(other.to_owned())),
        }
    }

    /// Its name, as leases have it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Vxlan(_) => "vxlan",
            Self::HostGw => "host-gw",
            Self::Alloc => "alloc",
        }
    }

    /// What cannot change on a host while packets travel: keys of `Backend` with their values, the
    /// same keys for each configuration of a kind.
    #[must_use]
    pub fn fixed(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Vxlan(conf) => conf.fixed(),
            Self::HostGw | Self::Alloc => Vec::new(),
        }
    }

    /// The devices it makes on this host; their link-layer addresses are published.
    ///
    /// # Errors
    /// Where a name would be too long.
    pub fn devices(&self, dual: bool) -> Result<Vec<LinkName>, InvalidBackend> {
        match self {
            Self::Vxlan(conf) => conf.names(dual),
            Self::HostGw | Self::Alloc => Ok(Vec::new()),
        }
    }

    /// What this host publishes with its subnet.
    ///
    /// # Errors
    /// Where the backend cannot work with these addresses.
    pub fn publish(&self, underlay: &Underlay, macs: &Macs) -> Result<LeaseValue, InvalidBackend> {
        let mut value = LeaseValue::new(underlay.public_v4);
        value.public_ipv6 = underlay.public_v6;
        match self {
            Self::Vxlan(conf) => conf.publish(macs, &mut value)?,
            Self::HostGw => host_gw::publish(underlay, &mut value)?,
            Self::Alloc => alloc::publish(&mut value),
        }
        Ok(value)
    }

    /// This backend on this host.
    ///
    /// # Errors
    /// Where a name would be too long.
    pub fn overlay(
        self,
        underlay: Underlay,
        subnet: SubnetKey,
        macs: &Macs,
        has_ipv6: bool,
    ) -> Result<Overlay, InvalidBackend> {
        let devices = match &self {
            Self::Vxlan(conf) => conf.devices(&underlay, &subnet, macs, has_ipv6)?,
            Self::HostGw | Self::Alloc => Vec::new(),
        };
        Ok(Overlay { backend: self, underlay, subnet, devices })
    }
}

/// A backend with this host's addresses and subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    backend: Backend,
    underlay: Underlay,
    subnet: SubnetKey,
    devices: Vec<drivers::vxlan::Device>,
}

impl Overlay {
    /// Largest packet in bytes that containers may send.
    #[must_use]
    pub fn mtu(&self) -> u32 {
        drivers::vxlan::common_mtu(&self.devices).unwrap_or(self.underlay.mtu)
    }

    /// The interface between hosts.
    #[must_use]
    pub fn parent(&self) -> &LinkName {
        &self.underlay.link
    }

    /// The devices of this host.
    pub fn devices(&self) -> impl Iterator<Item = &LinkName> {
        self.devices.iter().map(|device| &device.name)
    }

    /// This host's subnets.
    pub fn subnets(&self) -> impl Iterator<Item = IpNetwork> + use<> {
        self.subnet.networks()
    }

    /// What this host has apart from its peers.
    #[must_use]
    pub fn own(&self) -> NetState {
        let mut state = NetState::default();
        for device in &self.devices {
            state.join(drivers::vxlan::device(device));
        }
        state
    }

    /// All that is this host's to change.
    #[must_use]
    pub fn scope(&self) -> Scope {
        if self.devices.is_empty() {
            drivers::host_gw::scope()
        } else {
            drivers::vxlan::scope(&self.devices)
        }
    }

    /// What leads to a peer. `direct` is asked, where it matters, whether an address is on a link
    /// of this host.
    ///
    /// # Errors
    /// Why the peer cannot be reached by this backend.
    pub fn peer(
        &self,
        peer: &Peer,
        direct: &mut dyn FnMut(IpAddr) -> bool,
    ) -> Result<NetState, UnusablePeer> {
        if let Some(net) = self.led_away(peer) {
            return Err(UnusablePeer::InTheWay(net));
        }
        match &self.backend {
            Backend::Alloc => Ok(NetState::default()),
            Backend::Vxlan(conf) => conf.peer(&self.devices, peer, direct),
            Backend::HostGw => host_gw::peer(&self.underlay, peer),
        }
    }

    /// What a route to a peer's subnet would lead away: a part of this host's own subnets (a longer
    /// prefix wins over the bridge's route), or an address between hosts (the tunnel would lead
    /// into itself, and the way to the store with it). flannel makes such routes.
    fn led_away(&self, peer: &Peer) -> Option<IpNetwork> {
        let own = self.subnets().find(|own| peer.subnet.networks().any(|net| overlap(*own, net)));
        let (here, value) = (&self.underlay, &peer.value);
        let v4 = [here.v4, value.public_ip].map(IpAddr::from);
        let v6 = [here.v6, value.public_ipv6].into_iter().flatten().map(IpAddr::from);
        let mut between = v4.into_iter().chain(v6);
        own.or_else(|| {
            let inside = |ip: &IpAddr| peer.subnet.networks().any(|net| net.contains(*ip));
            between.find(inside).map(IpNetwork::from)
        })
    }
}

fn overlap(a: IpNetwork, b: IpNetwork) -> bool {
    a.contains(b.network()) || b.contains(a.network())
}

/// Of another backend: mixed clusters do not connect.
fn expect_kind(peer: &Peer, ours: &'static str) -> Result<(), UnusablePeer> {
    if peer.value.backend_type.eq_ignore_ascii_case(ours) {
        return Ok(());
    }
    Err(UnusablePeer::OtherBackend { theirs: peer.value.backend_type.clone(), ours })
}

/// The peer's subnet and address for each family that it and this host have.
fn families(peer: &Peer) -> impl Iterator<Item = (IpNetwork, Option<IpAddr>)> {
    let v4 = (IpNetwork::from(peer.subnet.v4), Some(IpAddr::from(peer.value.public_ip)));
    let v6 = peer.subnet.v6.map(|net| (net.into(), peer.value.public_ipv6.map(IpAddr::from)));
    std::iter::once(v4).chain(v6)
}
