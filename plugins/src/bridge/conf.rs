//! The keys of bridge.

use cni::{Args, Error, Request, json};
use drivers::bridge::{PortVlans, VlanGateway};
use netstate::{LinkName, Mac, VlanRange};
use serde::Deserialize;

use crate::{convert, mac};

/// What bridge is to do, validated.
#[derive(Debug)]
pub(super) struct Conf {
    pub(super) bridge: LinkName,
    pub(super) is_gateway: bool,
    pub(super) is_default_gateway: bool,
    pub(super) force_address: bool,
    pub(super) masquerade: bool,
    pub(super) mtu: Mtu,
    pub(super) hairpin: bool,
    pub(super) promisc: bool,
    pub(super) vlan_filtering: bool,
    pub(super) vlans: Option<PortVlans>,
    pub(super) gateway_vlan: Option<VlanGateway>,
    pub(super) macspoofchk: bool,
    pub(super) dad: bool,
    pub(super) leave_down: bool,
    pub(super) isolated: bool,
    pub(super) mac: Option<Mac>,
}

/// Where the MTU comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mtu {
    /// The kernel's default.
    Default,
    /// So many bytes.
    Bytes(u32),
    /// That of the link the default route goes by.
    Auto,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    bridge: String,
    is_gateway: bool,
    is_default_gateway: bool,
    force_address: bool,
    ip_masq: bool,
    ip_masq_backend: String,
    mtu: Option<json::Value>,
    hairpin_mode: bool,
    promisc_mode: bool,
    vlan: i64,
    vlan_trunk: Vec<Trunk>,
    preserve_default_vlan: bool,
    macspoofchk: bool,
    enabledad: bool,
    disable_container_interface: bool,
    port_isolation: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            bridge: "cni0".to_owned(),
            is_gateway: false,
            is_default_gateway: false,
            force_address: false,
            ip_masq: false,
            ip_masq_backend: String::new(),
            mtu: None,
            hairpin_mode: false,
            promisc_mode: false,
            vlan: 0,
            vlan_trunk: Vec::new(),
            preserve_default_vlan: false,
            macspoofchk: false,
            enabledad: false,
            disable_container_interface: false,
            port_isolation: false,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Trunk {
    #[serde(rename = "minID")]
    min_id: Option<i64>,
    #[serde(rename = "maxID")]
    max_id: Option<i64>,
    id: Option<i64>,
}

impl Conf {
    pub(super) fn of(request: &Request) -> Result<Self, Error> {
        let wire: Wire = json::decode(&request.conf.raw)?;
        let name = if wire.bridge.is_empty() { "cni0" } else { &wire.bridge };
        let bridge = convert::link_name("bridge", name)?;
        if wire.hairpin_mode && wire.promisc_mode {
            return Err(Error::config(
                "cannot set hairpin mode and promiscuous mode at the same time",
            ));
        }
        if wire.disable_container_interface && !request.conf.ipam.plugin_type.is_empty() {
            return Err(Error::config(
                "cannot use IPAM when DisableContainerInterface flag is set",
            ));
        }
        check_backend(&wire.ip_masq_backend)?;
        let vlan = vlan_id(wire.vlan)?;
        let trunk = trunk(&wire.vlan_trunk)?;
        let filtering = vlan != 0 || !wire.vlan_trunk.is_empty();
        Ok(Self {
            gateway_vlan: gateway_vlan(&bridge, vlan)?,
            vlans: filtering.then(|| port_vlans(vlan, trunk, wire.preserve_default_vlan)),
            vlan_filtering: filtering,
            is_gateway: wire.is_gateway || wire.is_default_gateway,
            is_default_gateway: wire.is_default_gateway,
            force_address: wire.force_address,
            masquerade: wire.ip_masq,
            mtu: mtu(wire.mtu.as_ref())?,
            hairpin: wire.hairpin_mode,
            promisc: wire.promisc_mode,
            macspoofchk: wire.macspoofchk,
            dad: wire.enabledad,
            leave_down: wire.disable_container_interface,
            isolated: wire.port_isolation,
            mac: mac(request)?,
            bridge,
        })
    }
}

/// Both of the reference's backends mean the same here: elements of `inet netd`.
fn check_backend(backend: &str) -> Result<(), Error> {
    match backend {
        "" | "iptables" | "nftables" => Ok(()),
        other => Err(Error::config(format!(
            "unknown ipmasq backend {other:?}: ipMasqBackend is \"iptables\" or \"nftables\""
        ))),
    }
}

fn mtu(value: Option<&json::Value>) -> Result<Mtu, Error> {
    let Some(value) = value else { return Ok(Mtu::Default) };
    if value.as_str() == Some("auto") {
        return Ok(Mtu::Auto);
    }
    let bytes: i64 = json::decode_at("mtu", value)?;
    Ok(convert::mtu("mtu", bytes)?.map_or(Mtu::Default, Mtu::Bytes))
}

fn vlan_id(id: i64) -> Result<u16, Error> {
    u16::try_from(id)
        .ok()
        .filter(|id| *id <= 4094)
        .ok_or_else(|| Error::config(format!("invalid VLAN ID {id} (must be between 0 and 4094)")))
}

/// Ids and ranges in order, without doubles.
fn trunk(entries: &[Trunk]) -> Result<Vec<(u16, u16)>, Error> {
    let id = |key: &str, id: i64| {
        u16::try_from(id).ok().filter(|id| (1..=4094).contains(id)).ok_or_else(|| {
            Error::config(format!("incorrect trunk {key} parameter: {id} is not 1 to 4094"))
        })
    };
    let mut ids = std::collections::BTreeSet::new();
    for entry in entries {
        match (entry.min_id, entry.max_id) {
            (Some(min), Some(max)) => {
                let (min, max) = (id("minID", min)?, id("maxID", max)?);
                if min > max {
                    return Err(Error::config("minID is greater than maxID in trunk parameter"));
                }
                ids.extend(min..=max);
            }
            (None, Some(_)) => return Err(missing_trunk("minID")),
            (Some(_), None) => return Err(missing_trunk("maxID")),
            (None, None) => {}
        }
        if let Some(one) = entry.id {
            ids.insert(id("id", one)?);
        }
    }
    Ok(ranges(ids))
}

fn missing_trunk(key: &str) -> Error {
    Error::config(format!("minID and maxID should be configured simultaneously, {key} is missing"))
}

fn ranges(ids: std::collections::BTreeSet<u16>) -> Vec<(u16, u16)> {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == id => *last = id,
            _ => ranges.push((id, id)),
        }
    }
    ranges
}

/// A trunk without a VLAN of its own has VLAN 1 for untagged frames, as in the reference.
fn port_vlans(vlan: u16, trunk: Vec<(u16, u16)>, keep_default: bool) -> PortVlans {
    let mut ranges: Vec<VlanRange> = trunk
        .into_iter()
        .map(|(first, last)| VlanRange { first, last, pvid: false, untagged: false })
        .collect();
    let native = if vlan == 0 { 1 } else { vlan };
    ranges.push(VlanRange { first: native, last: native, pvid: true, untagged: true });
    PortVlans { ranges, keep_default }
}

fn gateway_vlan(bridge: &LinkName, vlan: u16) -> Result<Option<VlanGateway>, Error> {
    if vlan == 0 {
        return Ok(None);
    }
    let name = convert::link_name("bridge and vlan", &format!("{bridge}.{vlan}"))?;
    let port = drivers::bridge::vlan_port(&name)
        .map_err(|e| Error::config(format!("bridge and vlan: {e}")))?;
    Ok(Some(VlanGateway { name, port, vlan }))
}

fn mac(request: &Request) -> Result<Option<Mac>, Error> {
    let args = Args::parse(&request.args)?;
    mac::asked_for(request, args.take_known(&["MAC"])?.get("MAC").copied())
}
