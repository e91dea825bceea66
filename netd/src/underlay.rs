//! Which interface carries the overlay, by which address, and as whom others know this host.
//!
//! [`choose`] decides by flannel's rules over what [`look`] has seen; nothing else asks the kernel.
//! Source: flannel `pkg/ipmatch/match.go`, `pkg/ip/iface.go`.

mod address;
mod carrier;
mod error;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kernel::events::Notice;
use kernel::{Kernel, Uplink, Way};
use netstate::{LinkName, Ns};

use crate::config::options::IfaceOptions;
use address::{first_v4, first_v6, owns, usable};
pub use carrier::{Carrier, choose_carrier, follow_carrier};
pub use error::Unsuitable;

/// The interface between hosts, and this host's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Underlay {
    /// The interface.
    pub link: LinkName,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its address: the source of outer packets.
    pub v4: Ipv4Addr,
    /// The same for IPv6, where the cluster has IPv6.
    pub v6: Option<Ipv6Addr>,
    /// The address that others send to.
    pub public_v4: Ipv4Addr,
    /// The same for IPv6.
    pub public_v6: Option<Ipv6Addr>,
}

/// What there is to choose from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// All links, in the kernel's order.
    pub links: Vec<Uplink>,
    /// The link of the IPv4 default route.
    pub default_v4: Option<LinkName>,
    /// The link of the IPv6 default route.
    pub default_v6: Option<LinkName>,
    /// The way to `--iface-can-reach`.
    pub reach: Option<Way>,
}

/// Reads what [`choose`] needs.
///
/// # Errors
/// Where the kernel cannot be asked.
pub fn look(kernel: &mut Kernel, options: &IfaceOptions) -> Result<Seen, kernel::Error> {
    Ok(Seen {
        links: kernel.uplinks()?,
        default_v4: kernel.default_route_link(&Ns::Host, false)?,
        default_v6: kernel.default_route_link(&Ns::Host, true)?,
        reach: match options.can_reach {
            Some(to) => kernel.way_to(to)?,
            None => None,
        },
    })
}

/// Whether [`choose`] may choose otherwise after what the kernel tells. `is_link` says whether a link is the
/// interface, or may be.
#[must_use]
pub fn may_change(notice: &Notice, is_link: impl Fn(&LinkName) -> bool) -> bool {
    match notice {
        Notice::Anywhere | Notice::Address(_) | Notice::NewAddress(_) => true,
        Notice::Link(name) => is_link(name),
        Notice::Route(net) => net.prefix() == 0,
        Notice::Port(_)
        | Notice::Neighbour(..)
        | Notice::Forwarding(..)
        | Notice::Table
        | Notice::Element(_)
        | Notice::Chain
        | Notice::NotForwarding
        | Notice::NamespaceGone => false,
    }
}

/// Chooses: each `--iface` in order, each `--iface-regex`, `--iface-can-reach`; where none of them
/// is given, the interface that has `--public-ip`, or else that of the default route.
///
/// # Errors
/// One sentence with what was tried, what there is, and the remedy.
pub fn choose(options: &IfaceOptions, dual: bool, seen: &Seen) -> Result<Underlay, Unsuitable> {
    let choice = Choice { options, dual, seen };
    let candidate = choice.candidate()?;
    choice.complete(candidate)
}

/// A link, and its address where the way it was found says so.
struct Candidate<'a> {
    link: &'a Uplink,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

struct Choice<'a> {
    options: &'a IfaceOptions,
    dual: bool,
    seen: &'a Seen,
}

impl<'a> Choice<'a> {
    fn candidate(&self) -> Result<Candidate<'a>, Unsuitable> {
        let options = self.options;
        let named = options.iface.iter().map(|iface| self.named(iface));
        let matching = options.iface_regex.iter().map(|regex| self.matching(regex));
        let reaching = options.can_reach.map(|to| self.reaching(to));
        let mut tried = Vec::new();
        for attempt in named.chain(matching).chain(reaching) {
            match attempt {
                Ok(candidate) => return Ok(candidate),
                Err(why) => tried.push(why),
            }
        }
        if tried.is_empty() {
            return self.by_default();
        }
        Err(Unsuitable::None { tried: tried.join("; "), there: self.inventory() })
    }

    fn by_default(&self) -> Result<Candidate<'a>, Unsuitable> {
        if let Some(ip) = self.options.public_ip {
            let link = self
                .owner(ip.into())
                .ok_or_else(|| Unsuitable::PublicIp { ip: ip.into(), there: self.inventory() })?;
            return Ok(Candidate { link, v4: Some(ip), v6: None });
        }
        let no_route = |family| Unsuitable::NoDefault { family, there: self.inventory() };
        let v4 = self.seen.default_v4.as_ref().ok_or_else(|| no_route("IPv4"))?;
        if self.dual {
            let v6 = self.seen.default_v6.as_ref().ok_or_else(|| no_route("IPv6"))?;
            if v4 != v6 {
                return Err(Unsuitable::TwoDefaults { v4: v4.clone(), v6: v6.clone() });
            }
        }
        let link = self.link(v4).ok_or_else(|| no_route("IPv4"))?;
        Ok(Candidate { link, v4: None, v6: None })
    }

    /// By `--iface`: an address of this host, or a name.
    fn named(&self, iface: &str) -> Result<Candidate<'a>, String> {
        match iface.parse() {
            Ok(IpAddr::V4(ip)) => {
                let link = self
                    .owner(ip.into())
                    .ok_or_else(|| format!("--iface {iface}: no interface has this address"))?;
                self.same_owner_v6(link, iface)?;
                Ok(Candidate { link, v4: Some(ip), v6: None })
            }
            Ok(IpAddr::V6(_)) => Err(format!(
                "--iface {iface}: the cluster has IPv4, so give the interface's IPv4 address or \
                 its name"
            )),
            Err(_) => {
                let link = LinkName::new(iface).ok().and_then(|name| self.link(&name));
                let link = link.ok_or_else(|| format!("--iface {iface}: no such interface"))?;
                Ok(Candidate { link, v4: None, v6: None })
            }
        }
    }

    /// With two families, a given IPv6 address must be on the same interface.
    fn same_owner_v6(&self, link: &Uplink, iface: &str) -> Result<(), String> {
        let Some(v6) = self.options.public_ipv6.filter(|_| self.dual) else { return Ok(()) };
        if owns(link, v6.into()) {
            return Ok(());
        }
        Err(format!("--iface {iface}: interface {} has no address {v6} (--public-ipv6)", link.name))
    }

    /// By `--iface-regex`: on addresses first, on names where no address matches anywhere.
    fn matching(&self, text: &str) -> Result<Candidate<'a>, String> {
        let regex = regex::Regex::new(text)
            .map_err(|_| format!("--iface-regex {text}: no regular expression"))?;
        for link in &self.seen.links {
            let hit = |ip: &IpAddr| regex.is_match(&ip.to_string());
            let v4 = usable(link).filter(hit).find_map(as_v4);
            let v6 = usable(link).filter(hit).find_map(as_v6);
            match (v4, v6) {
                (Some(_), None) if self.dual => {}
                (Some(v4), v6) => return Ok(Candidate { link, v4: Some(v4), v6 }),
                (None, _) => {}
            }
        }
        let by_name = self.seen.links.iter().find(|link| regex.is_match(link.name.as_str()));
        by_name
            .map(|link| Candidate { link, v4: None, v6: None })
            .ok_or_else(|| format!("--iface-regex {text}: matches no address and no name"))
    }

    /// By `--iface-can-reach`.
    fn reaching(&self, to: IpAddr) -> Result<Candidate<'a>, String> {
        let way = self.seen.reach.as_ref();
        let way = way.ok_or_else(|| format!("--iface-can-reach {to}: there is no route to it"))?;
        let link = self.link(&way.link);
        let link = link.ok_or_else(|| format!("--iface-can-reach {to}: {} is gone", way.link))?;
        let (v4, v6) = (way.src.and_then(as_v4), way.src.and_then(as_v6));
        Ok(Candidate { link, v4, v6 })
    }

    fn complete(&self, found: Candidate<'_>) -> Result<Underlay, Unsuitable> {
        let Candidate { link, v4, v6 } = found;
        let missing = |family| Unsuitable::NoAddress { link: link.name.clone(), family };
        if link.mtu == 0 {
            return Err(Unsuitable::NoMtu(link.name.clone()));
        }
        let v4 = v4.or_else(|| first_v4(link)).ok_or_else(|| missing("IPv4"))?;
        let v6 = if self.dual {
            // A published address that is the host's own is the one to send from, too.
            let own = self.options.public_ipv6.filter(|ip| owns(link, (*ip).into()));
            Some(v6.or(own).or_else(|| first_v6(link)).ok_or_else(|| missing("IPv6"))?)
        } else {
            None
        };
        Ok(Underlay {
            link: link.name.clone(),
            mtu: link.mtu,
            v4,
            v6,
            public_v4: self.options.public_ip.unwrap_or(v4),
            public_v6: v6.map(|v6| self.options.public_ipv6.unwrap_or(v6)),
        })
    }

    fn owner(&self, ip: IpAddr) -> Option<&'a Uplink> {
        self.seen.links.iter().find(|link| owns(link, ip))
    }

    fn link(&self, name: &LinkName) -> Option<&'a Uplink> {
        self.seen.links.iter().find(|link| link.name == *name)
    }

    /// `eth0 (10.0.0.1, fd00::1), eth1 (no address)`.
    fn inventory(&self) -> String {
        let of = |link: &Uplink| {
            let all: Vec<_> = usable(link).map(|ip| ip.to_string()).collect();
            let all = if all.is_empty() { "no address".to_owned() } else { all.join(", ") };
            format!("{} ({all})", link.name)
        };
        self.seen.links.iter().map(of).collect::<Vec<_>>().join(", ")
    }
}

fn as_v4(ip: IpAddr) -> Option<Ipv4Addr> {
    if let IpAddr::V4(ip) = ip { Some(ip) } else { None }
}

fn as_v6(ip: IpAddr) -> Option<Ipv6Addr> {
    if let IpAddr::V6(ip) = ip { Some(ip) } else { None }
}
