//! Taking host ports, so that no two containers have one.

use std::collections::BTreeMap;

use attach::wiring::Wiring;
use cni::Error;
use drivers::ports::{Class, Mapping};
use drivers::ruleset::Ip;
use kernel::Kernel;
use netstate::nft::Element;
use netstate::{Ns, Plan};

use super::Add;
use super::conf::Conf;
use crate::attachment::{attach_error, kernel_error};

/// How often others may change the ruleset between our look and our commit.
const ATTEMPTS: usize = 64;

/// Refuses mappings of one host port to two ports of the container. The same mapping twice is fine.
pub(super) fn distinct(mappings: &[Mapping]) -> Result<(), Error> {
    let mut seen = BTreeMap::new();
    for mapping in mappings {
        let key = (mapping.transport, mapping.host_ip, mapping.container_ip, mapping.host_port);
        let port = *seen.entry(key).or_insert(mapping.container_port);
        if port != mapping.container_port {
            return Err(Error::config(format!(
                "runtimeConfig.portMappings: host port {}/{} leads to the container's ports {port} \
                 and {}: give each a hostPort of its own",
                mapping.host_port,
                mapping.transport.name(),
                mapping.container_port
            )));
        }
    }
    Ok(())
}

/// Adds the elements, if no port is another's. The look and the commit are made one by the
/// ruleset's generation number: the kernel refuses a commit for an older one.
pub(super) fn commit(wiring: &mut Wiring<'_>, add: &Add<'_>) -> Result<(), Error> {
    let Add { conf, own, owner, .. } = *add;
    let mappings = &add.flows.mappings;
    for class in &conf.classes {
        make_class(wiring, class)?;
    }
    let mut last = None;
    for attempt in 0..ATTEMPTS {
        let generation = match attempt {
            0 => add.generation,
            _ => wiring.kernel().generation(&Ns::Host).map_err(|e| kernel_error(&e))?,
        };
        if let Some(taken) = holder(wiring.kernel(), mappings, conf)? {
            return Err(taken);
        }
        match wiring.run_at(&Plan::create(own), generation) {
            Ok(()) => return Ok(()),
            Err(attach::Error::Refused { source, .. })
                if source.0.kind() == kernel::Kind::Interrupted =>
            {
                last = Some(source);
            }
            Err(e) => return Err(attach_error(&e)),
        }
    }
    let why = last.map(|e| e.to_string()).unwrap_or_default();
    Err(Error::try_again(format!(
        "host ports of {}: others changed the ruleset {ATTEMPTS} times meanwhile: {why}",
        owner.path()
    )))
}

/// A class that is there already was made by another attachment with the same conditions.
fn make_class(wiring: &mut Wiring<'_>, class: &Class) -> Result<(), Error> {
    let plan = class.create();
    if plan.is_empty() {
        return Ok(());
    }
    match wiring.run_shared(&plan) {
        Ok(()) => Ok(()),
        Err(attach::Error::Refused { source, .. }) if source.0.kind() == kernel::Kind::Exists => {
            Ok(())
        }
        Err(e) => Err(attach_error(&e)),
    }
}

/// The error that names a port and who has it, if any of them is another's.
fn holder(kernel: &mut Kernel, mappings: &[Mapping], conf: &Conf) -> Result<Option<Error>, Error> {
    let class = |mapping: &Mapping| {
        let ip = Ip::of(mapping.container_ip);
        conf.classes.iter().find(|c| c.ip == ip).map(Class::name).unwrap_or_default()
    };
    let rival = rival(kernel, mappings, class).map_err(|e| kernel_error(&e))?;
    Ok(rival.map(|(mapping, there)| {
        let address = mapping.host_ip.map(|ip| format!(" of {ip}")).unwrap_or_default();
        Error::config(format!(
            "host port {}/{}{address} is already mapped for {} (network/container/interface): \
             choose another hostPort",
            mapping.host_port,
            mapping.transport.name(),
            there.comment
        ))
    }))
}

/// A mapping, and an element that has its key or translates some of its packets. Asked for by key,
/// but for those of single addresses, against which a mapping of any address is: they are listed,
/// as they are few and the addresses that a host has or will have may be many.
fn rival<'m>(
    kernel: &mut Kernel,
    mappings: &'m [Mapping],
    class: impl Fn(&Mapping) -> String,
) -> Result<Option<(&'m Mapping, Element)>, kernel::Error> {
    let (mut asked, mut keys, mut listed) = (Vec::new(), Vec::new(), BTreeMap::new());
    for mapping in mappings {
        let class = class(mapping);
        let any = mapping.claim_at(None, &class);
        if mapping.host_ip.is_none() {
            let of_set: &mut Vec<_> = listed.entry(mapping.single_addresses(&class)).or_default();
            of_set.push((mapping, any.1.clone()));
        } else {
            asked.push(mapping);
            keys.push(mapping.claim(&class));
        }
        asked.push(mapping);
        keys.push(any);
    }
    let there = kernel.elements_at(&Ns::Host, &keys)?;
    let held = asked.into_iter().zip(there).find_map(|(mapping, there)| Some((mapping, there?)));
    if held.is_some() {
        return Ok(held);
    }
    for (set, mappings) in listed {
        for there in kernel.elements(&Ns::Host, &set)? {
            if let Some((mapping, _)) = mappings.iter().find(|(_, key)| there.key.ends_with(key)) {
                return Ok(Some((*mapping, there)));
            }
        }
    }
    Ok(None)
}
