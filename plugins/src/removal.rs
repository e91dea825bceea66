//! Taking attachments away: by their record, and in any state they may be left in.

mod orphans;

use std::collections::BTreeSet;

use attach::wiring::{self, Wiring};
use attach::{Record, Store};
use cni::{Error, Request};
use drivers::Owner;
use kernel::Kernel;
use netstate::{LinkKind, LinkName, Ns, NsNames, Op, Plan, Step};

use crate::attachment::{self, attach_error, kernel_error};

/// What a plugin takes away beside links and elements: after them, and before the record goes, so
/// that whoever comes after a failure or a death still knows of it.
pub(crate) type Also = fn(&Record) -> Result<(), Error>;

/// There is nothing else.
pub(crate) fn nothing_else(_: &Record) -> Result<(), Error> {
    Ok(())
}

/// Undoes a plugin's record of the request's attachment; `links` go even without a record.
/// Everything may be gone already, the namespace and the record included. Whether there was a
/// record comes back.
pub(crate) fn undo(
    request: &Request,
    plugin: &str,
    links: Vec<LinkName>,
    also: Also,
) -> Result<bool, Error> {
    let store = attachment::store()?;
    let owner = attachment::owner(request);
    let mut kernel = attachment::kernel(None);
    let (mut record, known) = match store.get(&owner, plugin) {
        Ok(Some(record)) => (record, true),
        Ok(None) => (store.record(&owner, plugin), false),
        // Whatever the record said: what is found without it goes, and then the record.
        Err(attach::Error::Record { .. }) => {
            (orphans::of(&mut kernel, &store, &owner, plugin)?, true)
        }
        Err(e) => return Err(attach_error(&e)),
    };
    for link in links {
        if !record.links.contains(&link) {
            record.links.push(link);
        }
    }
    take_away(&mut kernel, std::slice::from_ref(&record), also)?;
    store.remove(&record.owner, &record.plugin).map_err(|e| attach_error(&e))?;
    Ok(known)
}

/// Removes the request's interface in the container, where it is of the right kind. Without a
/// namespace it is gone with it.
pub(crate) fn remove_inside(
    request: &Request,
    is_ours: impl Fn(&LinkKind) -> bool,
) -> Result<(), Error> {
    let Some(netns) = attachment::netns_if_there(request) else { return Ok(()) };
    let name = attachment::ifname(request)?;
    let mut kernel = attachment::kernel(Some(&netns));
    let link = kernel.link_by_name(&Ns::Container, &name).map_err(|e| kernel_error(&e))?;
    if !link.is_some_and(|state| is_ours(&state.link.kind)) {
        return Ok(());
    }
    let plan = Plan { steps: vec![Step::fresh(Ns::Container, Op::DelLink(name))] };
    let left = wiring::remove(&mut kernel, &plan, &attachment::ns_names(request));
    if left.is_empty() { Ok(()) } else { Err(attach_error(&attach::Error::Left { left })) }
}

/// Undoes every record of a plugin in the request's network that is not among the valid
/// attachments, all in one batch, and sweeps up what has no record.
pub(crate) fn collect(request: &Request, plugin: &str, also: Also) -> Result<(), Error> {
    let store = attachment::store()?;
    let network = request.conf.name.as_str();
    let owner = |a: &cni::Attachment| Owner {
        network: network.to_owned(),
        container_id: a.container_id.clone(),
        ifname: a.ifname.clone(),
    };
    let valid: BTreeSet<Owner> = request.conf.valid_attachments.iter().map(owner).collect();
    let mut kernel = attachment::kernel(None);
    let mut stale = Vec::new();
    let mut problems = Vec::new();
    for record in store.list(Some(network), Some(plugin)).map_err(|e| attach_error(&e))? {
        match record {
            Ok(r) if valid.contains(&r.owner) => {}
            Ok(r) => stale.push(r),
            Err(e) => problems.push(cni::ErrorChain(&e).to_string()),
        }
    }
    if !stale.is_empty()
        && let Err(e) = remove(&mut kernel, &store, &stale, also)
    {
        problems.push(e.to_string());
    }
    let swept = orphans::not_among(&mut kernel, &store, network, &valid, plugin)
        .and_then(|orphans| take_away(&mut kernel, orphans.as_slice(), also));
    if let Err(e) = swept {
        problems.push(e.to_string());
    }
    if let Err(e) = store.sweep(network, plugin) {
        problems.push(cni::ErrorChain(&e).to_string());
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::internal(format!(
        "garbage collection of network {network:?}: {}",
        problems.join("; ")
    )))
}

/// Forgets a record whose namespace or boot is gone, with whatever of it is still there.
pub(crate) fn forget(store: &Store, stale: &Record, also: Also) -> Result<(), Error> {
    remove(&mut attachment::kernel(None), store, std::slice::from_ref(stale), also)
}

/// Takes back what a failing ADD has wired; what cannot be taken back is said in the error.
pub(crate) fn after_failure(wiring: &mut Wiring<'_>, error: Error) -> Error {
    left_behind(error, &wiring.undo())
}

/// Removes the record of a failed ADD, unless something is left that it must still answer for.
pub(crate) fn forget_record(store: &Store, record: &Record, error: Error) -> Error {
    if !error.details.is_empty() {
        return error;
    }
    match store.remove(&record.owner, &record.plugin) {
        Ok(()) => error,
        Err(e) => left_behind(error, &[cni::ErrorChain(&e).to_string()]),
    }
}

fn left_behind(error: Error, left: &[String]) -> Error {
    if left.is_empty() {
        return error;
    }
    error.with_details(format!("left behind: {}", left.join("; ")))
}

fn remove(kernel: &mut Kernel, store: &Store, records: &[Record], also: Also) -> Result<(), Error> {
    take_away(kernel, records, also)?;
    for record in records {
        store.remove(&record.owner, &record.plugin).map_err(|e| attach_error(&e))?;
    }
    Ok(())
}

/// Elements first (their price is hidden behind the links'), then links, then what else there is;
/// a record may go only when all it speaks of is gone.
fn take_away(kernel: &mut Kernel, records: &[Record], also: Also) -> Result<(), Error> {
    let mut steps = Vec::new();
    for (set, element) in records.iter().flat_map(|r| &r.elements) {
        let op = Op::DelElement { set: set.clone(), element: element.clone() };
        steps.push(Step::fresh(Ns::Host, op));
    }
    for link in records.iter().flat_map(|r| &r.links) {
        steps.push(Step::fresh(Ns::Host, Op::DelLink(link.clone())));
    }
    let left = wiring::remove(kernel, &Plan { steps }, &NsNames::default());
    let mut rest = Ok(());
    for record in records {
        rest = rest.and(also(record));
    }
    if !left.is_empty() {
        return Err(attach_error(&attach::Error::Left { left }));
    }
    rest
}
