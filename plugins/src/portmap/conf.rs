//! The keys of portmap.

use std::net::IpAddr;

use cni::conf::PortMapping;
use cni::{Error, Request, json};
use drivers::conditions;
use drivers::ports::{Class, Snat, Transport};
use drivers::ruleset::Ip;
use serde::Deserialize;

use crate::convert;

/// What portmap is to do, validated.
#[derive(Debug)]
pub(super) struct Conf {
    pub(super) snat: Snat,
    pub(super) conflict: Conflict,
    pub(super) classes: Vec<Class>,
    pub(super) mappings: Vec<Published>,
}

/// What a process listening on a host port means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conflict {
    /// A warning: Podman holds its containers' ports itself.
    Warn,
    /// An error.
    Error,
}

/// A mapping as configured, before the container's addresses are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) transport: Transport,
    pub(super) host: HostIp,
    pub(super) host_port: u16,
    pub(super) container_port: u16,
}

/// On which of the host's addresses a port is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostIp {
    /// All, of both families.
    Any,
    /// All of a family (`0.0.0.0` or `::`).
    AnyOf(Ip),
    /// One.
    One(IpAddr),
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    backend: String,
    snat: bool,
    masq_all: bool,
    mark_masq_bit: Option<i64>,
    external_set_mark_chain: Option<String>,
    #[serde(rename = "conditionsV4")]
    conditions_v4: Vec<String>,
    #[serde(rename = "conditionsV6")]
    conditions_v6: Vec<String>,
    host_port_conflict: String,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            backend: String::new(),
            snat: true,
            masq_all: false,
            mark_masq_bit: None,
            external_set_mark_chain: None,
            conditions_v4: Vec::new(),
            conditions_v6: Vec::new(),
            host_port_conflict: String::new(),
        }
    }
}

impl Conf {
    pub(super) fn of(request: &Request) -> Result<Self, Error> {
        let wire: Wire = json::decode(&request.conf.raw)?;
        check_backend(&wire)?;
        let snat = match (wire.snat, wire.masq_all) {
            (false, _) => Snat::Off,
            (true, true) => Snat::All,
            (true, false) => Snat::Needed,
        };
        let conflict = match wire.host_port_conflict.as_str() {
            "" | "warn" => Conflict::Warn,
            "error" => Conflict::Error,
            other => {
                return Err(Error::config(format!(
                    "hostPortConflict: {other:?} is not \"warn\" or \"error\""
                )));
            }
        };
        let mappings = request.conf.port_mappings()?;
        Ok(Self {
            snat,
            conflict,
            classes: vec![
                class("conditionsV4", Ip::V4, &wire.conditions_v4)?,
                class("conditionsV6", Ip::V6, &wire.conditions_v6)?,
            ],
            mappings: mappings.iter().enumerate().map(published).collect::<Result<_, _>>()?,
        })
    }
}

/// The reference marks packets in one chain and masquerades them in another; here what would be
/// marked is masqueraded directly, so both keys are checked and mean the same as `snat`.
fn check_backend(wire: &Wire) -> Result<(), Error> {
    match wire.backend.as_str() {
        "" | "iptables" | "nftables" => {}
        other => {
            return Err(Error::config(format!(
                "unrecognized backend {other:?}: use \"iptables\" or \"nftables\""
            )));
        }
    }
    if let Some(bit) = wire.mark_masq_bit
        && !(0..=31).contains(&bit)
    {
        return Err(Error::config(format!(
            "MasqMarkBit must be between 0 and 31, markMasqBit is {bit}"
        )));
    }
    if wire.mark_masq_bit.is_some() && wire.external_set_mark_chain.is_some() {
        return Err(Error::config("Cannot specify externalSetMarkChain and markMasqBit"));
    }
    Ok(())
}

/// A condition that is not understood must not be passed over: code 2, "unsupported field".
fn class(key: &str, ip: Ip, texts: &[String]) -> Result<Class, Error> {
    let conditions = conditions::parse(ip, &texts.join(" "))
        .map_err(|e| Error::unsupported(format!("{key}: {e}")))?;
    Ok(Class { ip, conditions })
}

fn published((index, mapping): (usize, &PortMapping)) -> Result<Published, Error> {
    let key = |name: &str| format!("runtimeConfig.portMappings[{index}].{name}");
    if mapping.host_port == 0 {
        let key = key("hostPort");
        return Err(Error::config(format!("Invalid host port number: 0 ({key}: use 1 to 65535)")));
    }
    if mapping.container_port == 0 {
        let key = key("containerPort");
        return Err(Error::config(format!(
            "Invalid container port number: 0 ({key}: use 1 to 65535)"
        )));
    }
    let transport = match mapping.protocol.to_ascii_lowercase().as_str() {
        "" => Some(Transport::Tcp),
        word => Transport::named(word),
    };
    let transport = transport.ok_or_else(|| {
        Error::config(format!(
            "{}: {:?} is not \"tcp\", \"udp\" or \"sctp\"",
            key("protocol"),
            mapping.protocol
        ))
    })?;
    Ok(Published {
        transport,
        host: host_ip(&key("hostIP"), &mapping.host_ip)?,
        host_port: mapping.host_port,
        container_port: mapping.container_port,
    })
}

fn host_ip(key: &str, text: &str) -> Result<HostIp, Error> {
    if text.is_empty() {
        return Ok(HostIp::Any);
    }
    // An IPv4 address in the form of IPv6 (RFC 4291 section 2.5.5.2) is one of IPv4.
    let ip = convert::ip_addr(key, text)?.to_canonical();
    Ok(if ip.is_unspecified() { HostIp::AnyOf(Ip::of(ip)) } else { HostIp::One(ip) })
}
