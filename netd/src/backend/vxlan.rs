//! `vxlan`: flannel's overlay.

use std::net::IpAddr;

use cni::json::{self, Object, Value};
use drivers::ruleset::Ip;
use drivers::vxlan::{self, Device};
use ipnetwork::IpNetwork;
use netstate::{LinkName, Mac, NetState};
use serde::Deserialize;

use super::devices::Devices;
use super::fit::check_mtu;
use super::{InvalidBackend, Macs, Overlay, UnusablePeer, expect_kind, families};
use crate::lease::{LeaseValue, Peer, SubnetKey};
use crate::underlay::Underlay;

/// Largest number of a network (24 bits, RFC 7348, section 5).
const VNI_MAX: u32 = 0x00ff_ffff;

/// The keys of `Backend`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conf {
    vni: u32,
    port: Option<u16>,
    mtu: Option<u32>,
    learning: bool,
    gbp: bool,
    direct_routing: bool,
}

/// As written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Raw {
    #[serde(rename = "VNI")]
    vni: u32,
    port: u16,
    #[serde(rename = "MTU")]
    mtu: u32,
    #[serde(rename = "GBP")]
    gbp: bool,
    learning: bool,
    direct_routing: bool,
}

impl Default for Raw {
    fn default() -> Self {
        Self { vni: 1, port: 0, mtu: 0, gbp: false, learning: false, direct_routing: false }
    }
}

/// `BackendData` of a peer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PeerData {
    vtep_mac: String,
}

impl Conf {
    pub(super) fn parse(options: &Value) -> Result<Self, InvalidBackend> {
        let raw: Raw =
            json::decode_at("Backend", options).map_err(|error| InvalidBackend::Key {
                what: error.msg,
                example: r#"{"Type": "vxlan", "VNI": 1, "Port": 8472}"#,
            })?;
        if raw.vni == 0 || raw.vni > VNI_MAX {
            return Err(InvalidBackend::Vni(raw.vni));
        }
        Ok(Self {
            vni: raw.vni,
            port: (raw.port > 0).then_some(raw.port),
            mtu: (raw.mtu > 0).then_some(raw.mtu),
            learning: raw.learning,
            gbp: raw.gbp,
            direct_routing: raw.direct_routing,
        })
    }

    pub(super) fn fixed(&self) -> Vec<(&'static str, String)> {
        // The kernel's own where none is given, `VXLAN_DEFAULT_PORT` of Linux.
        let port = self.port.unwrap_or(8472);
        vec![
            ("VNI", self.vni.to_string()),
            ("Port", port.to_string()),
            ("GBP", self.gbp.to_string()),
        ]
    }

    /// Whether the devices can have the MTU.
    pub(super) fn fits(&self, dual: bool) -> Result<(), InvalidBackend> {
        check_mtu(self.mtu, vxlan::overhead(if dual { Ip::V6 } else { Ip::V4 }), dual)
    }

    pub(super) fn names(&self, dual: bool) -> Result<Vec<LinkName>, InvalidBackend> {
        let families: &[Ip] = if dual { &Ip::BOTH } else { &[Ip::V4] };
        families.iter().map(|ip| self.name(*ip)).collect()
    }

    pub(super) fn publish(
        &self,
        macs: &Macs,
        value: &mut LeaseValue,
    ) -> Result<(), InvalidBackend> {
        "vxlan".clone_into(&mut value.backend_type);
        value.backend_data = Some(self.data(macs.get(&self.name(Ip::V4)?)));
        if value.public_ipv6.is_some() {
            value.backend_v6_data = Some(self.data(macs.get(&self.name(Ip::V6)?)));
        }
        Ok(())
    }

    pub(super) fn devices(
        &self,
        underlay: &Underlay,
        subnet: &SubnetKey,
        macs: &Macs,
        has_ipv6: bool,
    ) -> Result<Vec<Device>, InvalidBackend> {
        let mut devices = Vec::new();
        let v6 = underlay.v6.map(IpAddr::from).zip(subnet.v6.map(IpNetwork::from));
        let v4 = (IpAddr::from(underlay.v4), IpNetwork::from(subnet.v4));
        for (local, subnet) in std::iter::once(v4).chain(v6) {
            let ip = Ip::of(local);
            let name = self.name(ip)?;
            devices.push(Device {
                mac: macs.get(&name).copied(),
                name,
                vni: self.vni,
                port: self.port,
                mtu: vxlan::mtu(self.mtu.unwrap_or(underlay.mtu), ip),
                learning: self.learning,
                gbp: self.gbp,
                tx_checksum: None,
                parent: underlay.link.clone(),
                local,
                subnet,
                has_ipv6,
            });
        }
        Ok(devices)
    }

    pub(super) fn peer(
        &self,
        devices: &[Device],
        peer: &Peer,
        direct: &mut dyn FnMut(IpAddr) -> bool,
    ) -> Result<NetState, UnusablePeer> {
        expect_kind(peer, "vxlan")?;
        let mut state = NetState::default();
        for (subnet, public_ip) in families(peer) {
            let Some(device) = devices.iter().find(|d| d.local.is_ipv6() == subnet.is_ipv6())
            else {
                continue;
            };
            let public_ip = public_ip.ok_or(UnusablePeer::Missing("PublicIPv6"))?;
            let mac = mac(peer, subnet.is_ipv6())?;
            let direct = self.direct_routing && direct(public_ip);
            let peer = vxlan::Peer { subnet, public_ip, mac, direct };
            state.join(vxlan::peer(device, &peer));
        }
        Ok(state)
    }

    fn name(&self, ip: Ip) -> Result<LinkName, InvalidBackend> {
        vxlan::name(self.vni, ip).map_err(|_| InvalidBackend::LongName { vni: self.vni })
    }

    /// In flannel's order of keys.
    fn data(&self, mac: Option<&Mac>) -> Value {
        let mut data = Object::new();
        data.insert("VNI", u64::from(self.vni));
        data.insert("VtepMAC", mac.map(Mac::to_string).unwrap_or_default());
        data.into()
    }
}

impl Overlay {
    /// With checksums of inner packets left to hardware, or not; `None` leaves that to others. It is a
    /// matter of the host, not of the network.
    #[must_use]
    pub fn with_tx_checksum(mut self, on: Option<bool>) -> Self {
        if let Devices::Vxlan(devices) = &mut self.devices {
            devices.iter_mut().for_each(|device| device.tx_checksum = on);
        }
        self
    }
}

/// The link-layer address that a peer publishes. Its VNI says nothing: flannel ignores it, too.
fn mac(peer: &Peer, ipv6: bool) -> Result<Mac, UnusablePeer> {
    let (key, data) = if ipv6 {
        ("BackendV6Data", &peer.value.backend_v6_data)
    } else {
        ("BackendData", &peer.value.backend_data)
    };
    let data = data.as_ref().ok_or(UnusablePeer::Missing(key))?;
    let wrong = |what: String| UnusablePeer::Data { key, what };
    let data: PeerData = json::decode_at(key, data).map_err(|error| wrong(error.msg))?;
    let mac: Mac = data.vtep_mac.parse().map_err(|e: netstate::NameError| wrong(e.to_string()))?;
    if mac.is_unicast() { Ok(mac) } else { Err(wrong(format!("VtepMAC {mac} is no host's"))) }
}
