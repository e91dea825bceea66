//! `ipip`: IPv4 in IPv4, one device, one route for each other host.

use std::net::IpAddr;

use cni::json::{self, Value};
use drivers::ipip::{self, Device};
use netstate::NetState;
use serde::Deserialize;

use super::{InvalidBackend, UnusablePeer, expect_kind};
use crate::lease::{LeaseValue, Peer, SubnetKey};
use crate::underlay::Underlay;

/// The keys of `Backend`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Conf {
    direct_routing: bool,
}

impl Conf {
    pub(super) fn parse(options: &Value) -> Result<Self, InvalidBackend> {
        json::decode_at("Backend", options).map_err(|error| InvalidBackend::Key {
            what: error.msg,
            example: r#"{"Type": "ipip", "DirectRouting": true}"#,
        })
    }

    pub(super) fn device(underlay: &Underlay, subnet: &SubnetKey) -> Device {
        Device {
            name: ipip::name(),
            mtu: underlay.mtu.saturating_sub(ipip::OVERHEAD),
            parent: underlay.link.clone(),
            local: underlay.v4,
            subnet: subnet.v4,
        }
    }

    /// An IPv6 subnet of the peer's is not connected.
    pub(super) fn peer(
        &self,
        device: &Device,
        peer: &Peer,
        direct: &mut dyn FnMut(IpAddr) -> bool,
    ) -> Result<NetState, UnusablePeer> {
        expect_kind(peer, "ipip")?;
        let public_ip = peer.value.public_ip;
        let direct = self.direct_routing && direct(public_ip.into());
        Ok(ipip::peer(device, &ipip::Peer { subnet: peer.subnet.v4, public_ip, direct }))
    }
}

pub(super) fn publish(value: &mut LeaseValue) {
    "ipip".clone_into(&mut value.backend_type);
}
