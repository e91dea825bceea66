//! What is left in the kernel of attachments that no record tells of: found by its owner, who is in
//! the alias of links and the comment of elements. It is a sweep by dumps, for garbage collection
//! and for records that cannot be read.

use std::collections::BTreeSet;
use std::sync::Arc;

use attach::{Record, Store};
use cni::Error;
use drivers::{Owner, ports, ruleset};
use kernel::Kernel;
use netstate::Ns;
use netstate::nft::{Element, SetId};

use crate::attachment::kernel_error;
use crate::{netd, portmap};

/// A record of what is there of one attachment.
pub(super) fn of(
    kernel: &mut Kernel,
    store: &Store,
    owner: &Owner,
    plugin: &str,
) -> Result<Record, Error> {
    let mut record = store.record(owner, plugin);
    record.elements = elements(kernel, plugin, |comment| comment == owner.comment())?;
    Ok(record)
}

/// What is there of a network's attachments that are not valid, if anything is, as the record of
/// an attachment without names.
pub(super) fn not_among(
    kernel: &mut Kernel,
    store: &Store,
    network: &str,
    valid: &BTreeSet<Owner>,
    plugin: &str,
) -> Result<Option<Record>, Error> {
    let nobody =
        Owner { network: network.to_owned(), container_id: String::new(), ifname: String::new() };
    let mut record = store.record(&nobody, plugin);
    let comments: BTreeSet<String> = valid.iter().map(Owner::comment).collect();
    record.elements = elements(kernel, plugin, |comment| {
        Owner::is_comment_of(network, comment) && !comments.contains(comment)
    })?;
    let aliases: BTreeSet<String> = valid.iter().map(Owner::alias).collect();
    let links = kernel
        .links_by_alias_prefix(&Ns::Host, &Owner::alias_prefix(network))
        .map_err(|e| kernel_error(&e))?;
    for state in links {
        if state.link.alias.as_ref().is_some_and(|alias| !aliases.contains(alias)) {
            record.links.push(state.link.name);
        }
    }
    let is_empty = record.elements.is_empty() && record.links.is_empty();
    Ok((!is_empty).then_some(record))
}

/// The elements of our sets whose comment is one of those asked for. Those of published ports are
/// left to `portmap`, which forgets the flows through them too, and to `netd`, which does both.
fn elements(
    kernel: &mut Kernel,
    plugin: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(SetId, Arc<Element>)>, Error> {
    let (checked, genuine) = ruleset::spoofing_sets();
    let all = kernel.sets(&Ns::Host, &ruleset::inet_id()).map_err(|e| kernel_error(&e))?;
    let of_ports = plugin == portmap::NAME;
    let all_of_them = plugin == netd::NAME;
    let is_meant = |set: &SetId| {
        let is_of_ports = ruleset::purpose(set).map(ports::is_of_ports);
        is_of_ports.is_some_and(|is_of_ports| all_of_them || is_of_ports == of_ports)
    };
    let mut sets: Vec<SetId> = all.into_iter().filter(is_meant).collect();
    if !of_ports {
        sets.extend([checked, genuine]);
    }
    let mut found = Vec::new();
    for set in sets {
        let all = kernel.elements(&Ns::Host, &set).map_err(|e| kernel_error(&e))?;
        found.extend(
            all.into_iter().filter(|e| wanted(&e.comment)).map(|e| (set.clone(), e.into())),
        );
    }
    Ok(found)
}
