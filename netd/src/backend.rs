//! How packets travel between hosts: flannel's backends as pure functions.
//!
//! A [`Backend`] is what the network's configuration asks for. With this host's addresses and
//! subnet it becomes an [`Overlay`], which says what the kernel is to hold: for the host itself
//! ([`Overlay::own`]) and for each other host ([`Overlay::peer`]). Nothing here asks the kernel.

mod alloc;
mod devices;
mod error;
pub mod extension;
mod fit;
mod harm;
mod host_gw;
mod ipip;
#[cfg(test)]
mod tests;
mod udp;
mod vxlan;
mod wireguard;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netstate::{LinkName, Mac, NetState, Scope};

use crate::config::network::BackendConf;
use crate::lease::{LeaseValue, Peer, SubnetKey};
use crate::underlay::Underlay;
use devices::Devices;

pub use error::{InvalidBackend, UnusablePeer};
pub use extension::Hook;
pub(crate) use harm::overlap;
pub(crate) use wireguard::public_key;

/// What the network's configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Encapsulated in VXLAN.
    Vxlan(vxlan::Conf),
    /// Plain routes over one Ethernet segment.
    HostGw,
    /// IPv4 in IPv4.
    Ipip(ipip::Conf),
    /// Encrypted by WireGuard.
    WireGuard(wireguard::Conf),
    /// Each packet in a datagram.
    Udp(udp::Conf),
    /// Commands of the administrator's.
    Extension(extension::Conf),
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
            "ipip" => ipip::Conf::parse(&conf.options).map(Self::Ipip),
            "wireguard" => wireguard::Conf::parse(&conf.options).map(Self::WireGuard),
            "udp" => udp::Conf::parse(&conf.options).map(Self::Udp),
            "extension" => extension::Conf::parse(&conf.options).map(Self::Extension),
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
            Self::Ipip(_) => "ipip",
            Self::WireGuard(_) => "wireguard",
            Self::Udp(_) => "udp",
            Self::Extension(_) => "extension",
            Self::Alloc => "alloc",
        }
    }

    /// What cannot change on a host while packets travel: keys of `Backend` with their values, the
    /// same keys for each configuration of a kind.
    #[must_use]
    pub fn fixed(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Vxlan(conf) => conf.fixed(),
            Self::WireGuard(conf) => conf.fixed(),
            Self::Udp(conf) => conf.fixed(),
            Self::Ipip(_) | Self::HostGw | Self::Extension(_) | Self::Alloc => Vec::new(),
        }
    }

    /// Whether it connects IPv6 subnets.
    #[must_use]
    pub fn has_ipv6(&self) -> bool {
        !matches!(self, Self::Ipip(_) | Self::Udp(_))
    }

    /// Whether this host may run it: `shell` says that a shell may read the store's text.
    ///
    /// # Errors
    /// Where it is for a shell, and none is allowed.
    pub fn fits(self, shell: bool) -> Result<Self, InvalidBackend> {
        if let Self::Extension(conf) = &self {
            conf.fits(shell)?;
        }
        Ok(self)
    }

    /// The devices it makes on this host that have no link-layer address.
    #[must_use]
    pub fn tunnels(&self, dual: bool) -> Vec<LinkName> {
        match self {
            Self::Ipip(_) => vec![drivers::ipip::name()],
            Self::Udp(_) => vec![drivers::udp::name()],
            Self::WireGuard(conf) => conf.names(dual),
            Self::Vxlan(_) | Self::HostGw | Self::Extension(_) | Self::Alloc => Vec::new(),
        }
    }

    /// The devices it makes on this host; their link-layer addresses are published.
    ///
    /// # Errors
    /// Where a name would be too long.
    pub fn devices(&self, dual: bool) -> Result<Vec<LinkName>, InvalidBackend> {
        match self {
            Self::Vxlan(conf) => conf.names(dual),
            Self::HostGw
            | Self::Ipip(_)
            | Self::WireGuard(_)
            | Self::Udp(_)
            | Self::Extension(_)
            | Self::Alloc => Ok(Vec::new()),
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
            Self::Ipip(_) => ipip::publish(&mut value),
            Self::WireGuard(conf) => conf.publish(underlay, &mut value)?,
            Self::Udp(_) => udp::publish(&mut value),
            Self::Extension(conf) => conf.publish(underlay, &mut value),
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
            Self::Vxlan(conf) => Devices::Vxlan(conf.devices(&underlay, &subnet, macs, has_ipv6)?),
            Self::Ipip(_) => Devices::Ipip(ipip::Conf::device(&underlay, &subnet)),
            Self::WireGuard(conf) => Devices::WireGuard(conf.devices(&underlay, &subnet)),
            Self::Udp(_) => Devices::Udp(udp::Conf::device(&underlay, &subnet)),
            Self::HostGw | Self::Extension(_) | Self::Alloc => Devices::None,
        };
        Ok(Overlay { backend: self, underlay, subnet, devices, guarded: BTreeSet::new() })
    }
}

/// A backend with this host's addresses and subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    backend: Backend,
    underlay: Underlay,
    subnet: SubnetKey,
    devices: Devices,
    guarded: BTreeSet<IpAddr>,
}

impl Overlay {
    /// Largest packet in bytes that containers may send.
    #[must_use]
    pub fn mtu(&self) -> u32 {
        self.devices.mtu().unwrap_or(self.underlay.mtu)
    }

    /// The interface between hosts.
    #[must_use]
    pub fn parent(&self) -> &LinkName {
        &self.underlay.link
    }

    /// The network between hosts.
    #[must_use]
    pub fn underlay(&self) -> &Underlay {
        &self.underlay
    }

    /// The backend.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The devices of this host.
    pub fn devices(&self) -> impl Iterator<Item = &LinkName> {
        self.devices.names().into_iter()
    }

    /// This host's subnets.
    pub fn subnets(&self) -> impl Iterator<Item = IpNetwork> + use<> {
        self.subnet.networks()
    }

    /// What this host has apart from its peers.
    #[must_use]
    pub fn own(&self) -> NetState {
        self.devices.state()
    }

    /// All that is this host's to change.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.devices.scope()
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
        self.fits(peer)?;
        match (&self.backend, &self.devices) {
            (Backend::Vxlan(conf), Devices::Vxlan(all)) => conf.peer(all, peer, direct),
            (Backend::Ipip(conf), Devices::Ipip(device)) => conf.peer(device, peer, direct),
            (Backend::WireGuard(conf), Devices::WireGuard(all)) => {
                conf.peer(&self.underlay, all, peer)
            }
            (Backend::Udp(_), Devices::Udp(device)) => udp::peer(device, peer),
            (Backend::Extension(_), _) => {
                expect_kind(peer, "extension").map(|()| NetState::default())
            }
            (Backend::HostGw, _) => host_gw::peer(&self.underlay, peer),
            // A device of another backend than the one that made it there is not.
            (
                Backend::Alloc
                | Backend::Vxlan(_)
                | Backend::Ipip(_)
                | Backend::WireGuard(_)
                | Backend::Udp(_),
                _,
            ) => Ok(NetState::default()),
        }
    }
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
