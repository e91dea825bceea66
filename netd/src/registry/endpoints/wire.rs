//! Making in the kernel what an endpoint is.

use ::attach::claim::Claim;
use ::attach::tables::{self, Constant};
use ::attach::wiring::Wiring;
use ::attach::{Record, direct, flows, forward, overlay};
use cni::AddResult;
use kernel::Kernel;
use netstate::{Ns, Plan};

use super::detach::take_away;
use super::{Endpoints, gateway};
use crate::endpoint::{Endpoint, EndpointError, Made, PLUGIN, Parts};
use crate::network::Network;

/// The chain of the administrator's in iptables' table, as plugin `firewall` has it.
pub(super) const ADMIN: &str = "CNI-ADMIN";

/// The key of a record's note that says where its endpoint is written down.
pub(super) const DIR_NOTE: &str = "endpoints";

impl Endpoints {
    /// Makes everything in the kernel, its links once `held` says that host ports are, and what leads those to it
    /// last; what is left after a failure comes with the error.
    pub(super) fn wire(
        &self,
        host: &mut Kernel,
        inside: &mut Kernel,
        endpoint: &Endpoint,
        network: &Network,
        change: &gateway::Change,
        held: impl FnOnce() -> Result<(), EndpointError>,
    ) -> Result<AddResult, (EndpointError, Vec<String>)> {
        let whole = |error: EndpointError| (error, Vec::new());
        let parts = Parts::of(endpoint, network, self.has_ipv6).map_err(|e| whole(e.into()))?;
        let mut bridge = None;
        if let Some(name) = &parts.bridge {
            bridge = host.link_by_name(&Ns::Host, name).map_err(|e| whole(e.into()))?;
            let ensured = tables::ensure(host, &self.records, Constant::Inet);
            ensured.map_err(|e| whole(e.into()))?;
        }
        if parts.bridge.is_none() && endpoint.overlay.is_none() {
            acquaint(inside);
        }
        let record = self.record(endpoint, &parts);
        self.write_down(host, &record).map_err(whole)?;
        let mut elements = Wiring::new(host, endpoint.ns_names());
        // While this was made ports were opened. Nobody else asks for any until it is known: links can wait.
        let ready = guard(&mut elements, &parts).and_then(|()| held());
        let mut links = Wiring::new(inside, endpoint.ns_names());
        let linked = ready.and_then(|()| {
            let linked = links.run(&change.within(Plan::create(&parts.links)));
            linked.map_err(|error| explain(links.kernel(), error.into(), endpoint))
        });
        let published = linked.and_then(|()| publish(&mut elements, endpoint, &parts));
        if let Err(error) = published {
            let mut left = links.undo();
            left.extend(elements.undo());
            return Err((error, left));
        }
        forget_flows(elements.kernel(), &record);
        let bridge_mac = bridge.and_then(|there| there.link.mac);
        let facts = &links.report().links;
        Ok(Made { endpoint, network, parts: &parts, bridge_mac, facts }.result())
    }

    /// One that is there is of an endpoint that nobody knows: its file was damaged, or removed.
    fn write_down(&self, host: &mut Kernel, record: &Record) -> Result<(), EndpointError> {
        match self.records.claim(record) {
            Err(::attach::Error::Attached { .. }) => {}
            claimed => return Ok(claimed?),
        }
        let orphan = self.records.get(&record.owner, PLUGIN)?;
        let left = orphan.map(|orphan| take_away(host, &orphan)).unwrap_or_default();
        if !left.is_empty() {
            return Err(::attach::Error::Left { left }.into());
        }
        Ok(self.records.replace(record)?)
    }

    pub(super) fn record(&self, endpoint: &Endpoint, parts: &Parts) -> Record {
        let record = self.records.record(&endpoint.owner(), PLUGIN);
        let mut record = record.with_elements(&parts.elements).with_shared(&parts.shared);
        record.netns = Some(endpoint.netns.clone());
        record.notes.insert(DIR_NOTE.to_owned(), self.files.dir());
        if endpoint.is_gateway {
            overlay::note_way_out(&mut record);
        }
        let Some(bridge) = &parts.bridge else {
            match &endpoint.overlay {
                Some(on) => overlay::note(&mut record, &on.netns.path, &endpoint.host_link),
                None => direct::note(&mut record, &parts.links),
            }
            return record;
        };
        record.links.push(endpoint.host_link.clone());
        for ip in parts.forwarded() {
            record.notes.insert(forward::note(ip), format!("{bridge} {ADMIN}"));
        }
        record
    }
}

/// What is to be there before the container can say anything.
fn guard(elements: &mut Wiring<'_>, parts: &Parts) -> Result<(), EndpointError> {
    forwarding(elements.kernel(), parts)?;
    elements.run(&Plan::ensure(&parts.shared))?;
    Ok(elements.run(&Plan::create(&parts.guards))?)
}

/// Adds the elements of ports, where nobody else has one.
fn publish(
    elements: &mut Wiring<'_>,
    endpoint: &Endpoint,
    parts: &Parts,
) -> Result<(), EndpointError> {
    if parts.mappings.is_empty() {
        return Ok(());
    }
    let (mut own, there) = (Plan::create(&parts.elements), Plan::create(&parts.guards));
    own.steps.retain(|step| !there.steps.contains(step));
    // Others have changed the ruleset while links were made, as like as not.
    let generation = elements.kernel().generation(&Ns::Host).map_err(::attach::Error::from)?;
    let owner = endpoint.owner();
    let mappings = &parts.mappings;
    let claim = Claim { owner: &owner, mappings, classes: &[], own: &own, generation };
    Ok(claim.commit(elements)?)
}

/// Has the kernel tell when the container is gone, of which nothing is on the host. Else it is seen at the
/// next look.
fn acquaint(inside: &mut Kernel) {
    if let Err(error) = inside.acquaint(&Ns::Host, &Ns::Container) {
        tracing::debug!(error = %cni::ErrorChain(&error), "nobody tells when the container is gone");
    }
}

/// That entries expire by themselves is why a failure is none of attaching.
pub(super) fn forget_flows(host: &mut Kernel, record: &Record) {
    if let Err(error) = flows::forget(host, record) {
        tracing::warn!(error = %cni::ErrorChain(&error), "conntrack keeps flows of before");
    }
}

/// Lets the host forward for a network.
pub(super) fn forwarding(host: &mut Kernel, parts: &Parts) -> Result<(), ::attach::Error> {
    forward::enable(host, &parts.gateways)?;
    let Some(bridge) = &parts.bridge else { return Ok(()) };
    parts.forwarded().try_for_each(|ip| forward::open(host, ip, bridge, ADMIN))
}

/// A name that is taken in the container is the caller's mistake, and says so.
fn explain(inside: &mut Kernel, error: EndpointError, endpoint: &Endpoint) -> EndpointError {
    let EndpointError::Attach(::attach::Error::Refused { source, .. }) = &error else {
        return error;
    };
    let is_taken = source.0.kind() == kernel::Kind::Exists;
    let there = inside.link_by_name(&Ns::Container, &endpoint.ifname);
    if is_taken && matches!(there, Ok(Some(_))) {
        return EndpointError::IfnameTaken {
            ifname: endpoint.ifname.to_string(),
            netns: endpoint.netns.path.display().to_string(),
        };
    }
    error
}
