//! The UDP overlay of a cluster, as flannel lays it out: one TUN device, whose packets the agent
//! carries. IPv4 only.
//!
//! flannel leads the whole network into the device and answers for subnets that nobody has; here a
//! route leads to each peer's subnet, and the kernel answers.

use ipnetwork::Ipv4Network;
use netstate::{LinkKind, LinkName, NetState, Route, RouteScope, Scope};

use crate::devices::{self, bearing};
use crate::vxlan::{ROUTE_PROTOCOL, network};

/// Bytes that the outer IPv4 and UDP headers add.
pub const OVERHEAD: u32 = 20 + 8;

/// The device, which whoever carries its packets has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// As [`name`] says.
    pub name: LinkName,
    /// Largest inner packet in bytes.
    pub mtu: u32,
    /// This host's subnet. Its base address goes on the device.
    pub subnet: Ipv4Network,
}

/// The device's name, which is flannel's.
#[must_use]
pub fn name() -> LinkName {
    LinkName::fixed("flannel0")
}

/// The device's MTU and address, and that it is up. No plan makes it.
#[must_use]
pub fn device(device: &Device) -> NetState {
    let found = LinkKind::Other(String::new());
    bearing(&device.name, device.mtu, found, [device.subnet.network().into()])
}

/// The route to a peer's subnet.
#[must_use]
pub fn peer(device: &Device, subnet: Ipv4Network) -> NetState {
    let mut state = NetState::default();
    let route = Route::new(network(subnet.into()), device.name.clone());
    let scope = RouteScope::Link;
    state.routes.insert(Route { protocol: ROUTE_PROTOCOL, scope, ..route });
    state
}

/// All that a host with this device owns: what is on the device, and the routes of
/// [`ROUTE_PROTOCOL`].
#[must_use]
pub fn scope(device: &Device) -> Scope {
    devices::scope([&device.name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_is_found_and_routes_lead_into_it() {
        let subnet = "10.5.1.77/24".parse().unwrap();
        let here = Device { name: name(), mtu: 1472, subnet };
        let state = device(&here);
        let link = &state.links[&name()];
        assert!(!link.kind.is_made(), "no plan makes or removes it");
        assert_eq!((link.mtu, link.up), (Some(1472), true));
        assert_eq!(state.addrs.first().unwrap().net.to_string(), "10.5.1.0/32");
        let route = peer(&here, "10.5.9.1/24".parse().unwrap()).routes.pop_first().unwrap();
        assert_eq!((route.dst.to_string(), route.via), ("10.5.9.0/24".to_owned(), None));
        assert_eq!(route.dev, Some(name()));
    }
}
