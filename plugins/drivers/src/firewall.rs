//! Isolation between bridges.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netstate::nft::{ChainId, Element, Family, Rule, SetId, Stmt, TableId, Value};
use netstate::{Desired, LinkName, Ns};

use crate::Owner;
use crate::ports::Transport;
use crate::ruleset::{self, Ip, Purpose};

/// Who may reach a container (key `ingressPolicy` of the reference's firewall plugin).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IngressPolicy {
    /// Everybody.
    Open,
    /// The same bridge, the outside, and everybody through published ports.
    SameBridge,
    /// The outside, and everybody through published ports.
    Isolated,
}

/// The elements that guard an attachment's addresses, which live on `bridge`.
#[must_use]
pub fn guard(owner: &Owner, policy: IngressPolicy, bridge: &LinkName, addrs: &[IpAddr]) -> Desired {
    let mut desired = Desired::default();
    if policy == IngressPolicy::Open {
        return desired;
    }
    let host = desired.0.ns_mut(Ns::Host);
    let element = |key| Element { key, data: vec![], comment: owner.comment() };
    for ip in addrs {
        let guarded = ruleset::set(Purpose::Guarded, Ip::of(*ip));
        host.add_element(guarded, element(vec![Value::from(*ip)]));
        if policy == IngressPolicy::SameBridge {
            let allowed = ruleset::set(Purpose::Allowed, Ip::of(*ip));
            let pair = vec![Value::from(*ip), Value::Ifname(bridge.clone())];
            host.add_element(allowed, element(pair));
        }
    }
    desired
}

/// What reaches a guarded address from outside, beside its published ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outside<'a> {
    /// Everything.
    Open,
    /// What comes by these links alone.
    Closed {
        /// Links whose other side is trusted.
        trusted: &'a [LinkName],
    },
    /// Echo requests, and these ports by their own numbers.
    Ports(Vec<(Transport, u16)>),
}

/// Adds the elements that say what reaches a guarded address from outside.
pub fn from_outside(desired: &mut Desired, owner: &Owner, addr: IpAddr, outside: &Outside<'_>) {
    let host = desired.0.ns_mut(Ns::Host);
    let mut add = |purpose, key: Vec<Value>| {
        let element = Element { key, data: vec![], comment: owner.comment() };
        host.add_element(ruleset::set(purpose, Ip::of(addr)), element);
    };
    match outside {
        Outside::Open => return,
        Outside::Closed { trusted } => {
            for link in *trusted {
                add(Purpose::Allowed, vec![Value::from(addr), Value::Ifname(link.clone())]);
            }
        }
        Outside::Ports(ports) => {
            add(Purpose::Pinged, vec![Value::from(addr)]);
            for (transport, port) in ports {
                let (number, port) = (Value::Proto(transport.number()), Value::Port(*port));
                add(Purpose::Opened, vec![Value::from(addr), number, port]);
            }
        }
    }
    add(Purpose::Closed, vec![Value::from(addr)]);
}

/// The elements that let nothing leave `bridge`, and nothing enter. Shared as those of
/// [`bridge_member`].
#[must_use]
pub fn internal(bridge: &LinkName) -> Desired {
    let link = || Value::Ifname(bridge.clone());
    shared([(ruleset::internal(), vec![link()]), (ruleset::inside(), vec![link(), link()])])
}

/// The element that makes `bridge` one of those between which guarded addresses are unreachable.
/// Shared by all attachments of the bridge; it stays as the bridge does.
#[must_use]
pub fn bridge_member(bridge: &LinkName) -> Desired {
    shared([(ruleset::bridges(), vec![Value::Ifname(bridge.clone())])])
}

/// Elements of nobody in particular.
fn shared<const N: usize>(elements: [(SetId, Vec<Value>); N]) -> Desired {
    let mut desired = Desired::default();
    let host = desired.0.ns_mut(Ns::Host);
    for (set, key) in elements {
        host.add_element(set, Element { key, data: vec![], comment: String::new() });
    }
    desired
}

/// The chains of iptables (in its nf_tables form) that this project writes to, where iptables'
/// FORWARD chain drops by default.
pub mod iptables {
    use super::{ChainId, Family, Ip, IpNetwork, LinkName, Rule, Stmt, TableId, Value};
    use netstate::nft::Field;

    /// Docker's hook for the administrator: kept first in FORWARD by dockerd.
    pub const DOCKER_USER: &str = "DOCKER-USER";
    /// The reference firewall plugin's chain.
    pub const CNI_FORWARD: &str = "CNI-FORWARD";

    /// Table `filter` of a family, [`Family::Ip`] or [`Family::Ip6`].
    #[must_use]
    pub fn filter(family: Family) -> TableId {
        TableId::new(family, "filter")
    }

    /// A chain of table `filter`.
    #[must_use]
    pub fn chain(family: Family, name: &str) -> ChainId {
        ChainId { table: filter(family), name: name.to_owned() }
    }

    /// `-i <bridge> -j ACCEPT` and `-o <bridge> -j ACCEPT`, as iptables-nft writes them.
    #[must_use]
    pub fn accepts(bridge: &LinkName) -> [Rule; 2] {
        [Field::Iifname, Field::Oifname].map(|field| {
            let value = Value::Ifname(bridge.clone());
            Rule(vec![Stmt::Cmp { field, ne: false, value }, Stmt::Counter, Stmt::Accept])
        })
    }

    /// `-s <network> -j ACCEPT` and `-d <network> -j ACCEPT`, as iptables-nft writes them.
    #[must_use]
    pub fn accepts_network(net: IpNetwork) -> [Rule; 2] {
        let ip = Ip::of(net.ip());
        [ip.saddr(), ip.daddr()].map(|field| {
            Rule(vec![Stmt::CmpNet { field, ne: false, net }, Stmt::Counter, Stmt::Accept])
        })
    }

    /// `-j <chain>`.
    #[must_use]
    pub fn jump(name: &str) -> Rule {
        Rule(vec![Stmt::Counter, Stmt::Jump(name.to_owned())])
    }
}
