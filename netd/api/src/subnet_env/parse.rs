//! The file by the letter, as flannel's CNI plugin reads it.

use std::str::FromStr;

use ipnetwork::{Ipv4Network, Ipv6Network};

use super::{Fault, SubnetEnv};

const CIDR_V4: &str = "an IPv4 network like 10.5.0.0/16";
const CIDR_V6: &str = "an IPv6 network like fc00::/48";

/// What a file may say.
const KEYS: [&str; 6] = [
    "FLANNEL_NETWORK",
    "FLANNEL_IPV6_NETWORK",
    "FLANNEL_SUBNET",
    "FLANNEL_IPV6_SUBNET",
    "FLANNEL_MTU",
    "FLANNEL_IPMASQ",
];

pub(super) fn parse(text: &str) -> Result<SubnetEnv, Fault> {
    let mut env = SubnetEnv::default();
    let mut mtu = None;
    let mut ip_masq = None;
    for (at, line) in text.lines().enumerate() {
        let Some(entry) = Entry::of(at + 1, line)? else { continue };
        match entry.key {
            "FLANNEL_NETWORK" => env.networks = entry.list(CIDR_V4, network_v4)?,
            "FLANNEL_SUBNET" => env.subnet = Some(entry.one(CIDR_V4, cidr)?),
            "FLANNEL_IPV6_NETWORK" => env.ipv6_networks = entry.list(CIDR_V6, network_v6)?,
            "FLANNEL_IPV6_SUBNET" => env.ipv6_subnet = Some(entry.one(CIDR_V6, cidr)?),
            "FLANNEL_MTU" => mtu = Some(entry.one("a number of bytes", number)?),
            _ => ip_masq = Some(entry.value == "true"),
        }
    }
    let missing = missing(&env, mtu.is_some(), ip_masq.is_some());
    if !missing.is_empty() {
        return Err(Fault::Missing(missing));
    }
    Ok(SubnetEnv { mtu: mtu.unwrap_or_default(), ip_masq: ip_masq.unwrap_or_default(), ..env })
}

/// A line with a key that means something.
struct Entry<'t> {
    line: usize,
    key: &'static str,
    value: &'t str,
}

impl<'t> Entry<'t> {
    fn of(line: usize, text: &'t str) -> Result<Option<Self>, Fault> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (text, None),
        };
        let Some(key) = KEYS.into_iter().find(|known| *known == key) else { return Ok(None) };
        // The reference dies here.
        let value = value.ok_or(Fault::NoValue { line, key })?;
        Ok(Some(Self { line, key, value }))
    }

    fn one<T>(&self, expected: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T, Fault> {
        let Self { line, key, value } = *self;
        read(value).ok_or_else(|| Fault::Value { line, key, value: value.to_owned(), expected })
    }

    /// A comma list, each element once.
    fn list<T: PartialEq>(
        &self,
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Fault> {
        let mut all = Vec::new();
        for item in self.value.split(',') {
            let item = self.one(expected, |_| read(item))?;
            if !all.contains(&item) {
                all.push(item);
            }
        }
        Ok(all)
    }
}

fn missing(env: &SubnetEnv, mtu: bool, ip_masq: bool) -> Vec<&'static str> {
    let network = !env.networks.is_empty() || !env.ipv6_networks.is_empty();
    let subnet = env.subnet.is_some() || env.ipv6_subnet.is_some();
    let there = [network, network, subnet, subnet, mtu, ip_masq];
    KEYS.into_iter().zip(there).filter(|(_, there)| !there).map(|(key, _)| key).collect()
}

/// Only with a prefix length, as everywhere in flannel.
fn cidr<N: FromStr>(text: &str) -> Option<N> {
    text.parse().ok().filter(|_| text.contains('/'))
}

fn network_v4(text: &str) -> Option<Ipv4Network> {
    let network: Ipv4Network = cidr(text)?;
    Ipv4Network::new(network.network(), network.prefix()).ok()
}

fn network_v6(text: &str) -> Option<Ipv6Network> {
    let network: Ipv6Network = cidr(text)?;
    Ipv6Network::new(network.network(), network.prefix()).ok()
}

/// Digits only: what Rust takes beside them (`+1`), Go does not.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}
