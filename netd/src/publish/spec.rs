//! From a text to ports.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{HostPort, Publication, Transport};

/// Why a text publishes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No port of the container.
    #[error("no port specified: {0}: write the container's port last, as in 8080:80")]
    NoPort(String),
    /// The address.
    #[error("invalid IP address: {0}: write it as 192.0.2.1 or [2001:db8::1]")]
    Ip(String),
    /// A port, or a range of them.
    #[error("invalid {whose}Port: {text}: {why}")]
    Port {
        /// "host" or "container".
        whose: &'static str,
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Ranges of different lengths.
    #[error(
        "invalid ranges specified for container and host Ports: {container} and {host}: give as many \
         ports of the host as of the container, or one port of the container"
    )]
    Ranges {
        /// The container's.
        container: String,
        /// The host's.
        host: String,
    },
    /// The protocol.
    #[error("invalid proto: {0}: use tcp, udp or sctp")]
    Protocol(String),
    /// A part of the long form.
    #[error("invalid publish opts format (should be name=value but got '{0}')")]
    NoValue(String),
    /// A key of the long form.
    #[error("invalid publish option {0}: use target, published and protocol")]
    Option(String),
}

const NO_NUMBER: &str = "it is no number from 1 to 65535";
const BACKWARDS: &str = "the range ends before it begins";

/// Reads either form.
pub(super) fn read(text: &str) -> Result<Vec<Publication>, PublishError> {
    if text.contains('=') {
        return long(text);
    }
    let (ip, host, container) = parts(text);
    let (container, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
    if container.is_empty() {
        return Err(PublishError::NoPort(text.to_owned()));
    }
    ports(address(ip)?, host, container, protocol)
}

/// `target=80,published=8080,protocol=udp`, as Docker's Swarm writes it.
fn long(text: &str) -> Result<Vec<Publication>, PublishError> {
    let mut given = BTreeMap::new();
    for part in text.split(',') {
        let pair = part.split_once('=').filter(|(key, _)| !key.is_empty());
        let (key, value) = pair.ok_or_else(|| PublishError::NoValue(part.to_owned()))?;
        // A port of this host is all that there is.
        if !["target", "published", "protocol"].contains(&key) && part != "mode=host" {
            return Err(PublishError::Option(part.to_owned()));
        }
        given.insert(key, value);
    }
    let of = |key: &str| given.get(key).copied();
    let target = of("target").filter(|port| !port.is_empty());
    let target = target.ok_or_else(|| PublishError::NoPort(text.to_owned()))?;
    ports(None, of("published").unwrap_or_default(), target, of("protocol").unwrap_or("tcp"))
}

/// Address, port of the host, port of the container: the last colons count, an address may have some.
fn parts(text: &str) -> (&str, &str, &str) {
    let Some((rest, container)) = text.rsplit_once(':') else { return ("", "", text) };
    match rest.rsplit_once(':') {
        Some((ip, host)) => (ip, host, container),
        None => ("", rest, container),
    }
}

/// Brackets around an address are optional. One in IPv6's form for IPv4 is one of IPv4 (RFC 4291
/// section 2.5.5.2).
fn address(text: &str) -> Result<Option<IpAddr>, PublishError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let ip: Result<IpAddr, _> = bare.parse();
    ip.map(|ip| Some(ip.to_canonical())).map_err(|_| PublishError::Ip(text.to_owned()))
}

fn ports(
    host_ip: Option<IpAddr>,
    host: &str,
    container: &str,
    protocol: &str,
) -> Result<Vec<Publication>, PublishError> {
    let (first, last) = range("container", container)?;
    // 0 is any port, as for the kernel.
    let wanted = if matches!(host, "" | "0") { None } else { Some(range("host", host)?) };
    let lower = protocol.to_ascii_lowercase();
    let protocol = Transport::named(&lower).ok_or(PublishError::Protocol(lower))?;
    let publication =
        |host_port, container_port| Publication { host_ip, host_port, container_port, protocol };
    match wanted {
        None => Ok((first..=last).map(|port| publication(HostPort::Any, port)).collect()),
        Some((from, to)) if to - from == last - first => {
            let pairs = (from..=to).zip(first..=last);
            Ok(pairs.map(|(host, port)| publication(HostPort::One(host), port)).collect())
        }
        Some((from, to)) if first == last => {
            Ok(vec![publication(HostPort::OneOf(from, to), first)])
        }
        Some(_) => {
            Err(PublishError::Ranges { container: container.to_owned(), host: host.to_owned() })
        }
    }
}

/// A port, or the first and the last of several.
fn range(whose: &'static str, text: &str) -> Result<(u16, u16), PublishError> {
    let wrong = |why| PublishError::Port { whose, text: text.to_owned(), why };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let port: Option<u16> = text.parse().ok();
        port.filter(|port| is_number && *port != 0)
    };
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        (Some(_), Some(_)) => Err(wrong(BACKWARDS)),
        _ => Err(wrong(NO_NUMBER)),
    }
}
