//! What happens to packets between containers, the other hosts and the world.
//!
//! `table inet netd_cluster` is the agent's alone, and nothing in it changes but as a whole: its
//! comment names the content, and a table of other content is replaced in one transaction. The
//! plugins' `inet netd` knows nothing of it, so either can be upgraded without the other
//! (docs/adr/0006).
//!
//! The rules are flannel's, in its order, with networks as sets. There is none that accepts what is
//! forwarded: a verdict of this table cannot overrule a drop of another. Where iptables' FORWARD
//! drops, its own chains have to accept (`attach::forward`).

use std::fmt::Write;

use ipnetwork::IpNetwork;
use netstate::nft::{
    Chain, ChainKind, Family, Hook, HookPoint, NetworkSet, Rule, Stmt, Table, TableId, nft_table,
};
use netstate::{NetState, Ns, Op, Plan, Route, Step};
use sha2::{Digest, Sha256};

use crate::ruleset::{Ip, multicast_net};
use crate::vxlan::{ROUTE_PROTOCOL, network};

/// The mark of flows that kube-proxy translates: translating them again would send them out with
/// a source it does not know (flannel's first rule).
const KUBE_PROXY: u32 = 0x4000;

/// What the rules of one network speak of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The network's name: that of its sets ends with it. Empty where the host is in one network only.
    pub name: String,
    /// The networks of the cluster (flannel's `Network` and `IPv6Network`).
    pub networks: Vec<IpNetwork>,
    /// This host's subnets of them.
    pub subnets: Vec<IpNetwork>,
    /// Flows that leave the cluster, or enter it from outside by this host, get this host's
    /// address as their source (`--ip-masq`).
    pub masquerade: bool,
    /// Networks outside of the cluster: flows between it and them keep their source all the same
    /// (`--ip-masq-exclude`).
    pub apart: Vec<IpNetwork>,
    /// Their source ports are random ones, so that flows made at the same time do not contend for
    /// the same port.
    pub fully_random: bool,
}

/// `table inet netd_cluster`.
#[must_use]
pub fn id() -> TableId {
    TableId::new(Family::Inet, "netd_cluster")
}

/// The table, where there is anything to do: the rules of one network after the other.
#[must_use]
pub fn table(all: &[&Traffic]) -> Option<Table> {
    let (mut networks, mut rules) = (Vec::new(), vec![keep_marked()]);
    for (traffic, ip) in all.iter().flat_map(|traffic| Ip::BOTH.map(|ip| (traffic, ip))) {
        let all = disjoint(&traffic.networks, ip);
        if !traffic.masquerade || all.is_empty() {
            continue;
        }
        let own = disjoint(&traffic.subnets, ip);
        let apart = disjoint(&traffic.apart, ip);
        let sets = Sets::of(&traffic.name, ip);
        let has = Has { subnet: !own.is_empty(), apart: !apart.is_empty() };
        rules.extend(masquerade(ip, &sets, has, traffic.fully_random));
        networks.push(NetworkSet { name: sets.cluster, networks: all });
        for (name, networks_of) in [(sets.here, own), (sets.apart, apart)] {
            if !networks_of.is_empty() {
                networks.push(NetworkSet { name, networks: networks_of });
            }
        }
    }
    if networks.is_empty() {
        return None;
    }
    let hook = Hook { kind: ChainKind::Nat, point: HookPoint::Postrouting, priority: 100 };
    let chain = Chain { name: "postrouting".to_owned(), hook: Some(hook), rules };
    let chains = vec![chain];
    let mut table = Table { id: id(), comment: String::new(), sets: vec![], networks, chains };
    table.comment = format!("netd cluster {}", digest(&nft_table(&table)));
    Some(table)
}

/// Leads from the table with this comment, or from none, to the one wanted, or to none; in one
/// transaction.
#[must_use]
pub fn plan(there: Option<&str>, all: &[&Traffic]) -> Plan {
    let wanted = table(all);
    let mut steps = Vec::new();
    if there == wanted.as_ref().map(|table| table.comment.as_str()) {
        return Plan { steps };
    }
    if there.is_some() {
        steps.push(Step::fresh(Ns::Host, Op::DelTable(id())));
    }
    steps.extend(wanted.map(|table| Step::fresh(Ns::Host, Op::AddTable(table))));
    Plan { steps }
}

/// The route that ends what is sent to addresses of this host's subnet that nobody has
/// (`--ip-blackhole-route`), where the subnet is on no bridge. Its metric is above that of a
/// bridge's own route, which is to win where there is one.
#[must_use]
pub fn blackhole(subnet: IpNetwork) -> NetState {
    /// Larger than what IPv6 gives a route that says nothing (1024).
    const LAST: u32 = 1 << 20;
    let mut state = NetState::default();
    state.routes.insert(Route {
        protocol: ROUTE_PROTOCOL,
        metric: Some(LAST),
        ..Route::blackhole(network(subnet))
    });
    state
}

fn keep_marked() -> Rule {
    Rule(vec![Stmt::Mark { mask: KUBE_PROXY, value: KUBE_PROXY }, Stmt::Return])
}

/// Which sets there are beside the cluster's networks.
#[derive(Clone, Copy)]
struct Has {
    subnet: bool,
    apart: bool,
}

/// Rules 2 to 6 of flannel's chain FLANNEL-POSTRTG (`pkg/trafficmngr/iptables`), and before those that
/// translate what keeps its source.
fn masquerade(ip: Ip, sets: &Sets, has: Has, fully_random: bool) -> Vec<Rule> {
    let is = |field, ne, set: &String| Stmt::In { fields: vec![field], ne, set: set.clone() };
    let from = |ne, set| is(ip.saddr(), ne, set);
    let to = |ne, set| is(ip.daddr(), ne, set);
    let Sets { cluster, here, apart } = sets;
    let masquerade = || Stmt::Masquerade { fully_random };
    let mut rules = Vec::new();
    if has.subnet {
        // Between containers of the cluster nothing is translated.
        rules.push(Rule(vec![from(false, here), to(false, cluster), Stmt::Return]));
        rules.push(Rule(vec![from(false, cluster), to(false, here), Stmt::Return]));
        // Who comes from outside straight to this host's containers is seen as who it is.
        rules.push(Rule(vec![from(true, cluster), to(false, here), Stmt::Return]));
    }
    if has.apart {
        rules.push(Rule(vec![from(false, cluster), to(false, apart), Stmt::Return]));
        rules.push(Rule(vec![from(false, apart), to(false, cluster), Stmt::Return]));
    }
    let unicast = Stmt::CmpNet { field: ip.daddr(), ne: true, net: multicast_net(ip) };
    rules.push(Rule(vec![from(false, cluster), unicast, masquerade()]));
    // From outside to containers of other hosts: the answer has to come back by this host.
    rules.push(Rule(vec![from(true, cluster), to(false, cluster), masquerade()]));
    rules
}

/// The names of a network's sets of one family.
struct Sets {
    /// Its networks.
    cluster: String,
    /// This host's subnets of them.
    here: String,
    /// Networks to which nothing is translated.
    apart: String,
}

impl Sets {
    fn of(network: &str, ip: Ip) -> Self {
        let dash = if network.is_empty() { "" } else { "-" };
        let name = |what: &str| format!("{what}{}{dash}{network}", ip.digit());
        Self { cluster: name("cluster"), here: name("here"), apart: name("apart") }
    }
}

/// The networks of a family, less those that are part of another: a set takes no overlaps.
fn disjoint(networks: &[IpNetwork], ip: Ip) -> Vec<IpNetwork> {
    let mut all: Vec<IpNetwork> =
        networks.iter().filter(|net| Ip::of(net.ip()) == ip).map(|net| network(*net)).collect();
    all.sort_by_key(|net| (net.prefix(), *net));
    let mut kept: Vec<IpNetwork> = Vec::new();
    for net in all {
        if !kept.iter().any(|wider| contains(*wider, net)) {
            kept.push(net);
        }
    }
    kept
}

fn contains(wider: IpNetwork, net: IpNetwork) -> bool {
    wider.prefix() <= net.prefix() && wider.contains(net.network())
}

/// Enough of SHA-256 to tell one content from another.
fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests;
