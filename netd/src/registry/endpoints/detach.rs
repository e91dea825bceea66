//! Taking a container off a network.

use ::attach::{Namespace, Record, direct, overlay, wiring};
use kernel::Kernel;
use netstate::{Ns, Op, Plan, Step};

use super::wire::forget_flows;
use super::{Endpoints, Networks, life, with_host};
use crate::endpoint::{Endpoint, EndpointError, PLUGIN, Parts};
use crate::registry::names as told;

impl Endpoints {
    /// Takes a container off a network; when this returns nothing of it is left.
    ///
    /// # Errors
    /// What is left; the endpoint is known still, and is tried again later.
    pub(in crate::registry) fn detach(
        &self,
        endpoint: &Endpoint,
        networks: &Networks,
    ) -> Result<(), EndpointError> {
        let _hold = self.hold(endpoint.sandbox());
        // Another may have done it meanwhile, or have made a new one of the same name.
        let now = self.index().get(&endpoint.network, &endpoint.key());
        match now.filter(|now| now.id == endpoint.id) {
            Some(now) => self.detach_held(&now, networks),
            None => Ok(()),
        }
    }

    /// The same where nothing else is done in the namespace.
    pub(super) fn detach_held(
        &self,
        endpoint: &Endpoint,
        networks: &Networks,
    ) -> Result<(), EndpointError> {
        // Nobody is sent to what is about to go.
        self.dns.remove_endpoint(&told::key(endpoint));
        self.mark_going(endpoint, networks)?;
        if endpoint.overlay.is_some() {
            self.begin_with_links(endpoint, networks)?;
        }
        let mut record = self.record_of(endpoint, networks)?;
        if record.netns.take().is_some() {
            // What is in it is found by a path that leads there now.
            let there = life::path(endpoint);
            record.netns = there.map(|path| Namespace { path, ..endpoint.netns.clone() });
        }
        let left = with_host(|host| {
            let left = take_away(host, &record);
            forget_flows(host, &record);
            left
        });
        if !left.is_empty() {
            return Err(::attach::Error::Left { left }.into());
        }
        self.elect_again(endpoint, networks);
        self.give_ports_back(endpoint);
        self.hand_over(endpoint, networks);
        self.forget_endpoint(endpoint)?;
        self.note_change(endpoint, networks);
        if endpoint.overlay.is_some() {
            self.take_way_out(endpoint.sandbox(), networks);
        }
        self.place_ports(endpoint.sandbox(), networks);
        Ok(())
    }

    /// Whoever finds it half gone goes on with it, and nobody repairs it.
    pub(super) fn mark_going(
        &self,
        endpoint: &Endpoint,
        networks: &Networks,
    ) -> Result<(), EndpointError> {
        if !endpoint.made {
            return Ok(());
        }
        let going = Endpoint { made: false, ..endpoint.clone() };
        if let Err(error) = self.files.write(&going) {
            // No room is left, and none is needed to go on: the record alone says what there is to undo.
            let (endpoint, error) = (endpoint.owner().path(), cni::ErrorChain(&error));
            tracing::warn!(endpoint, %error, "taken away without a note");
            self.files.remove(&going.network, &going.key())?;
        }
        self.index().replace(going);
        self.note_change(endpoint, networks);
        Ok(())
    }

    /// Forgets an endpoint of which nothing is left.
    pub(super) fn forget_endpoint(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        self.records.remove(&endpoint.owner(), PLUGIN)?;
        self.files.remove(&endpoint.network, &endpoint.key())?;
        self.index().remove(endpoint);
        Ok(())
    }

    /// What an endpoint has made: by its record, or where that is gone or damaged as it would be made.
    fn record_of(&self, endpoint: &Endpoint, networks: &Networks) -> Result<Record, EndpointError> {
        match self.records.get(&endpoint.owner(), PLUGIN) {
            Ok(Some(record)) => return Ok(record),
            Ok(None) | Err(::attach::Error::Record { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        match networks.get(&endpoint.network) {
            Some(network) => {
                Ok(self.record(endpoint, &Parts::of(endpoint, network, self.has_ipv6)?))
            }
            None => {
                let mut record = self.records.record(&endpoint.owner(), PLUGIN);
                record.links.push(endpoint.host_link.clone());
                Ok(record)
            }
        }
    }
}

/// Elements first (their price is hidden behind the links'), then links.
pub(super) fn take_away(host: &mut Kernel, record: &Record) -> Vec<String> {
    let elements = record
        .elements
        .iter()
        .map(|(set, element)| Op::DelElement { set: set.clone(), element: element.clone() });
    let links = record.links.iter().cloned().map(Op::DelLink);
    let steps = elements.chain(links).map(|op| Step::fresh(Ns::Host, op)).collect();
    let names = record.netns.as_ref().map(Namespace::names).unwrap_or_default();
    let mut left = wiring::remove(host, &Plan { steps }, &names);
    left.extend(direct::take_away(record));
    left.extend(overlay::take_away(record));
    left
}
