//! Which containers there are: those on netd's networks, then those that runtimes have on disk.

use std::path::Path;

use crate::container::{Container, runtimes};
use crate::endpoint::ListedContainer;

/// What netd knows of a container, for [`crate::container::find`].
pub(super) fn of_netd(known: &[ListedContainer]) -> Vec<Container> {
    let container = |one: &ListedContainer| Container {
        id: one.id.clone(),
        names: one.names.clone(),
        hostname: None,
        runtime: "netd",
        netns: Some(one.sandbox_key.clone()),
    };
    known.iter().map(container).collect()
}

/// All containers of this host. One that netd knows comes first, with its runtime's names beside netd's:
/// a runtime that asked by CNI may have given it another id there, as `ctr` does.
pub(super) fn all(known: &[ListedContainer]) -> Vec<Container> {
    let mut all = of_netd(known);
    for found in runtimes::list(Path::new("/")) {
        match all.iter_mut().find(|one| one.id == found.id) {
            Some(one) => {
                let new: Vec<String> =
                    found.names.into_iter().filter(|name| !one.names.contains(name)).collect();
                one.names.extend(new);
                one.hostname = found.hostname;
                // A namespace of before may have been left to netd to collect.
                one.netns = found.netns.or_else(|| one.netns.take());
            }
            None => all.push(found),
        }
    }
    all
}
