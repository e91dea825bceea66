//! An address with its prefix length, as CNI writes it: `10.0.0.5/24`.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address and the length of its network's prefix. The host part is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpNet {
    /// The address.
    pub addr: IpAddr,
    /// The prefix length in bits.
    pub prefix: u8,
}

impl IpNet {
    /// An address with a prefix length.
    ///
    /// # Errors
    /// The prefix length is longer than the address.
    pub fn new(addr: IpAddr, prefix: u8) -> Result<Self, ParseIpNetError> {
        if prefix > bits(addr) {
            let reason = format!("the prefix length is at most {}", bits(addr));
            return Err(ParseIpNetError { text: format!("{addr}/{prefix}"), reason });
        }
        Ok(Self { addr, prefix })
    }

    /// The address alone: /32 or /128.
    #[must_use]
    pub fn host(addr: IpAddr) -> Self {
        Self { addr, prefix: bits(addr) }
    }

    /// Whether this is IPv4.
    #[must_use]
    pub fn is_ipv4(self) -> bool {
        self.addr.is_ipv4()
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

/// Text that is no address with a prefix length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid CIDR address {text:?}: {reason}")]
pub struct ParseIpNetError {
    text: String,
    reason: String,
}

impl FromStr for IpNet {
    type Err = ParseIpNetError;

    /// Reads `ADDRESS/LENGTH`. No leading zeros, no sign, no zone, no netmask.
    fn from_str(text: &str) -> Result<Self, ParseIpNetError> {
        let fail = |reason: String| ParseIpNetError { text: text.to_owned(), reason };
        let (addr, prefix) =
            text.split_once('/').ok_or_else(|| fail("no prefix length".to_owned()))?;
        let addr: IpAddr = addr.parse().map_err(|_| fail(format!("{addr:?} is no IP address")))?;
        let digits = (1..=3).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_digit());
        let strict = digits && (prefix == "0" || !prefix.starts_with('0'));
        let length = prefix.parse().ok().filter(|length| strict && *length <= bits(addr));
        let wanted = || format!("the prefix length is a number from 0 to {}", bits(addr));
        Ok(Self { addr, prefix: length.ok_or_else(|| fail(wanted()))? })
    }
}

impl Serialize for IpNet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IpNet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(CidrText)
    }
}

struct CidrText;

impl Visitor<'_> for CidrText {
    type Value = IpNet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address like \"10.0.0.5/24\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<IpNet, E> {
        text.parse().map_err(E::custom)
    }
}

/// For `#[serde(deserialize_with)]`: an address, where the empty string means none, as Go's
/// `net.IP` reads it.
///
/// # Errors
/// The value is no string, or no address.
pub fn optional_ip<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    deserializer.deserialize_str(OptionalIp)
}

struct OptionalIp;

impl Visitor<'_> for OptionalIp {
    type Value = Option<IpAddr>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an IP address")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<IpAddr>, E> {
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| E::custom("expected an IP address"))
    }
}

fn bits(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests;
