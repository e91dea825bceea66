//! Published ports.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use drivers::ports::{Mapping, Transport};
use netd_api::attach::Port;
use serde::{Deserialize, Serialize};

use super::wanted::wrong;
use super::{Dynamic, EndpointError};
use crate::proxy::Forward;
use crate::store::random;

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The host's address; unspecified for any of its family, none for any.
    pub host_ip: Option<IpAddr>,
    /// On the host; 0 where it is still to be chosen.
    pub host_port: u16,
    /// Of which it may be any, both ends included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(u16, u16)>,
    /// In the container.
    pub container_port: u16,
}

/// Whether who listens on an address of the host, none for all, listens on the other, too.
pub fn covers(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    match (one, other) {
        (None, _) => true,
        (Some(one), Some(other)) => {
            one == other || (one.is_unspecified() && one.is_ipv4() == other.is_ipv4())
        }
        (Some(_), None) => false,
    }
}

/// As `-p` takes it.
impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:")?,
            None => {}
        }
        write!(f, "{}:{}/{}", self.host_port, self.container_port, self.protocol)
    }
}

impl Published {
    /// Reads one of a request's.
    pub(super) fn read(at: usize, port: &Port, dynamic: &Dynamic) -> Result<Self, EndpointError> {
        let key = |name: &str| format!("ports[{at}].{name}");
        if port.container_port == 0 {
            return Err(wrong(&key("containerPort"), "0 is no port: use 1 to 65535"));
        }
        let range = match (port.host_port, port.host_port_end) {
            (0, None) => Some(dynamic.range()),
            (_, None) => None,
            (from, Some(to)) if 0 < from && from <= to => Some((from, to)),
            (from, Some(to)) => {
                let why = format!("{from}-{to} is no range: write the lower port first, from 1 on");
                return Err(wrong(&key("hostPortEnd"), &why));
            }
        };
        let host_ip = match port.host_ip.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| {
                wrong(&key("hostIP"), &format!("{text:?} is no address: write it as 192.0.2.1"))
            })?),
        };
        let protocol = port.protocol.to_ascii_lowercase();
        let protocol = if protocol.is_empty() { "tcp".to_owned() } else { protocol };
        if Transport::named(&protocol).is_none() {
            let why = format!("{:?} is not one of tcp, udp, sctp", port.protocol);
            return Err(wrong(&key("protocol"), &why));
        }
        let host_port = if range.is_some() { 0 } else { port.host_port };
        Ok(Self { protocol, host_ip, host_port, range, container_port: port.container_port })
    }

    /// Nothing is published twice, where one address of the host, or none, `covers` another's or the same.
    ///
    /// # Errors
    /// [`EndpointError::Request`], with both.
    pub fn distinct(
        all: &[Self],
        covers: impl Fn(Option<IpAddr>, Option<IpAddr>) -> bool,
    ) -> Result<(), EndpointError> {
        let mut seen: BTreeMap<(&str, u16), Vec<&Self>> = BTreeMap::new();
        for port in all.iter().filter(|port| port.range.is_none()) {
            let before = seen.entry((&port.protocol, port.host_port)).or_default();
            let other = before.iter().find(|other| {
                covers(other.host_ip, port.host_ip) || covers(port.host_ip, other.host_ip)
            });
            if let Some(other) = other {
                let why = format!(
                    "{other} and {port} are one port of the host: give each one of its own, or leave \
                     one out"
                );
                return Err(wrong("ports", &why));
            }
            before.push(port);
        }
        Ok(())
    }

    /// Whether its host port is still to be chosen.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.range.is_some() && self.host_port == 0
    }

    /// The host ports to try one after the other, where it is still to be chosen: the lowest first, or where
    /// any will do from anywhere on.
    #[must_use]
    pub fn choice(&self, dynamic: &Dynamic) -> Option<impl Iterator<Item = u16> + use<>> {
        let (from, to) = self.range.filter(|_| self.is_open())?;
        let is_any = (from, to) == dynamic.range();
        let count = u32::from(to.saturating_sub(from)) + 1;
        // Those of before are not the next: clients may still be sending to them.
        let start = match is_any {
            true => u32::try_from(random() % u64::from(count)).unwrap_or(0),
            false => 0,
        };
        let port = move |at: u32| from.checked_add(u16::try_from(at % count).ok()?);
        let dynamic = dynamic.clone();
        let is_free = move |port: &u16| !is_any || !dynamic.is_reserved(*port);
        Some((start..start + count).filter_map(port).filter(is_free))
    }

    /// Whether this is held for it.
    #[must_use]
    pub fn is(&self, forward: &Forward) -> bool {
        forward.listen.port() == self.host_port
            && forward.protocol.to_string() == self.protocol
            && self.host_ip.is_none_or(|ip| ip == forward.listen.ip())
    }

    /// The host's addresses that it is published on, unspecified for all of a family. Where none was asked
    /// for it is published on `default`.
    #[must_use]
    pub fn hosts(&self, default: Option<IpAddr>) -> Vec<IpAddr> {
        match (self.host_ip, default) {
            (Some(ip), _) => vec![ip],
            // Docker: 0.0.0.0 of the network's options is every address of the host.
            (None, Some(ip)) if ip != IpAddr::V4(Ipv4Addr::UNSPECIFIED) => vec![ip],
            (None, _) => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        }
    }

    /// The mapping to an address of the container, where it is for that family.
    #[must_use]
    pub fn to(&self, container_ip: IpAddr, default: Option<IpAddr>) -> Option<Mapping> {
        let mut hosts = self.hosts(default).into_iter();
        let host = hosts.find(|host| host.is_ipv4() == container_ip.is_ipv4())?;
        Some(Mapping {
            transport: Transport::named(&self.protocol)?,
            host_ip: Some(host).filter(|host| !host.is_unspecified()),
            host_port: self.host_port,
            container_ip,
            container_port: self.container_port,
        })
    }
}
