//! `wireguard`: encrypted, one device for each family or one for both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use cni::json::{self, Object, Value};
use drivers::ruleset::Ip;
use drivers::wireguard::{self, Device, OVERHEAD};
use ipnetwork::IpNetwork;
use netstate::{LinkName, NetState, PublicKey, Secret};
use serde::Deserialize;

use super::fit::check_mtu;
use super::{InvalidBackend, UnusablePeer, expect_kind};
use crate::lease::{LeaseValue, Peer, SubnetKey};
use crate::underlay::Underlay;

const EXAMPLE: &str = r#"{"Type": "wireguard", "ListenPort": 51820, "Mode": "separate"}"#;

/// The keys of `Backend`, and this host's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conf {
    mode: Mode,
    port: u16,
    port_v6: u16,
    mtu: Option<u32>,
    preshared: Option<Secret>,
    keepalive: u16,
    /// Known once this host has chosen.
    key: Option<Secret>,
}

/// By which address of a peer its device is reached, and whether there is one for each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Separate,
    Auto,
    Ipv4,
    Ipv6,
}

/// As written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Raw {
    #[serde(rename = "PSK")]
    psk: String,
    listen_port: u16,
    listen_port_v6: u16,
    #[serde(rename = "MTU")]
    mtu: u32,
    mode: String,
    persistent_keepalive_interval: u16,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            psk: String::new(),
            listen_port: 51820,
            listen_port_v6: 51821,
            mtu: 0,
            mode: "separate".to_owned(),
            persistent_keepalive_interval: 0,
        }
    }
}

/// `BackendData` of a peer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PeerData {
    public_key: String,
    /// Very old peers have none: then it is this host's own.
    #[serde(default)]
    port: u16,
}

impl Conf {
    pub(super) fn parse(options: &Value) -> Result<Self, InvalidBackend> {
        let wrong = |what: String| InvalidBackend::Key { what, example: EXAMPLE };
        let raw: Raw = json::decode_at("Backend", options).map_err(|error| wrong(error.msg))?;
        let mode = match raw.mode.as_str() {
            "separate" | "" => Mode::Separate,
            "auto" => Mode::Auto,
            "ipv4" => Mode::Ipv4,
            "ipv6" => Mode::Ipv6,
            other => return Err(InvalidBackend::Mode(other.to_owned())),
        };
        if raw.listen_port == 0 || raw.listen_port_v6 == 0 {
            let what = "Backend.ListenPort and ListenPortV6 cannot be 0: peers must know them";
            return Err(wrong(what.to_owned()));
        }
        let preshared = match raw.psk.as_str() {
            "" => None,
            text => {
                // Its text is a secret.
                let what = |_| wrong("Backend.PSK is not the base64 of 32 bytes".to_owned());
                Some(text.parse().map_err(what)?)
            }
        };
        Ok(Self {
            mode,
            port: raw.listen_port,
            port_v6: raw.listen_port_v6,
            mtu: (raw.mtu > 0).then_some(raw.mtu),
            preshared,
            keepalive: raw.persistent_keepalive_interval,
            key: None,
        })
    }

    /// With this host's private key.
    #[must_use]
    pub fn with_key(self, key: Secret) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Peers send to the ports, and know how many devices there are.
    pub(super) fn fixed(&self) -> Vec<(&'static str, String)> {
        vec![
            ("Mode", format!("{:?}", self.mode).to_lowercase()),
            ("ListenPort", self.port.to_string()),
            ("ListenPortV6", self.port_v6.to_string()),
        ]
    }

    /// Whether the devices can have the MTU.
    pub(super) fn fits(&self, dual: bool) -> Result<(), InvalidBackend> {
        check_mtu(self.mtu, OVERHEAD, dual)
    }

    pub(super) fn names(&self, dual: bool) -> Vec<LinkName> {
        let both = dual && self.mode == Mode::Separate;
        let families: &[Ip] = if both { &Ip::BOTH } else { &[Ip::V4] };
        families.iter().map(|ip| wireguard::name(*ip)).collect()
    }

    /// flannel writes `ListenPortV6` also where one device listens on `ListenPort` alone, so that
    /// nobody gets through by IPv6 unless both are equal; here it is the port that is listened on.
    pub(super) fn publish(
        &self,
        underlay: &Underlay,
        value: &mut LeaseValue,
    ) -> Result<(), InvalidBackend> {
        if underlay.v6.is_none() && self.mode == Mode::Ipv6 {
            return Err(InvalidBackend::ModeWithoutIpv6);
        }
        if underlay.v6.is_some() && self.mode == Mode::Separate && self.port == self.port_v6 {
            return Err(InvalidBackend::OnePort(self.port));
        }
        "wireguard".clone_into(&mut value.backend_type);
        value.backend_data = Some(self.data(self.port));
        if value.public_ipv6.is_some() {
            let separate = self.mode == Mode::Separate;
            let port = if separate { self.port_v6 } else { self.port };
            value.backend_v6_data = Some(self.data(port));
        }
        Ok(())
    }

    pub(super) fn devices(&self, underlay: &Underlay, subnet: &SubnetKey) -> Vec<Device> {
        let v6 = underlay.v6.and(subnet.v6).map(IpNetwork::from);
        let device = |ip, port, subnets| Device {
            name: wireguard::name(ip),
            mtu: self.mtu.unwrap_or(underlay.mtu).saturating_sub(OVERHEAD),
            key: self.key.clone().unwrap_or(Secret([0; netstate::KEY_BYTES])),
            port,
            subnets,
        };
        let v4 = IpNetwork::from(subnet.v4);
        if self.mode != Mode::Separate {
            return vec![device(Ip::V4, self.port, std::iter::once(v4).chain(v6).collect())];
        }
        let mut devices = vec![device(Ip::V4, self.port, vec![v4])];
        devices.extend(v6.map(|net| device(Ip::V6, self.port_v6, vec![net])));
        devices
    }

    pub(super) fn peer(
        &self,
        underlay: &Underlay,
        devices: &[Device],
        peer: &Peer,
    ) -> Result<NetState, UnusablePeer> {
        expect_kind(peer, "wireguard")?;
        let mut state = NetState::default();
        for device in devices {
            let reached =
                |net: &IpNetwork| device.subnets.iter().any(|own| own.is_ipv4() == net.is_ipv4());
            let subnets: Vec<IpNetwork> = peer.subnet.networks().filter(reached).collect();
            if subnets.is_empty() {
                continue;
            }
            let (key, endpoint) = self.reach(underlay, device, peer)?;
            let peer = wireguard::Peer {
                key,
                endpoint,
                subnets: subnets.into_iter().collect(),
                preshared: self.preshared.clone(),
                keepalive: self.keepalive,
            };
            state.join(wireguard::peer(device, &peer));
        }
        Ok(state)
    }

    /// A peer's key, and where it listens.
    fn reach(
        &self,
        underlay: &Underlay,
        device: &Device,
        peer: &Peer,
    ) -> Result<(PublicKey, SocketAddr), UnusablePeer> {
        let value = &peer.value;
        let v6_device = device.name == wireguard::name(Ip::V6);
        let (name, data) = if v6_device {
            ("BackendV6Data", &value.backend_v6_data)
        } else {
            ("BackendData", &value.backend_data)
        };
        let data = data.as_ref().ok_or(UnusablePeer::Missing(name))?;
        let wrong = |what: String| UnusablePeer::Data { key: name, what };
        let data: PeerData = json::decode_at(name, data).map_err(|error| wrong(error.msg))?;
        let key = data.public_key.parse();
        let key: PublicKey = key.map_err(|e: netstate::NotAKey| wrong(e.to_string()))?;
        let v6 = value.public_ipv6.ok_or(UnusablePeer::Missing("PublicIPv6"));
        let ip: IpAddr = match self.mode {
            Mode::Separate if v6_device => v6?.into(),
            Mode::Separate | Mode::Ipv4 => value.public_ip.into(),
            Mode::Ipv6 => v6?.into(),
            Mode::Auto => choose(underlay.v6, value.public_ip, value.public_ipv6),
        };
        let port = if data.port == 0 { device.port } else { data.port };
        Ok((key, SocketAddr::new(ip, port)))
    }

    /// In flannel's order of keys.
    fn data(&self, port: u16) -> Value {
        let mut data = Object::new();
        let public = self.key.as_ref().map(public_key);
        data.insert("PublicKey", public.map(|key| key.to_string()).unwrap_or_default());
        data.insert("Port", u64::from(port));
        data.into()
    }
}

/// Which address of a peer's mode `auto` takes: a public IPv4 address, else one of IPv6 that is
/// global on both sides, else IPv4.
fn choose(own: Option<Ipv6Addr>, v4: Ipv4Addr, v6: Option<Ipv6Addr>) -> IpAddr {
    let is_global = |ip: &Ipv6Addr| !ip.is_unique_local();
    match v6.filter(is_global) {
        Some(v6) if v4.is_private() && own.as_ref().is_some_and(is_global) => v6.into(),
        _ => v4.into(),
    }
}

/// The public key of a private one (RFC 7748, section 6.1).
pub(crate) fn public_key(key: &Secret) -> PublicKey {
    PublicKey(x25519_dalek::x25519(key.0, x25519_dalek::X25519_BASEPOINT_BYTES))
}

#[cfg(test)]
mod tests;
