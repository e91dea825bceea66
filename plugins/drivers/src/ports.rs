//! Published ports: elements of the port maps.

use std::collections::BTreeSet;
use std::net::IpAddr;

use netstate::nft::{Chain, ChainId, Element, Field, Rule, SetId, Stmt, Value};
use netstate::{Desired, LinkName, Ns, Op, Plan, Step};
use sha2::{Digest, Sha256};

use crate::Owner;
use crate::conditions::{self, Condition};
use crate::ruleset::{self, Ip, Purpose};

/// Transport protocols that can be mapped, by number (IANA protocol numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// TCP (RFC 9293).
    Tcp,
    /// UDP (RFC 768).
    Udp,
    /// SCTP (RFC 9260).
    Sctp,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The one of a name in lower case.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == word)
    }

    /// The protocol number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The name in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// One mapping of a host port to a container port, for one protocol family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mapping {
    /// Transport protocol.
    pub transport: Transport,
    /// The host's address, or any of the family.
    pub host_ip: Option<IpAddr>,
    /// Port on the host, 1 to 65535.
    pub host_port: u16,
    /// The container's address.
    pub container_ip: IpAddr,
    /// Port in the container, 1 to 65535.
    pub container_port: u16,
}

/// How flows to published ports are masqueraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snat {
    /// Never (key `snat` is false).
    Off,
    /// Where the answer would not come back this way: from the container's own bridge, and from
    /// this host's loopback.
    Needed,
    /// Always (key `masqAll`).
    All,
}

/// A set of conditions that mappings share. Mappings with equal conditions share maps, so the
/// price of a packet grows with the number of different conditions in the host's configuration,
/// not with the number of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The protocol it is for.
    pub ip: Ip,
    /// What must hold.
    pub conditions: Vec<Condition>,
}

/// The elements of an attachment's mappings. `gateway` is the host's link towards the container.
#[must_use]
pub fn desired(
    owner: &Owner,
    mappings: &[Mapping],
    gateway: &LinkName,
    snat: Snat,
    classes: &[Class],
) -> Desired {
    let mut desired = Desired::default();
    let host = desired.0.ns_mut(Ns::Host);
    let comment = owner.comment();
    let element = |key, data| Element { key, data, comment: comment.clone() };
    let own = |ip| element(vec![Value::from(ip), Value::Ifname(gateway.clone())], vec![]);
    let mut own_ips = BTreeSet::new();
    for mapping in mappings {
        let ip = Ip::of(mapping.container_ip);
        let class = classes.iter().find(|c| c.ip == ip).map(Class::name).unwrap_or_default();
        let (set, key) = mapping.claim(&class);
        host.add_element(set, element(key, mapping.target()));
        let published = ruleset::set(Purpose::Published, ip);
        host.add_element(published, element(mapping.endpoint(), vec![]));
        match snat {
            Snat::Off => {}
            Snat::All => {
                let all = ruleset::set(Purpose::MasqAll, ip);
                host.add_element(all, element(mapping.endpoint(), vec![]));
            }
            Snat::Needed => {
                if own_ips.insert(mapping.container_ip) {
                    host.add_element(ruleset::set(Purpose::Own, ip), own(mapping.container_ip));
                }
            }
        }
    }
    desired
}

/// Whether sets of a purpose hold elements of published ports.
#[must_use]
pub fn is_of_ports(purpose: Purpose) -> bool {
    match purpose {
        Purpose::DnatHost
        | Purpose::DnatAny
        | Purpose::Published
        | Purpose::Own
        | Purpose::MasqAll
        | Purpose::Opened => true,
        Purpose::Masquerade
        | Purpose::Snat
        | Purpose::Guarded
        | Purpose::Allowed
        | Purpose::Closed
        | Purpose::Pinged => false,
    }
}

impl Mapping {
    /// The map that holds the mapping, and its key there.
    #[must_use]
    pub fn claim(&self, class: &str) -> (SetId, Vec<Value>) {
        self.claim_at(self.host_ip, class)
    }

    /// The map and the key that the mapping had at another address of the host, or at any.
    #[must_use]
    pub fn claim_at(&self, host_ip: Option<IpAddr>, class: &str) -> (SetId, Vec<Value>) {
        let port = [Value::Proto(self.transport.number()), Value::Port(self.host_port)];
        let key = host_ip.map(Value::from).into_iter().chain(port).collect();
        match host_ip {
            Some(_) => (self.single_addresses(class), key),
            None => (ruleset::class_set(Purpose::DnatAny, Ip::of(self.container_ip), class), key),
        }
    }

    /// The map of those mappings of the family that are for one address of the host each.
    #[must_use]
    pub fn single_addresses(&self, class: &str) -> SetId {
        ruleset::class_set(Purpose::DnatHost, Ip::of(self.container_ip), class)
    }

    fn target(&self) -> Vec<Value> {
        vec![Value::from(self.container_ip), Value::Port(self.container_port)]
    }

    fn endpoint(&self) -> Vec<Value> {
        vec![
            Value::from(self.container_ip),
            Value::Proto(self.transport.number()),
            Value::Port(self.container_port),
        ]
    }
}

impl Class {
    /// The end of the names of the class' maps and chain: `_` and 12 hexadecimal digits; empty
    /// without conditions.
    #[must_use]
    pub fn name(&self) -> String {
        if self.conditions.is_empty() {
            return String::new();
        }
        let mut sorted = self.conditions.clone();
        sorted.sort();
        let hash =
            Sha256::digest(format!("{:?} {}", self.ip, conditions::text(&sorted)).as_bytes());
        let mut name = String::from("_");
        for byte in hash.iter().take(6) {
            name.push_str(&format!("{byte:02x}"));
        }
        name
    }

    /// Makes the class: its maps, its chain, and the jump to it ahead of unconditional mappings.
    /// It is one transaction whose every object is new, so it fails as a whole where the class is
    /// there already. Empty without conditions.
    #[must_use]
    pub fn create(&self) -> Plan {
        if self.conditions.is_empty() {
            return Plan::default();
        }
        let class = self.name();
        let table = ruleset::inet_id();
        let chain = format!("conditions{class}");
        let mut ops = Vec::new();
        for purpose in [Purpose::DnatHost, Purpose::DnatAny] {
            let set = ruleset::declare(purpose, self.ip, &class);
            ops.push(Op::AddSet { table: table.clone(), set });
        }
        let rules = ruleset::translations(self.ip, &class);
        let chain_value = Chain { name: chain.clone(), hook: None, rules };
        ops.push(Op::AddChain { table: table.clone(), chain: chain_value });
        let mut stmts: Vec<Stmt> = self.conditions.iter().map(|c| c.stmt(self.ip)).collect();
        stmts.push(Stmt::Jump(chain));
        ops.push(Op::InsertRule {
            chain: ChainId { table, name: "ports".to_owned() },
            rule: Rule(stmts),
        });
        Plan { steps: ops.into_iter().map(|op| Step::fresh(Ns::Host, op)).collect() }
    }
}

impl Condition {
    fn stmt(&self, ip: Ip) -> Stmt {
        let (source, destination) = match ip {
            Ip::V4 => (Field::IpSaddr, Field::IpDaddr),
            Ip::V6 => (Field::Ip6Saddr, Field::Ip6Daddr),
        };
        match self {
            Self::Source { not, net } => Stmt::CmpNet { field: source, ne: *not, net: *net },
            Self::Destination { not, net } => {
                Stmt::CmpNet { field: destination, ne: *not, net: *net }
            }
            Self::Input { not, link } => {
                Stmt::Cmp { field: Field::Iifname, ne: *not, value: Value::Ifname(link.clone()) }
            }
        }
    }
}
