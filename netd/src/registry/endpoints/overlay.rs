//! Containers on overlays, and their way out: an interface on a bridge of this host, which the first overlay of
//! a container brings and the last one takes along (libnetwork: `docker_gwbridge`).

use std::sync::Arc;

use ::attach::wiring;
use cni::{AddResult, ErrorChain};
use kernel::{Kernel, Netns};
use netstate::{Ns, Op, Plan, Step};
use tokio::sync::watch;

use super::attach::Attachment;
use super::{Endpoints, Networks, life, with_left};
use crate::endpoint::{Endpoint, EndpointError, OnOverlay, Sandbox, Wanted, joined};
use crate::network::{Network, Scope};

/// What is below a network of that driver.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Below {
    /// The network's namespace.
    pub(in crate::registry) netns: Netns,
    /// The same as it is written down, and what else there is to know.
    pub(in crate::registry) on: OnOverlay,
    /// The network by which containers leave; none of one that nothing leaves.
    pub(in crate::registry) way_out: Option<Network>,
}

impl Endpoints {
    /// Tells whenever an endpoint of a network of the cluster is made, or goes.
    pub(in crate::registry) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether the host has IPv6.
    pub(in crate::registry) fn has_ipv6(&self) -> bool {
        self.has_ipv6
    }

    /// Those of networks of the cluster that are made.
    pub(in crate::registry) fn global(&self, networks: &Networks) -> Vec<Arc<Endpoint>> {
        self.all().into_iter().filter(|one| one.made && is_global(one, networks)).collect()
    }

    /// Notes that one was made, or is gone.
    pub(super) fn note_change(&self, endpoint: &Endpoint, networks: &Networks) {
        if is_global(endpoint, networks) {
            self.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// A container with what it is attached to: for plans that are about both.
    pub(super) fn inside(
        &self,
        netns: &Netns,
        endpoint: &Endpoint,
    ) -> Result<Kernel, EndpointError> {
        let kernel = Kernel::open(Some(netns));
        let Some(on) = &endpoint.overlay else { return Ok(kernel) };
        let name = on.netns.path.file_name().unwrap_or_default().to_string_lossy();
        let failed =
            |why: String| EndpointError::Overlay { network: endpoint.network_name.clone(), why };
        let opened =
            self.pins.open(&name).map_err(|error| failed(ErrorChain(&error).to_string()))?;
        let gone = || failed(format!("its namespace {} is gone", on.netns.path.display()));
        Ok(kernel.with_overlay(&opened.ok_or_else(gone)?))
    }

    /// Gives a container that was attached a way out, if it has none. The container is held.
    ///
    /// # Errors
    /// It is off the network again then.
    pub(super) fn give_way_out(
        &self,
        attachment: &Attachment<'_>,
        way_out: &Network,
        made: AddResult,
        networks: &Networks,
    ) -> Result<AddResult, EndpointError> {
        let leads_out = Kernel::open(Some(&attachment.netns))
            .default_route_link(&Ns::Container, false)
            .map(|link| link.is_some());
        let given = match leads_out {
            Ok(true) => return Ok(made),
            Ok(false) => {
                let wanted = wanted_of_way_out(attachment.wanted);
                let attachment = Attachment {
                    network: way_out,
                    wanted: &wanted,
                    overlay: None,
                    ..attachment.clone()
                };
                self.attach_held(&attachment, networks)
            }
            Err(error) => Err(error.into()),
        };
        given.map(|given| joined(made, given)).map_err(|error| {
            let on_network = |one: &Arc<Endpoint>| one.network == attachment.network.id;
            let here = self.index().in_sandbox(attachment.sandbox).into_iter().filter(on_network);
            let here: Vec<_> = here.collect();
            let left = here.iter().filter_map(|one| self.detach_held(one, networks).err());
            with_left(error, left.map(|error| ErrorChain(&error).to_string()).collect())
        })
    }

    /// Takes the interface of a container's overlay away together with those of ways out that go along: the
    /// wait at the end of a removal is one for all (`rcu_barrier()`, 12 to 30 ms each). Their ends in the container
    /// are in one namespace. What is not as it was made is left to the removal of each.
    pub(super) fn begin_with_links(
        &self,
        endpoint: &Endpoint,
        networks: &Networks,
    ) -> Result<(), EndpointError> {
        let ways_out = self.unneeded(endpoint.sandbox(), Some(endpoint), networks);
        let (false, Some(netns)) = (ways_out.is_empty(), life::open(endpoint)) else {
            return Ok(());
        };
        ways_out.iter().try_for_each(|one| self.mark_going(one, networks))?;
        let mut inside = Kernel::open(Some(&netns));
        let mut steps = Vec::new();
        for one in ways_out.iter().map(|one| &**one).chain([endpoint]) {
            let there = inside.link_by_name(&Ns::Container, &one.ifname);
            if there.is_ok_and(|there| there.is_some_and(|it| it.link.mac == Some(one.mac))) {
                steps.push(Step::fresh(Ns::Container, Op::DelLink(one.ifname.clone())));
            }
        }
        // What fails is told by the removal of each.
        let _ = wiring::remove(&mut inside, &Plan { steps }, &endpoint.ns_names());
        Ok(())
    }

    /// Takes the way out from a container that is on no overlay any more that would need it.
    pub(super) fn take_way_out(&self, sandbox: Sandbox, networks: &Networks) {
        for way_out in self.unneeded(sandbox, None, networks) {
            if let Err(error) = self.detach_held(&way_out, networks) {
                let (endpoint, error) = (way_out.owner().path(), ErrorChain(&error));
                tracing::warn!(endpoint, %error, "the way out of an overlay stays; trying again");
            }
        }
    }

    /// The ways out of a container that none of its overlays needs, without one that goes.
    fn unneeded(
        &self,
        sandbox: Sandbox,
        without: Option<&Endpoint>,
        networks: &Networks,
    ) -> Vec<Arc<Endpoint>> {
        let there = self.index().in_sandbox(sandbox);
        let needs = |one: &Arc<Endpoint>| {
            let network = networks.get(&one.network);
            one.overlay.is_some()
                && without.is_none_or(|gone| gone.id != one.id)
                && network.is_some_and(|network| !network.internal)
        };
        if there.iter().any(needs) {
            return Vec::new();
        }
        there.into_iter().filter(|one| one.is_gateway).collect()
    }
}

/// Whether other hosts are to know of it.
fn is_global(endpoint: &Endpoint, networks: &Networks) -> bool {
    networks.get(&endpoint.network).is_some_and(|network| network.scope == Scope::Global)
}

/// By any other network a container leaves rather than by this.
fn wanted_of_way_out(wanted: &Wanted) -> Wanted {
    let short: String = wanted.container.chars().take(12).collect();
    Wanted {
        container: wanted.container.clone(),
        ifname: None,
        names: vec![format!("gateway_{short}")],
        ports: wanted.ports.clone(),
        dynamic: wanted.dynamic.clone(),
        ports_held: wanted.ports_held,
        ips: Vec::new(),
        mac: None,
        gw_priority: i32::MIN,
        sysctls: std::collections::BTreeMap::new(),
        live: false,
        is_gateway: true,
    }
}
