//! Lets packets through this host: forwarding on, and iptables' FORWARD open where it drops.

use drivers::firewall::iptables;
use drivers::ruleset::Ip;
use ipnetwork::IpNetwork;
use kernel::{Kernel, Policy};
use netstate::nft::{Chain, Family, Rule};
use netstate::{Datapath, LinkName, Ns, NsNames, Op, Plan, Step, SysctlKey};

use crate::Error;

/// Turns forwarding on for the families of the gateways, where it is off.
///
/// Turning IPv6 forwarding on makes the kernel forget the routes it learnt from routers, unless
/// the link's `accept_ra` is 2 (kernel Documentation/networking/ip-sysctl.rst): links that have
/// such routes get that first.
///
/// # Errors
/// [`Error::Kernel`] where a sysctl cannot be written.
pub fn enable(kernel: &mut Kernel, gateways: &[IpNetwork]) -> Result<(), Error> {
    let plan = off(kernel, gateways)?;
    apply(kernel, &plan)
}

/// What [`enable`] would change.
///
/// # Errors
/// [`Error::Kernel`] where a sysctl cannot be read.
pub fn off(kernel: &mut Kernel, gateways: &[IpNetwork]) -> Result<Plan, Error> {
    let mut steps = Vec::new();
    let v4 = SysctlKey::fixed("net/ipv4/ip_forward");
    let v6 = SysctlKey::fixed("net/ipv6/conf/all/forwarding");
    if gateways.iter().any(IpNetwork::is_ipv4) && !is_on(kernel, &v4)? {
        steps.push(set(v4, "1"));
    }
    if gateways.iter().any(IpNetwork::is_ipv6) && !is_on(kernel, &v6)? {
        for link in kernel.links_with_router_routes()? {
            steps.push(set(SysctlKey::conf("ipv6", &link, "accept_ra"), "2"));
        }
        steps.push(set(v6, "1"));
    }
    Ok(Plan { steps })
}

/// Accepts what a link sends and gets, if iptables' FORWARD drops what nobody accepts.
///
/// Only plain matches, here on interface names, are written, as iptables-nft itself writes them: its
/// tools must still be able to read, save and restore the table.
///
/// # Errors
/// [`Error::Legacy`] where it is iptables-legacy that drops; [`Error::Kernel`].
pub fn open(kernel: &mut Kernel, ip: Ip, link: &LinkName, admin: &str) -> Result<(), Error> {
    let plan = missing(kernel, ip, &iptables::accepts(link), admin)?;
    apply(kernel, &plan)
}

/// What accepts what comes from a network and what goes to it, if iptables' FORWARD drops what nobody
/// accepts.
///
/// # Errors
/// As [`open`].
pub fn closed_network(kernel: &mut Kernel, net: IpNetwork, admin: &str) -> Result<Plan, Error> {
    missing(kernel, Ip::of(net.ip()), &iptables::accepts_network(net), admin)
}

/// What takes back the rules that [`closed_network`] has made. The chains stay, which others use.
///
/// # Errors
/// [`Error::Kernel`].
pub fn opened_network(kernel: &mut Kernel, net: IpNetwork) -> Result<Plan, Error> {
    let ours = iptables::chain(family(Ip::of(net.ip())), iptables::CNI_FORWARD);
    let mut steps = Vec::new();
    if kernel.chain(&Ns::Host, &ours)?.is_some() {
        for rule in iptables::accepts_network(net) {
            if kernel.has_rule(&Ns::Host, &ours, &rule)? {
                steps.push(Step::fresh(Ns::Host, Op::DelRuleOf { chain: ours.clone(), rule }));
            }
        }
    }
    Ok(Plan { steps })
}

/// The commands that [`open`] would run.
///
/// # Errors
/// As [`open`].
pub fn closed(
    kernel: &mut Kernel,
    ip: Ip,
    link: &LinkName,
    admin: &str,
) -> Result<Vec<String>, Error> {
    let plan = missing(kernel, ip, &iptables::accepts(link), admin)?;
    Ok(plan.steps.iter().map(|s| s.command(&NsNames::default())).collect())
}

/// Whether [`open`] could work on this host.
///
/// # Errors
/// [`Error::Legacy`].
pub fn can_open(kernel: &mut Kernel) -> Result<(), Error> {
    for ip in Ip::BOTH {
        drops(kernel, ip)?;
    }
    Ok(())
}

/// Key of a record's note that says which link [`open`] was called for: the link and the
/// administrator's chain, with a space between.
#[must_use]
pub fn note(ip: Ip) -> String {
    match ip {
        Ip::V4 => "forward4".to_owned(),
        Ip::V6 => "forward6".to_owned(),
    }
}

fn apply(kernel: &mut Kernel, plan: &Plan) -> Result<(), Error> {
    match kernel.apply(plan).failed {
        None => Ok(()),
        Some((_, e)) => Err(e.into()),
    }
}

fn missing(kernel: &mut Kernel, ip: Ip, accepts: &[Rule], admin: &str) -> Result<Plan, Error> {
    let mut steps = Vec::new();
    if !drops(kernel, ip)? {
        return Ok(Plan { steps });
    }
    let family = family(ip);
    let ours = iptables::chain(family, iptables::CNI_FORWARD);
    let admin_jump = iptables::jump(admin);
    let there = kernel.chain(&Ns::Host, &ours)?.is_some();
    for name in [admin, iptables::CNI_FORWARD] {
        if kernel.chain(&Ns::Host, &iptables::chain(family, name))?.is_none() {
            let chain = Chain { name: name.to_owned(), hook: None, rules: vec![] };
            let table = iptables::filter(family);
            steps.push(Step::ensure(Ns::Host, Op::AddChain { table, chain }));
        }
    }
    // Inserted at the top, so last comes first: the administrator has the first word.
    for rule in accepts {
        if !there || !kernel.has_rule(&Ns::Host, &ours, rule)? {
            steps.push(insert(&ours, rule.clone()));
        }
    }
    if !there || !kernel.has_rule(&Ns::Host, &ours, &admin_jump)? || !steps.is_empty() {
        if there && kernel.has_rule(&Ns::Host, &ours, &admin_jump)? {
            let op = Op::DelRuleOf { chain: ours.clone(), rule: admin_jump.clone() };
            steps.push(Step::fresh(Ns::Host, op));
        }
        steps.push(insert(&ours, admin_jump));
    }
    let forward = iptables::chain(family, "FORWARD");
    let jump = iptables::jump(iptables::CNI_FORWARD);
    if !kernel.has_rule(&Ns::Host, &forward, &jump)? {
        steps.push(insert(&forward, jump));
    }
    Ok(Plan { steps })
}

fn drops(kernel: &mut Kernel, ip: Ip) -> Result<bool, Error> {
    let v4 = ip == Ip::V4;
    if kernel::xtables::legacy_forward_drops(v4)? {
        return Err(Error::Legacy {
            program: if v4 { "iptables-legacy" } else { "ip6tables-legacy" },
        });
    }
    let policy = kernel.chain_policy(&Ns::Host, &iptables::filter(family(ip)), "FORWARD")?;
    Ok(policy == Some(Policy::Drop))
}

fn insert(chain: &netstate::nft::ChainId, rule: Rule) -> Step {
    Step::fresh(Ns::Host, Op::InsertRule { chain: chain.clone(), rule })
}

fn family(ip: Ip) -> Family {
    match ip {
        Ip::V4 => Family::Ip,
        Ip::V6 => Family::Ip6,
    }
}

fn is_on(kernel: &mut Kernel, key: &SysctlKey) -> Result<bool, Error> {
    Ok(kernel.sysctl(&Ns::Host, key)?.as_deref() == Some("1"))
}

fn set(key: SysctlKey, value: &str) -> Step {
    Step::ensure(Ns::Host, Op::SetSysctl { key, value: value.to_owned(), optional: false })
}
