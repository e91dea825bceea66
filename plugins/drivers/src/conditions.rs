//! The grammar of conditions on published ports: the part of iptables' and nft's that is taken.
//!
//! All conditions must hold. A text is any number of:
//!
//! ```text
//! [!] -s|--src|--source NET          ip|ip6 saddr [==|!=] NET
//! [!] -d|--dst|--destination NET     ip|ip6 daddr [==|!=] NET
//! [!] -i|--in-interface NAME         iifname [==|!=] NAME
//! ```
//!
//! NET is an address or a network of the family asked for. Anything else is an error: a condition
//! that were passed over would open a port to more than was meant.

use std::fmt;

use ipnetwork::IpNetwork;
use netstate::{LinkName, NameError};

use crate::container::network_of;
use crate::ruleset::Ip;

/// A condition on the packets a mapping applies to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Source network.
    Source {
        /// Must not be in it.
        not: bool,
        /// The network.
        net: IpNetwork,
    },
    /// Destination network.
    Destination {
        /// Must not be in it.
        not: bool,
        /// The network.
        net: IpNetwork,
    },
    /// Input interface.
    Input {
        /// Must be another.
        not: bool,
        /// Its name.
        link: LinkName,
    },
}

/// Why a text is not a list of conditions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// A word that starts no condition.
    #[error(
        "condition {0:?} is not supported: use -s, -d, -i (with ! before), or ip saddr, ip daddr, \
         iifname (with != after; ip6 for IPv6)"
    )]
    Unknown(String),
    /// Not a network of the family.
    #[error("{text:?} is not an {family} address or network")]
    Net {
        /// What was written.
        text: String,
        /// `IPv4` or `IPv6`.
        family: &'static str,
    },
    /// A pattern of names.
    #[error("interface {0:?}: wildcards are not supported, name one interface")]
    Wildcard(String),
    /// Not an interface name.
    #[error(transparent)]
    Link(#[from] NameError),
}

/// Reads conditions; they come sorted and without doubles.
///
/// # Errors
/// [`ConditionError`] for the first word that is not understood.
pub fn parse(ip: Ip, text: &str) -> Result<Vec<Condition>, ConditionError> {
    let mut words = Words { ip, words: text.split_whitespace().collect(), at: 0 };
    let mut conditions = Vec::new();
    while let Some(word) = words.next() {
        conditions.push(words.condition(word)?);
    }
    conditions.sort();
    conditions.dedup();
    Ok(conditions)
}

/// Conditions as [`parse`] reads them back.
#[must_use]
pub fn text(conditions: &[Condition]) -> String {
    let words: Vec<String> = conditions.iter().map(ToString::to_string).collect();
    words.join(" ")
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (option, not, value): (_, _, &dyn fmt::Display) = match self {
            Self::Source { not, net } => ("-s", *not, net),
            Self::Destination { not, net } => ("-d", *not, net),
            Self::Input { not, link } => ("-i", *not, link),
        };
        write!(f, "{}{option} {value}", if not { "! " } else { "" })
    }
}

struct Words<'a> {
    ip: Ip,
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at).copied();
        self.at += 1;
        word
    }

    fn condition(&mut self, first: &str) -> Result<Condition, ConditionError> {
        if first == "!" {
            let option = self.next().unwrap_or_default();
            return self.option(option, true);
        }
        if first.starts_with('-') {
            return self.option(first, false);
        }
        match (first, self.ip) {
            ("ip", Ip::V4) | ("ip6", Ip::V6) => {
                let side = self.next().unwrap_or_default();
                let (not, value) = self.operator();
                match side {
                    "saddr" => Ok(Condition::Source { not, net: self.net(value)? }),
                    "daddr" => Ok(Condition::Destination { not, net: self.net(value)? }),
                    other => Err(ConditionError::Unknown(format!("{first} {other}"))),
                }
            }
            ("iifname", _) => {
                let (not, value) = self.operator();
                Ok(Condition::Input { not, link: link(value)? })
            }
            (other, _) => Err(ConditionError::Unknown(other.to_owned())),
        }
    }

    fn option(&mut self, option: &str, not: bool) -> Result<Condition, ConditionError> {
        let value = self.next();
        match option {
            "-s" | "--src" | "--source" => Ok(Condition::Source { not, net: self.net(value)? }),
            "-d" | "--dst" | "--destination" => {
                Ok(Condition::Destination { not, net: self.net(value)? })
            }
            "-i" | "--in-interface" => Ok(Condition::Input { not, link: link(value)? }),
            other => Err(ConditionError::Unknown(other.to_owned())),
        }
    }

    fn operator(&mut self) -> (bool, Option<&'a str>) {
        match self.next() {
            Some("!=") => (true, self.next()),
            Some("==") => (false, self.next()),
            value => (false, value),
        }
    }

    fn net(&self, text: Option<&str>) -> Result<IpNetwork, ConditionError> {
        let text = text.unwrap_or_default();
        let net: Option<IpNetwork> = text.parse().ok();
        let net = net.filter(|n| n.is_ipv4() == (self.ip == Ip::V4));
        let family = if self.ip == Ip::V4 { "IPv4" } else { "IPv6" };
        net.map(network_of).ok_or(ConditionError::Net { text: text.to_owned(), family })
    }
}

fn link(text: Option<&str>) -> Result<LinkName, ConditionError> {
    let name = text.unwrap_or_default().trim_matches('"');
    if name.contains(['+', '*']) {
        return Err(ConditionError::Wildcard(name.to_owned()));
    }
    Ok(LinkName::new(name)?)
}

#[cfg(test)]
mod tests;
