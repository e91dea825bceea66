//! Taking attachments away: by their record, and in any state they may be left in.

mod orphans;

use std::collections::BTreeSet;

use attach::wiring::{self, Wiring};
use attach::{Record, Store};
use cni::{Error, Request};
use drivers::Owner;
use kernel::{Kernel, Netns};
use netstate::{Link, LinkName, Ns, NsNames, Op, Plan, Step};

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
/// record that could be read comes back.
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
            (orphans::of(&mut kernel, &store, &owner, plugin)?, false)
        }
        Err(e) => return Err(attach_error(&e)),
    };
    for link in links {
        if !record.links.contains(&link) {
            record.links.push(link);
        }
    }
    remove(&mut kernel, &store, &[record], also)?;
    Ok(known)
}

/// Removes the request's interface in the container, where it is of the right kind. Without a
/// namespace it is gone with it.
pub(crate) fn remove_inside(
    request: &Request,
    is_ours: impl Fn(&Link) -> bool,
) -> Result<(), Error> {
    let Some(netns) = attachment::netns_if_there(request) else { return Ok(()) };
    remove_in(&netns, &request.ifname, &attachment::ns_names(request), is_ours)
}

/// The same by a record, in the namespace it was written for.
pub(crate) fn remove_inside_of(
    record: &Record,
    is_ours: impl Fn(&Link) -> bool,
) -> Result<(), Error> {
    let Some(namespace) = &record.netns else { return Ok(()) };
    let Some(netns) = namespace.open() else { return Ok(()) };
    let names = namespace.names();
    remove_in(&netns, &record.owner.ifname, &names, is_ours)
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
    let (mut stale, mut unreadable, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for record in store.list(Some(network), Some(plugin)).map_err(|e| attach_error(&e))? {
        match record {
            Ok(record) if valid.contains(&record.owner) => {}
            Ok(record) => stale.push(record),
            Err(e) => match store.owner_of_unreadable(&e).filter(|owner| !valid.contains(owner)) {
                Some(owner) => unreadable.push(store.record(&owner, plugin)),
                None => problems.push(cni::ErrorChain(&e).to_string()),
            },
        }
    }
    if remove(&mut kernel, &store, &stale, also).is_err() {
        // What is in the way of one must not keep the records of all.
        let each = stale.iter().map(std::slice::from_ref);
        let failed = each.filter_map(|one| remove(&mut kernel, &store, one, also).err());
        problems.extend(failed.map(|e| e.to_string()));
    }
    let swept = orphans::not_among(&mut kernel, &store, network, &valid, plugin)
        .and_then(|orphans| take_away(&mut kernel, orphans.as_slice(), also))
        // Of these nothing is left now but themselves.
        .and_then(|()| remove(&mut kernel, &store, &unreadable, nothing_else));
    problems.extend(swept.err().map(|e| e.to_string()));
    problems.extend(store.sweep(network, plugin).err().map(|e| cni::ErrorChain(&e).to_string()));
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

/// Takes back what a failing ADD has made, and its record unless something is left that it must
/// still answer for; that is said in the error.
pub(crate) fn after_failure(
    wiring: &mut Wiring<'_>,
    store: &Store,
    record: &Record,
    also: Also,
    error: Error,
) -> Error {
    let mut left = wiring.undo();
    left.extend(also(record).err().map(|e| e.to_string()));
    if left.is_empty() {
        let forgotten = store.remove(&record.owner, &record.plugin);
        left.extend(forgotten.err().map(|e| cni::ErrorChain(&e).to_string()));
    }
    left_behind(error, &left)
}

fn remove_in(
    netns: &Netns,
    ifname: &str,
    names: &NsNames,
    is_ours: impl Fn(&Link) -> bool,
) -> Result<(), Error> {
    let name = LinkName::new(ifname.to_owned())
        .map_err(|e| Error::environment(format!("CNI_IFNAME: {e}")))?;
    let mut kernel = attachment::kernel(Some(netns));
    let link = kernel.link_by_name(&Ns::Container, &name).map_err(|e| kernel_error(&e))?;
    if !link.is_some_and(|state| is_ours(&state.link)) {
        return Ok(());
    }
    let plan = Plan { steps: vec![Step::fresh(Ns::Container, Op::DelLink(name))] };
    let left = wiring::remove(&mut kernel, &plan, names);
    if left.is_empty() { Ok(()) } else { Err(attach_error(&attach::Error::Left { left })) }
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
