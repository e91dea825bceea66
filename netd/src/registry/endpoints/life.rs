//! Whether containers are there still.
//!
//! No path says so by itself. A process' path ends before the namespace does, where others are in it, and what is
//! behind a path may be another namespace with the number of the one before. What says so is the pair of
//! interfaces: the kernel takes it away with the namespace. On a parent there is nothing on the host; then
//! something has to lead to the very namespace. So it is on an overlay, whose end of the pair is elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::{Kernel, Netns, NetnsError, NetnsId};
use netstate::Ns;

use super::{Endpoints, Networks, with_host};
use crate::endpoint::{Endpoint, EndpointError, Sandbox};
use crate::network::{Direct, Driver, Id, Network};

/// Whether an endpoint's container is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It is, and so is its interface.
    Stands,
    /// It is, and somebody has deleted its interface.
    Lost,
    /// It is not.
    Gone,
}

impl Endpoints {
    /// Looks; where that fails it stands.
    pub(super) fn life(&self, endpoint: &Endpoint, networks: &Networks) -> Life {
        if endpoint.overlay.is_some() || is_direct(endpoint, networks) {
            return if has_own_link(endpoint) { Life::Stands } else { Life::Gone };
        }
        match with_host(|host| host.has_living_peer(&endpoint.host_link)) {
            Ok(false) if is_at_path(endpoint) => Life::Lost,
            Ok(false) => Life::Gone,
            Ok(true) | Err(_) => Life::Stands,
        }
    }

    /// Takes away who is in the way of a container because nobody has looked at them since they died: its
    /// own endpoints of before, in another namespace. A socket may keep that for some milliseconds; where the
    /// path leads here by now, and nothing else there, it counts as gone. On a kernel without cookies it may be
    /// one with the same number, and whose interface is gone there is taken for dead.
    pub(super) fn forget_stale(
        &self,
        network: &Id,
        container: &str,
        (place, sandbox): (&Path, Sandbox),
        networks: &Networks,
    ) -> Result<(), EndpointError> {
        let is_sure = sandbox.cookie.is_some();
        let mut there: Vec<Arc<Endpoint>> = {
            let index = self.index();
            let before = index.of_container(network, container);
            let before = before.filter(|one| !is_sure || one.sandbox() != sandbox);
            let same = if is_sure { Vec::new() } else { index.in_sandbox(sandbox) };
            before.chain(same).collect()
        };
        there.retain(|one| match self.life(one, networks) {
            // Also one that is being taken away at this moment: then that is waited for.
            Life::Gone => one.made || one.sandbox() != sandbox,
            Life::Lost => one.made && !is_sure && one.sandbox() == sandbox,
            Life::Stands => one.made && one.netns.path == place && path(one).is_none(),
        });
        there.iter().try_for_each(|stale| self.detach(stale, networks))
    }

    /// Has it looked soon whether an endpoint's container is gone.
    pub(super) fn suspect(&self, endpoint: &Endpoint) {
        self.index().suspect(endpoint);
        self.suspected.notify_one();
    }

    /// The same of all that are on a parent directly.
    pub(in crate::registry) fn suspect_all_on_parents(&self, networks: &Networks) {
        let drivers = [Driver::Macvlan, Driver::Ipvlan];
        let are_direct = |network: &&Network| drivers.contains(&network.driver);
        for network in networks.values().filter(are_direct) {
            self.of_network(&network.id).iter().for_each(|endpoint| self.suspect(endpoint));
        }
    }

    /// Waits until a container may be gone.
    pub(in crate::registry) fn suspected(&self) -> Arc<tokio::sync::Notify> {
        Arc::clone(&self.suspected)
    }
}

/// What tells a namespace from all others.
pub(super) fn sandbox_of(netns: &Netns) -> Result<Sandbox, NetnsError> {
    Ok(Sandbox { id: netns.id()?, cookie: netns.cookie()? })
}

/// Opens an endpoint's namespace, by whatever leads there.
pub(super) fn open(endpoint: &Endpoint) -> Option<Netns> {
    leading_to(endpoint).map(|(_, netns)| netns)
}

/// A path to an endpoint's namespace, if any leads there.
pub(super) fn path(endpoint: &Endpoint) -> Option<PathBuf> {
    leading_to(endpoint).map(|(path, _)| path)
}

/// Whether an endpoint's namespace is behind the path by which it was given.
pub(in crate::registry) fn is_at_path(endpoint: &Endpoint) -> bool {
    at(&endpoint.netns.path, endpoint.sandbox()).is_some()
}

/// On which nothing of the host's stands for a container.
fn is_direct(endpoint: &Endpoint, networks: &Networks) -> bool {
    // A network's options were checked when it was made.
    let direct = networks.get(&endpoint.network).map(Direct::of);
    matches!(direct, Some(Ok(Some(_))))
}

/// A cookie is enough.
fn has_own_link(endpoint: &Endpoint) -> bool {
    let Some(netns) = open(endpoint) else { return false };
    if endpoint.netns_cookie.is_some() {
        return true;
    }
    let there = Kernel::open(Some(&netns)).link_by_name(&Ns::Container, &endpoint.ifname);
    // Where it cannot be asked it stands.
    there.map_or(true, |there| {
        // On an overlay it is the other end that has the alias.
        let alias = endpoint.overlay.is_none().then(|| endpoint.owner().alias());
        there.is_some_and(|there| there.link.alias == alias)
    })
}

fn leading_to(endpoint: &Endpoint) -> Option<(PathBuf, Netns)> {
    let sandbox = endpoint.sandbox();
    let given = std::iter::once(endpoint.netns.path.clone());
    let mut paths = given.chain(std::iter::once_with(|| others(sandbox.id)).flatten());
    paths.find_map(|path| at(&path, sandbox).map(|netns| (path, netns)))
}

/// What is behind a path, if it is this namespace. Most that is not is told by its number.
pub(super) fn at(path: &Path, sandbox: Sandbox) -> Option<Netns> {
    if NetnsId::at(path) != Some(sandbox.id) {
        return None;
    }
    let netns = Netns::open(path).ok()?;
    (sandbox_of(&netns).ok()? == sandbox).then_some(netns)
}

/// Where else a namespace may be seen: mounted (`proc_pid_mountinfo(5)`), and by the processes in it.
fn others(id: NetnsId) -> Vec<PathBuf> {
    let root = format!("net:[{}]", id.ino);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounted = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        (fields.next() == Some(&root)).then(|| fields.next().map(PathBuf::from))?
    });
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let of_processes = processes
        .filter(|entry| {
            entry.file_name().to_string_lossy().starts_with(|c: char| c.is_ascii_digit())
        })
        .map(|entry| entry.path().join("ns/net"));
    mounted.chain(of_processes).collect()
}
