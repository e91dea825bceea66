//! What a daemon had before, from a file that somebody may have edited.

use std::io;
use std::path::Path;
use std::str::FromStr;

use ipnetwork::{Ipv4Network, Ipv6Network};

use super::error::{self, Error};

/// The networks and subnets a daemon had before. None of them where there is no file, where the
/// key is not there or has more than one value, or none that makes sense: a daemon starts with
/// whatever is left of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Previous {
    /// The cluster's IPv4 network.
    pub network: Option<Ipv4Network>,
    /// The IPv4 subnet, by its base address.
    pub subnet: Option<Ipv4Network>,
    /// The cluster's IPv6 network.
    pub ipv6_network: Option<Ipv6Network>,
    /// The IPv6 subnet, by its base address.
    pub ipv6_subnet: Option<Ipv6Network>,
    /// What was there but made no sense, as `KEY=ELEMENT`: for the log.
    pub skipped: Vec<String>,
}

impl Previous {
    /// Reads the file with the habits of dotenv files: comments, quotes, `export`, white space.
    ///
    /// # Errors
    /// It is there, but cannot be read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Self::parse(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error::file("read", path)(error)),
        }
    }

    /// Reads the file's text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut skipped = Vec::new();
        let network = only(text, "FLANNEL_NETWORK", &mut skipped);
        let subnet = only(text, "FLANNEL_SUBNET", &mut skipped);
        let ipv6_network = only(text, "FLANNEL_IPV6_NETWORK", &mut skipped);
        let ipv6_subnet = only(text, "FLANNEL_IPV6_SUBNET", &mut skipped);
        let v4 = |net: Ipv4Network| Ipv4Network::new(net.network(), net.prefix()).ok();
        let v6 = |net: Ipv6Network| Ipv6Network::new(net.network(), net.prefix()).ok();
        Self {
            network: network.and_then(v4),
            subnet: subnet.and_then(v4),
            ipv6_network: ipv6_network.and_then(v6),
            ipv6_subnet: ipv6_subnet.and_then(v6),
            skipped,
        }
    }
}

/// The only element of a key's comma list that makes sense.
fn only<N: FromStr>(text: &str, key: &str, skipped: &mut Vec<String>) -> Option<N> {
    let value = text.lines().filter_map(entry).rfind(|(k, _)| *k == key)?.1;
    let mut found = Vec::new();
    for item in value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        match item.parse() {
            Ok(net) if item.contains('/') => found.push(net),
            _ => skipped.push(format!("{key}={item}")),
        }
    }
    found.pop().filter(|_| found.is_empty())
}

/// A line's key and value; none for a comment.
fn entry(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (key, value) = line.split_once('=')?;
    Some((key.trim(), unquoted(value.trim())))
}

/// The value between quotes, or up to a comment.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|v| v.split_once(quote)) {
            return inside;
        }
    }
    value.split_once(" #").map_or(value, |(value, _)| value).trim_end()
}
