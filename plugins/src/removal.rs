//! Taking attachments away: by their record, and in any state they may be left in.

use std::collections::BTreeSet;

use attach::wiring::{self, Wiring};
use attach::{Record, Store};
use cni::{Error, Request};
use netstate::{LinkName, Ns, NsNames, Op, Plan, Step};

use crate::attachment::{self, attach_error};

/// Undoes a plugin's record of the request's attachment; `links` go even without a record.
/// Everything may be gone already, the namespace and the record included.
pub(crate) fn undo(request: &Request, plugin: &str, links: Vec<LinkName>) -> Result<(), Error> {
    let store = attachment::store()?;
    let owner = attachment::owner(request);
    let mut record = match store.get(&owner, plugin) {
        Ok(record) => record.unwrap_or_else(|| store.record(&owner, plugin)),
        // Whatever the record said: what is found without it goes, and then the record.
        Err(attach::Error::Record { .. }) => store.record(&owner, plugin),
        Err(e) => return Err(attach_error(&e)),
    };
    for link in links {
        if !record.links.contains(&link) {
            record.links.push(link);
        }
    }
    take_away(&store, &[record])
}

/// Undoes every record of a plugin in the request's network that is not among the valid
/// attachments, all in one batch, and sweeps up what has no record.
pub(crate) fn collect(request: &Request, plugin: &str) -> Result<(), Error> {
    let store = attachment::store()?;
    let valid: BTreeSet<(&str, &str)> = request
        .conf
        .valid_attachments
        .iter()
        .map(|a| (a.container_id.as_str(), a.ifname.as_str()))
        .collect();
    let network = request.conf.name.as_str();
    let mut stale = Vec::new();
    let mut problems = Vec::new();
    for record in store.list(Some(network), Some(plugin)).map_err(|e| attach_error(&e))? {
        match record {
            Ok(r) if valid.contains(&(r.owner.container_id.as_str(), r.owner.ifname.as_str())) => {}
            Ok(r) => stale.push(r),
            Err(e) => problems.push(cni::ErrorChain(&e).to_string()),
        }
    }
    if !stale.is_empty()
        && let Err(e) = take_away(&store, &stale)
    {
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
pub(crate) fn forget(store: &Store, stale: &Record) -> Result<(), Error> {
    take_away(store, std::slice::from_ref(stale))
}

/// Takes back what a failing ADD has wired; what cannot be taken back is said in the error.
pub(crate) fn after_failure(wiring: &mut Wiring<'_>, error: Error) -> Error {
    let left = wiring.undo();
    if left.is_empty() {
        error
    } else {
        error.with_details(format!("left behind: {}", left.join("; ")))
    }
}

/// Removes the record of a failed ADD, unless something is left that it must still answer for.
pub(crate) fn forget_record(store: &Store, record: &Record, error: Error) -> Error {
    if !error.details.is_empty() {
        return error;
    }
    match store.remove(&record.owner, &record.plugin) {
        Ok(()) => error,
        Err(e) => error.with_details(cni::ErrorChain(&e).to_string()),
    }
}

/// Elements first (their price is hidden behind the links'), then links, then the records; a
/// record goes only when all it speaks of is gone.
fn take_away(store: &Store, records: &[Record]) -> Result<(), Error> {
    let mut steps = Vec::new();
    for record in records {
        for (set, element) in &record.elements {
            let op = Op::DelElement { set: set.clone(), element: element.clone() };
            steps.push(Step::fresh(Ns::Host, op));
        }
    }
    for link in records.iter().flat_map(|r| &r.links) {
        steps.push(Step::fresh(Ns::Host, Op::DelLink(link.clone())));
    }
    let mut kernel = attachment::kernel(None);
    let left = wiring::remove(&mut kernel, &Plan { steps }, &NsNames::default());
    if !left.is_empty() {
        return Err(attach_error(&attach::Error::Left { left }));
    }
    for record in records {
        store.remove(&record.owner, &record.plugin).map_err(|e| attach_error(&e))?;
    }
    Ok(())
}
