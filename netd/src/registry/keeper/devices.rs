//! Changes in the kernel of what networks have on the host: bridges, and what is beside a parent.

use std::mem::discriminant;

use cni::ErrorChain;
use drivers::bridge::Standing;
use kernel::Kernel;
use netstate::{
    Datapath, Desired, Link, LinkChange, LinkKind, LinkName, LinkRef, NetState, Ns, Observed, Op,
    Plan, Scope, State, Step, SysctlKey,
};

use crate::network::Device;
use crate::registry::apply::apply;

/// Whether the host has IPv6: without it there are none of its keys.
pub(super) fn has_ipv6(kernel: &mut Kernel) -> bool {
    let key = SysctlKey::fixed("net/ipv6/conf/all/forwarding");
    matches!(kernel.sysctl(&Ns::Host, &key), Ok(Some(_)))
}

/// Whether a link is a bridge, if it is there.
pub(super) fn is_one(kernel: &mut Kernel, name: &LinkName) -> Result<Option<bool>, String> {
    let there = kernel.link_by_name(&Ns::Host, name);
    let there = there.map_err(|error| ErrorChain(&error).to_string())?;
    Ok(there.map(|there| matches!(there.link.kind, LinkKind::Bridge { .. })))
}

/// Makes what networks have as it should be, all by one plan; gives the links that were not there.
///
/// # Errors
/// The first failure. A link that has the name and is somebody else's is left as it is.
pub(super) fn settle(
    kernel: &mut Kernel,
    devices: &[&Device],
    has_ipv6: bool,
    are_new: bool,
) -> Result<Vec<LinkName>, String> {
    let all = || devices.iter().flat_map(|device| device.standings.iter().map(|it| (*device, it)));
    if all().next().is_none() {
        return Ok(Vec::new());
    }
    // Links come and go and are renamed.
    kernel.forget();
    let mut scope = Scope::default();
    all().for_each(|(device, standing)| take_in(&mut scope, device, standing, has_ipv6));
    let lower = all().filter_map(|(_, standing)| standing.kind.lower().cloned());
    scope.links.extend(lower);
    let observed = kernel.observe(&scope).map_err(|error| ErrorChain(&error).to_string())?;
    let (mut scope, mut wanted) = (Scope::default(), NetState::default());
    for (device, standing) in all() {
        match whose(device, standing, &observed)? {
            Whose::Ours => wanted.join(standing.desired(has_ipv6)),
            // What is only mentioned is looked at, and stays as it is.
            Whose::Adopted => wanted.join(standing.addresses()),
            Whose::Others => continue,
        }
        take_in(&mut scope, device, standing, has_ipv6);
    }
    leave_out_missing_keys(&mut wanted, &observed);
    let mut plan = Plan::between(&observed, &Desired(State::of(Ns::Host, wanted)), &scope);
    plan.steps.extend(all().filter_map(|(device, standing)| up(device, standing, &observed)));
    if !are_new && !plan.is_empty() {
        tracing::warn!(changes = plan.steps.len(), "links of networks differed; put right");
    }
    apply(kernel, &plan)?;
    let born = plan.steps.iter().filter_map(|step| {
        if let Op::AddLink { link, .. } = &step.op { Some(link.name.clone()) } else { None }
    });
    Ok(born.collect())
}

/// Removes what a network has made, if it is there; but not what `is_kept` says: another network has it,
/// too.
///
/// # Errors
/// What the kernel says.
pub(super) fn remove(
    kernel: &mut Kernel,
    device: &Device,
    is_kept: impl Fn(&LinkName) -> bool,
) -> Result<(), String> {
    if device.adopted {
        return Ok(());
    }
    kernel.forget();
    // What is on another goes first.
    for standing in device.standings.iter().rev().filter(|it| !is_kept(&it.name)) {
        let there = kernel.link_by_name(&Ns::Host, &standing.name);
        let there = there.map_err(|error| ErrorChain(&error).to_string())?;
        if there.is_some_and(|there| is_made_for(standing, &there.link)) {
            let step = Step::fresh(Ns::Host, Op::DelLink(standing.name.clone()));
            apply(kernel, &Plan { steps: vec![step] })?;
        }
    }
    Ok(())
}

fn take_in(scope: &mut Scope, device: &Device, standing: &Standing, has_ipv6: bool) {
    if device.adopted {
        scope.links.insert(link(&standing.name));
    } else {
        standing.scope(has_ipv6, scope);
    }
}

/// A bridge of somebody else's that is down carries nothing; nothing else of it is changed.
fn up(device: &Device, standing: &Standing, observed: &Observed) -> Option<Step> {
    let name = &standing.name;
    let there = observed.0.ns(&Ns::Host)?.links.get(name)?;
    let is_down = device.adopted && !there.up;
    let op = Op::SetLink { name: name.clone(), changes: vec![LinkChange::Up(true)] };
    is_down.then(|| Step::ensure(Ns::Host, op))
}

/// Whose a link of a name is, or will be.
enum Whose {
    /// Made for the network, or to be made.
    Ours,
    /// Somebody else's, who lets the network have addresses on it.
    Adopted,
    /// Somebody else's, and right: a sub-interface that its administrator makes by now. Or nobody's, where what
    /// it would be on is not there or down, and this host is fine without.
    Others,
}

fn whose(device: &Device, standing: &Standing, observed: &Observed) -> Result<Whose, String> {
    let name = &standing.name;
    let there = observed.0.ns(&Ns::Host).and_then(|host| host.links.get(name));
    let Some(there) = there else {
        return Ok(match device.adopted {
            true => Whose::Adopted,
            false if device.of_cluster && !stands_below(standing, observed) => Whose::Others,
            false => Whose::Ours,
        });
    };
    let word = word(&standing.kind);
    if discriminant(&there.kind) != discriminant(&standing.kind) {
        if device.of_cluster {
            return Ok(Whose::Others);
        }
        return Err(format!("existing interface {name} is not a {word}: rename or remove it"));
    }
    if device.adopted {
        return Ok(Whose::Adopted);
    }
    if is_made_for(standing, there) {
        return Ok(Whose::Ours);
    }
    if matches!(standing.kind, LinkKind::Vlan { .. }) && there.kind == standing.kind {
        return Ok(Whose::Others);
    }
    let alias = there.alias.as_ref().map(|alias| format!(" ({alias})")).unwrap_or_default();
    Err(format!("{word} {name} is somebody else's{alias}: rename or remove it"))
}

/// Whether what a link is to be on is there, and up.
fn stands_below(standing: &Standing, observed: &Observed) -> bool {
    let lower =
        standing.kind.lower().and_then(|lower| observed.0.ns(&lower.ns)?.links.get(&lower.name));
    lower.is_some_and(|lower| lower.up)
}

/// Whether a link was made for a network. Between its birth and its alias it has none, and a failure or a
/// crash may come between: then it has the network's own link-layer address, or where it has none of its
/// own it is down, as what has an alias comes up with it.
fn is_made_for(standing: &Standing, there: &Link) -> bool {
    let is_marked = match (there.alias.as_deref(), standing.mac) {
        (Some(alias), _) => alias == standing.alias,
        (None, Some(mac)) => there.mac == Some(mac),
        (None, None) => !there.up,
    };
    is_marked && discriminant(&there.kind) == discriminant(&standing.kind)
}

fn word(kind: &LinkKind) -> &str {
    match kind {
        LinkKind::Bridge { .. } => "bridge",
        LinkKind::MacVlan { .. } => "macvlan",
        LinkKind::IpVlan(_) => "ipvlan",
        LinkKind::Vlan { .. } => "802.1Q sub-interface",
        LinkKind::Other(word) => word,
        LinkKind::Loopback
        | LinkKind::Veth { .. }
        | LinkKind::Vxlan(_)
        | LinkKind::Ipip(_)
        | LinkKind::WireGuard(_) => "link of a network",
    }
}

/// Leaves out what the kernel has not got: a bridge is without IPv6, and its keys, as long as its MTU
/// or that of a port that it follows is below 1280.
fn leave_out_missing_keys(wanted: &mut NetState, observed: &Observed) {
    let Some(host) = observed.0.ns(&Ns::Host) else { return };
    wanted.sysctls.retain(|key, _| {
        let link = key.as_str().split('/').nth(3).and_then(|name| LinkName::new(name).ok());
        let is_there = link.is_some_and(|name| host.links.contains_key(&name));
        !is_there || host.sysctls.contains_key(key)
    });
}

fn link(name: &LinkName) -> LinkRef {
    LinkRef { ns: Ns::Host, name: name.clone() }
}

#[cfg(test)]
mod tests;
