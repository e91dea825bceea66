//! The devices of a backend on this host.

use netstate::{LinkName, NetState, Scope};

/// The devices, by the backend they are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Devices {
    /// One for each family.
    Vxlan(Vec<drivers::vxlan::Device>),
    /// One.
    Ipip(drivers::ipip::Device),
    /// One for each family, or one for both.
    WireGuard(Vec<drivers::wireguard::Device>),
    /// One, made by whoever carries its packets.
    Udp(drivers::udp::Device),
    /// The backend makes none.
    None,
}

impl Devices {
    /// Largest packet in bytes that fits through all of them.
    pub(super) fn mtu(&self) -> Option<u32> {
        match self {
            Self::Vxlan(all) => drivers::vxlan::common_mtu(all),
            Self::Ipip(device) => Some(device.mtu),
            Self::Udp(device) => Some(device.mtu),
            Self::WireGuard(all) => all.iter().map(|device| device.mtu).min(),
            Self::None => None,
        }
    }

    pub(super) fn names(&self) -> Vec<&LinkName> {
        match self {
            Self::Vxlan(all) => all.iter().map(|device| &device.name).collect(),
            Self::Ipip(device) => vec![&device.name],
            Self::Udp(device) => vec![&device.name],
            Self::WireGuard(all) => all.iter().map(|device| &device.name).collect(),
            Self::None => Vec::new(),
        }
    }

    /// The devices with their addresses.
    pub(super) fn state(&self) -> NetState {
        let mut state = NetState::default();
        match self {
            Self::Vxlan(all) => {
                all.iter().for_each(|device| state.join(drivers::vxlan::device(device)));
            }
            Self::Ipip(device) => state.join(drivers::ipip::device(device)),
            Self::Udp(device) => state.join(drivers::udp::device(device)),
            Self::WireGuard(all) => {
                all.iter().for_each(|device| state.join(drivers::wireguard::device(device)));
            }
            Self::None => {}
        }
        state
    }

    /// All that is this host's to change.
    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::Vxlan(all) => drivers::vxlan::scope(all),
            Self::Ipip(device) => drivers::ipip::scope(device),
            Self::Udp(device) => drivers::udp::scope(device),
            Self::WireGuard(all) => drivers::wireguard::scope(all),
            Self::None => drivers::host_gw::scope(),
        }
    }
}
