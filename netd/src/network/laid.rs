//! What an overlay has on each host, in the driver's terms.

use drivers::overlay::{Overlay, Segment};
use ipnetwork::IpNetwork;

use super::device::{alias, mac};
use super::{Driver, Network, NetworkError, OverlayOptions, Subnet};

impl Network {
    /// What is in the namespace of an overlay on each host; `None` for another network.
    ///
    /// # Errors
    /// Options that make no sense, which no network has that was made by [`super::create()`].
    pub fn overlay(&self, has_ipv6: bool) -> Result<Option<Overlay>, NetworkError> {
        if self.driver != Driver::Overlay {
            return Ok(None);
        }
        let address = |subnet: &&Subnet| {
            subnet.gateway.and_then(|ip| IpNetwork::new(ip, subnet.net.prefix()).ok())
        };
        let segments = self.segments().into_iter().enumerate().map(|(number, segment)| Segment {
            vni: segment.vni.get(),
            subnets: segment.subnets.iter().map(|subnet| subnet.net).collect(),
            gateways: segment.subnets.iter().filter_map(address).collect(),
            mac: mac(&self.id, 6 + number % 16),
        });
        Ok(Some(Overlay {
            alias: alias(&self.id),
            segments: segments.collect(),
            mtu: OverlayOptions::read(&self.options)?.mtu,
            has_ipv6,
            encrypted: self.is_encrypted(),
        }))
    }
}
