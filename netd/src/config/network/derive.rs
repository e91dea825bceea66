//! Defaults and limits of the range of subnets, the same for both families.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnetwork::{Ipv4Network, Ipv6Network};

use super::InvalidConfig;
use super::pool::Pool;
use super::raw::Raw;

/// What differs between the families: the names of the keys, and the numbers.
struct Family {
    network: &'static str,
    length: &'static str,
    min: &'static str,
    max: &'static str,
    bits: u8,
    /// The longest prefix of a subnet.
    longest: u8,
    /// The longest prefix of a network without a length of subnets.
    longest_network: u8,
    /// Up to which prefix of the network subnets get the usual length, and that.
    usual: (u8, u8),
    /// Where no subnet can be, and what is there: Linux routes no packet with such an address.
    barred: &'static [(&'static str, &'static str)],
    example: &'static str,
}

const V4: Family = Family {
    network: "Network",
    length: "SubnetLen",
    min: "SubnetMin",
    max: "SubnetMax",
    bits: 32,
    longest: 30,
    longest_network: 28,
    usual: (22, 24),
    // 240.0.0.0/4 and 0.0.0.0/8 are unicast for Linux.
    barred: &[("127.0.0.0/8", "loopback"), ("224.0.0.0/4", "multicast")],
    example: "\"10.5.0.0/16\"",
};

const V6: Family = Family {
    network: "IPv6Network",
    length: "IPv6SubnetLen",
    min: "IPv6SubnetMin",
    max: "IPv6SubnetMax",
    bits: 128,
    longest: 126,
    longest_network: 124,
    usual: (62, 64),
    barred: &[
        ("::/127", "loopback"),
        ("::ffff:0:0/96", "for IPv4 addresses"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    ],
    example: "\"fd00:5::/48\"",
};

/// The network as a number, its prefix length, and its text.
struct Network<T> {
    base: u128,
    prefix: u8,
    shown: T,
}

pub(super) fn v4(raw: &Raw) -> Result<(Ipv4Network, Pool), InvalidConfig> {
    let (base, prefix) = cidr::<Ipv4Addr>(&V4, raw.network.as_deref())?;
    let network = masked(Ipv4Network::new(base, prefix), Ipv4Network::network, |base| {
        Ipv4Network::new(base, prefix)
    })?;
    let base = u128::from(u32::from(network.network()));
    let of = Network { base, prefix, shown: network };
    let ends = (raw.subnet_min.as_deref(), raw.subnet_max.as_deref());
    Ok((network, pool::<Ipv4Addr, _>(&V4, &of, raw.subnet_len, ends)?))
}

pub(super) fn v6(raw: &Raw) -> Result<(Ipv6Network, Pool), InvalidConfig> {
    let (base, prefix) = cidr::<Ipv6Addr>(&V6, raw.ipv6_network.as_deref())?;
    let network = masked(
        Ipv6Network::new(base, prefix),
        |n| n.network(),
        |base| Ipv6Network::new(base, prefix),
    )?;
    let of = Network { base: network.network().into(), prefix, shown: network };
    let ends = (raw.ipv6_subnet_min.as_deref(), raw.ipv6_subnet_max.as_deref());
    Ok((network, pool::<Ipv6Addr, _>(&V6, &of, raw.ipv6_subnet_len, ends)?))
}

/// `ADDRESS/LENGTH`, of which the length is not 0.
fn cidr<A: FromStr>(family: &Family, text: Option<&str>) -> Result<(A, u8), InvalidConfig> {
    let write = format!("write it as in {}", family.example);
    let Some(text) = text else {
        return Err(InvalidConfig::new(format_args!("{} is missing; {write}", family.network)));
    };
    let wrong = || {
        let what = format!("it is no network of IPv{}", if family.bits == 32 { 4 } else { 6 });
        InvalidConfig::of(family.network, format_args!("{text:?}"), what, &write)
    };
    let (address, length) = text.split_once('/').ok_or_else(wrong)?;
    let address = address.parse().map_err(|_| wrong())?;
    let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    let length: u8 = digits.then(|| length.parse().ok()).flatten().ok_or_else(wrong)?;
    if length > family.bits {
        return Err(wrong());
    }
    if length == 0 {
        let what = "it is all addresses there are";
        return Err(InvalidConfig::of(family.network, format_args!("{text:?}"), what, &write));
    }
    Ok((address, length))
}

/// A network without host bits. What has come through [`cidr`] makes one.
fn masked<N, A>(
    network: Result<N, ipnetwork::IpNetworkError>,
    base: impl Fn(&N) -> A,
    of: impl Fn(A) -> Result<N, ipnetwork::IpNetworkError>,
) -> Result<N, InvalidConfig> {
    network.and_then(|network| of(base(&network))).map_err(InvalidConfig::new)
}

fn pool<A: FromStr + Into<IpAddr>, T: Display>(
    family: &Family,
    network: &Network<T>,
    length: Option<u32>,
    (min, max): (Option<&str>, Option<&str>),
) -> Result<Pool, InvalidConfig> {
    let length = length_of(family, network, length.filter(|length| *length > 0))?;
    let size = 1_u128 << (family.bits - length);
    let whole = 1_u128 << (family.bits - network.prefix);
    let end = |key, text: Option<&str>, default: u128| match text {
        Some(text) => boundary::<A, T>(family, network, length, (key, text)),
        None => Ok(default),
    };
    // The first subnet is left out on purpose, as flannel does it.
    let first = end(family.min, min, network.base + size)?;
    let last = end(family.max, max, network.base + (whole - size))?;
    let pool = Pool { bits: family.bits, length, min: first, max: last };
    if first > last {
        return Err(InvalidConfig::of(
            family.min,
            pool.address(first),
            format_args!("it is above {} {}", family.max, pool.address(last)),
            "exchange them",
        ));
    }
    unicast(family, network, &pool).map(|()| pool)
}

/// Whether containers can have the addresses of all subnets.
fn unicast<T: Display>(
    family: &Family,
    network: &Network<T>,
    pool: &Pool,
) -> Result<(), InvalidConfig> {
    for (barred, what) in family.barred {
        let there = barred.parse().ok().and_then(|barred| pool.indices(barred));
        if there.is_some() {
            return Err(InvalidConfig::of(
                family.network,
                &network.shown,
                format_args!("it has subnets in {barred}, which is {what}"),
                format_args!(
                    "write it as in {}, or leave them out by {} and {}",
                    family.example, family.min, family.max
                ),
            ));
        }
    }
    Ok(())
}

/// The prefix length of subnets.
fn length_of<T: Display>(
    family: &Family,
    network: &Network<T>,
    given: Option<u32>,
) -> Result<u8, InvalidConfig> {
    let Some(given) = given else {
        if network.prefix > family.longest_network {
            return Err(InvalidConfig::of(
                family.network,
                &network.shown,
                "it is too small for four subnets",
                format_args!("the longest useful prefix is /{}", family.longest_network),
            ));
        }
        let (up_to, usual) = family.usual;
        return Ok(if network.prefix <= up_to { usual } else { network.prefix + 2 });
    };
    let length = u8::try_from(given).ok().filter(|length| *length <= family.longest);
    let Some(length) = length else {
        let what = "a subnet that long has no addresses for containers";
        let remedy = format!("{} must be less than /{}", family.length, family.longest + 1);
        return Err(InvalidConfig::of(family.length, given, what, remedy));
    };
    if length < network.prefix.saturating_add(2) {
        return Err(InvalidConfig::of(
            family.length,
            given,
            format_args!("{} {} does not hold four of them", family.network, network.shown),
            format_args!("make {} at least {}", family.length, network.prefix.saturating_add(2)),
        ));
    }
    Ok(length)
}

/// The first address of a subnet of the network.
fn boundary<A: FromStr + Into<IpAddr>, T: Display>(
    family: &Family,
    network: &Network<T>,
    length: u8,
    (key, text): (&str, &str),
) -> Result<u128, InvalidConfig> {
    let shown = format!("{text:?}");
    let Ok(address) = text.parse::<A>() else {
        let what = "it is no address of the network's family";
        let remedy = format!("write the first address of a subnet of {}", network.shown);
        return Err(InvalidConfig::of(key, shown, what, remedy));
    };
    let number = match address.into() {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => address.into(),
    };
    if (number ^ network.base) >> (family.bits - network.prefix) != 0 {
        let what = format!("it is not in {} {}", family.network, network.shown);
        return Err(InvalidConfig::of(key, shown, what, "give one that is"));
    }
    let beyond = number & ((1 << (family.bits - length)) - 1);
    if beyond != 0 {
        let pool = Pool { bits: family.bits, length, min: 0, max: 0 };
        return Err(InvalidConfig::of(
            key,
            shown,
            format_args!("no subnet of {} {length} begins there", family.length),
            format_args!("write {}", pool.address(number - beyond)),
        ));
    }
    Ok(number)
}
