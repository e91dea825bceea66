//! `udp`: each packet in a datagram, carried by the agent itself.

use cni::json::{self, Value};
use drivers::udp::{self, Device};
use netstate::NetState;
use serde::Deserialize;

use super::{InvalidBackend, UnusablePeer};
use crate::lease::{LeaseValue, Peer, SubnetKey};
use crate::underlay::Underlay;

const PORT: u16 = 8285;

/// The keys of `Backend`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Conf {
    port: u16,
}

impl Default for Conf {
    fn default() -> Self {
        Self { port: PORT }
    }
}

impl Conf {
    pub(super) fn parse(options: &Value) -> Result<Self, InvalidBackend> {
        let wrong =
            |what| InvalidBackend::Key { what, example: r#"{"Type": "udp", "Port": 8285}"# };
        let conf: Self = json::decode_at("Backend", options).map_err(|error| wrong(error.msg))?;
        if conf.port == 0 {
            return Err(wrong("Backend.Port cannot be 0: all hosts must have the same".to_owned()));
        }
        Ok(conf)
    }

    pub(super) fn fixed(&self) -> Vec<(&'static str, String)> {
        vec![("Port", self.port.to_string())]
    }

    /// Between which ends packets are carried.
    #[must_use]
    pub fn ends(&self, underlay: &Underlay, subnet: &SubnetKey) -> crate::udp::Ends {
        crate::udp::Ends {
            device: udp::name(),
            local: underlay.v4,
            port: self.port,
            subnet: subnet.v4,
        }
    }

    pub(super) fn device(underlay: &Underlay, subnet: &SubnetKey) -> Device {
        let mtu = underlay.mtu.saturating_sub(udp::OVERHEAD);
        Device { name: udp::name(), mtu, subnet: subnet.v4 }
    }
}

/// Nothing but the address: flannel writes no type for it.
pub(super) fn publish(value: &mut LeaseValue) {
    value.backend_type.clear();
}

/// As with flannel the peer's type does not matter: those of `udp` say none.
pub(super) fn peer(device: &Device, peer: &Peer) -> Result<NetState, UnusablePeer> {
    Ok(udp::peer(device, peer.subnet.v4))
}
