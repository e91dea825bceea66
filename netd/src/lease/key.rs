//! Keys of leases: the subnet of a host.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

/// The subnet of a host. Its text is the last element of flannel's key: `10.5.52.0-24`, and with
/// an IPv6 subnet `10.5.52.0-24&fd00:12:13::-56`.
///
/// Source: flannel `pkg/subnet/subnet.go`, `MakeSubnetKey`, `ParseSubnetKey`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubnetKey {
    /// The IPv4 subnet, without host bits.
    pub v4: Ipv4Network,
    /// The IPv6 subnet, without host bits.
    pub v6: Option<Ipv6Network>,
}

/// A text that is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no subnet: {reason}")]
pub struct InvalidKey {
    text: String,
    reason: String,
}

impl SubnetKey {
    /// The key of these subnets; host bits are masked off.
    #[must_use]
    pub fn new(v4: Ipv4Network, v6: Option<Ipv6Network>) -> Self {
        Self { v4: masked_v4(v4), v6: v6.map(masked_v6) }
    }

    /// Whether an address is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let v6 = self.v6.zip(other.v6).is_some_and(|(a, b)| a.overlaps(b));
        self.v4.overlaps(other.v4) || v6
    }

    /// The subnets as networks, IPv4 first.
    pub fn networks(&self) -> impl Iterator<Item = IpNetwork> + use<> {
        [Some(self.v4.into()), self.v6.map(IpNetwork::from)].into_iter().flatten()
    }
}

impl fmt::Display for SubnetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.v4.network(), self.v4.prefix())?;
        match self.v6 {
            Some(v6) => write!(f, "&{}-{}", v6.network(), v6.prefix()),
            None => Ok(()),
        }
    }
}

impl FromStr for SubnetKey {
    type Err = InvalidKey;

    /// Reads the last element of a key. IPv6 addresses need not be in canonical form.
    ///
    /// Stricter than flannel where nothing writes such keys: a text before the subnet, leading
    /// zeros and host bits are refused. Prefix lengths reach to 31 and 127, as flannel reads them.
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        parse(text).map_err(|reason| InvalidKey { text: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<SubnetKey, String> {
    let (v4, v6) = match text.split_once('&') {
        Some((v4, v6)) => (v4, Some(v6)),
        None => (text, None),
    };
    let (address, length) = split::<Ipv4Addr>(v4, 31, "IPv4")?;
    let v4 = Ipv4Network::new(address, length).map_err(|error| error.to_string())?;
    if v4 != masked_v4(v4) {
        return Err(format!("{v4} has bits set beyond its prefix, write {}", masked_v4(v4)));
    }
    let Some(v6) = v6 else { return Ok(SubnetKey { v4, v6: None }) };
    let (address, length) = split::<Ipv6Addr>(v6, 127, "IPv6")?;
    let v6 = Ipv6Network::new(address, length).map_err(|error| error.to_string())?;
    if v6 != masked_v6(v6) {
        return Err(format!("{v6} has bits set beyond its prefix, write {}", masked_v6(v6)));
    }
    Ok(SubnetKey { v4, v6: Some(v6) })
}

/// `ADDRESS-LENGTH`.
fn split<A: FromStr>(text: &str, longest: u8, family: &str) -> Result<(A, u8), String> {
    let (address, length) = text
        .rsplit_once('-')
        .ok_or_else(|| format!("{text:?} is no {family} address, `-` and prefix length"))?;
    let address = address.parse().map_err(|_| format!("{address:?} is no address of {family}"))?;
    // `+8` is an integer for Rust.
    let number = length.bytes().all(|b| b.is_ascii_digit()).then(|| length.parse().ok());
    match number.flatten() {
        Some(length) if length <= longest => Ok((address, length)),
        _ => Err(format!("{length:?} is no prefix length from 0 to {longest}")),
    }
}

fn masked_v4(network: Ipv4Network) -> Ipv4Network {
    Ipv4Network::new(network.network(), network.prefix()).unwrap_or(network)
}

fn masked_v6(network: Ipv6Network) -> Ipv6Network {
    Ipv6Network::new(network.network(), network.prefix()).unwrap_or(network)
}

#[cfg(test)]
mod tests;
