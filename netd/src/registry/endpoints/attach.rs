//! Attaching a container.

use std::path::PathBuf;

use ::attach::Namespace;
use cni::AddResult;
use kernel::{Kernel, Netns};
use netstate::{LinkName, Mac};
use rustix::rand::{GetRandomFlags, getrandom};

use super::direct::Below;
use super::inside::Inside;
use super::life::sandbox_of;
use super::overlay::Below as Overlaid;
use super::{Endpoints, Networks, with_host, with_left};
use crate::endpoint::{
    Endpoint, EndpointError, Families, Published, Sandbox, Wanted, covers, next_free, owner,
};
use crate::network::{BridgeOptions, Driver, Id, Network};
use crate::registry::names as told;

/// What is to be attached to which network.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Attachment<'a> {
    pub(super) network: &'a Network,
    pub(super) wanted: &'a Wanted,
    pub(super) netns: Netns,
    /// The same as it is written down, with the path by which the client opened it.
    pub(super) place: Namespace,
    /// The same as it is told from all others.
    pub(super) sandbox: Sandbox,
    /// What is below an overlay.
    pub(super) overlay: Option<Overlaid>,
}

impl<'a> Attachment<'a> {
    /// Of the container in a namespace that the client opened by a path.
    ///
    /// # Errors
    /// Where the namespace cannot be looked at.
    pub(in crate::registry) fn new(
        network: &'a Network,
        wanted: &'a Wanted,
        netns: Netns,
        path: PathBuf,
        overlay: Option<Overlaid>,
    ) -> Result<Self, EndpointError> {
        let unseen = |e| EndpointError::Netns(cni::ErrorChain(&e).to_string());
        let place = Namespace::of(&netns, path).map_err(unseen)?;
        let sandbox = sandbox_of(&netns).map_err(unseen)?;
        Ok(Self { network, wanted, netns, place, sandbox, overlay })
    }
}

impl Endpoints {
    /// Attaches a container; all of it, or nothing.
    pub(in crate::registry) fn attach(
        &self,
        attachment: &Attachment<'_>,
        networks: &Networks,
    ) -> Result<AddResult, EndpointError> {
        let Attachment { network, wanted, place, sandbox, .. } = attachment;
        self.not_the_hosts(place)?;
        is_seen(place)?;
        self.forget_stale(&network.id, &wanted.container, (&place.path, *sandbox), networks)?;
        match self.attach_to(attachment, networks) {
            // Whoever has it may be dead, and nobody has looked since.
            Err(error) if error.is_taken() && self.collect_dead(None, networks) => {
                self.attach_to(attachment, networks)
            }
            attached => attached,
        }
    }

    fn attach_to(
        &self,
        attachment: &Attachment<'_>,
        networks: &Networks,
    ) -> Result<AddResult, EndpointError> {
        let _hold = self.hold(attachment.sandbox);
        let made = self.attach_held(attachment, networks)?;
        let overlay = attachment.overlay.as_ref();
        match overlay.and_then(|overlay| overlay.way_out.as_ref()) {
            Some(way_out) => self.give_way_out(attachment, way_out, made, networks),
            None => Ok(made),
        }
    }

    /// The same where nothing else is done in the namespace.
    pub(super) fn attach_held(
        &self,
        attachment: &Attachment<'_>,
        networks: &Networks,
    ) -> Result<AddResult, EndpointError> {
        let Attachment { network, wanted, netns, overlay, .. } = attachment;
        let mut inside = Kernel::open(Some(netns));
        if let Some(overlay) = overlay {
            inside = inside.with_overlay(&overlay.netns);
        }
        let there = Inside::look(&mut inside, wanted)?;
        let below = self.below(network)?;
        let endpoint = self.reserve(attachment, &there, below.as_ref())?;
        let made = self.make(endpoint, &mut inside, attachment, networks);
        if made.is_err() {
            tracing::debug!(network = network.name, container = wanted.container, "not attached");
        }
        made
    }

    /// Docker's rule. The thread is in the host's namespace.
    fn not_the_hosts(&self, place: &Namespace) -> Result<(), EndpointError> {
        let host = Netns::current().and_then(|host| host.id());
        let is_host = host.is_ok_and(|host| host == place.id());
        match is_host {
            true => Err(EndpointError::SharedWithHost(place.path.display().to_string())),
            false => Ok(()),
        }
    }

    /// Decides what the endpoint is, and takes its addresses.
    fn reserve(
        &self,
        attachment: &Attachment<'_>,
        there: &Inside,
        below: Option<&Below>,
    ) -> Result<Endpoint, EndpointError> {
        let Attachment { network, wanted, place, sandbox, overlay, .. } = attachment;
        let options = match network.driver {
            Driver::Bridge => Some(BridgeOptions::read(&network.options)?),
            Driver::Null | Driver::Host | Driver::Macvlan | Driver::Ipvlan | Driver::Overlay => {
                None
            }
        };
        let mac = below.map_or(Ok(wanted.mac), |below| below.mac(network, wanted))?;
        let ports = published(network, wanted, options.as_ref());
        Published::distinct(&ports, covers)?;
        let random = random_mac()?;
        let mut index = self.index();
        below.map_or(Ok(()), |below| below.has_room(network, &index.of_network(&network.id)))?;
        let ifname = match &wanted.ifname {
            Some(name) => name.clone(),
            None => {
                let is_taken = |name: &LinkName| {
                    there.links.contains(name) || index.has_interface(*sandbox, name)
                };
                let prefix = options.as_ref().and_then(|options| options.prefix.as_deref());
                next_free(prefix, is_taken).map_err(::attach::Error::Name)?
            }
        };
        let mut same = index.of_container(&network.id, &wanted.container);
        if let Some(same) = same.find(|same| wanted.live || same.ifname == ifname) {
            return Err(EndpointError::Attached {
                container: wanted.container.clone(),
                network: network.name.clone(),
                ifname: same.ifname.to_string(),
            });
        }
        drop(same);
        there.apart(network, wanted)?;
        let whose = owner(&network.name, &wanted.container, &ifname);
        let host_link = whose.host_link().map_err(::attach::Error::Name)?;
        let addresses = index.take(network, &wanted.ips)?;
        // Where it comes up again with its address, its neighbours on other hosts learn nothing new.
        let by_address =
            overlay.as_ref().and(addresses.first()).map(|net| drivers::overlay::mac(net.ip()));
        let mac = mac.or(by_address).unwrap_or(random);
        let sysctls = wanted.sysctls_of(&ifname);
        let endpoint = Endpoint {
            id: Id::random(),
            network: network.id.clone(),
            network_name: network.name.clone(),
            container: wanted.container.clone(),
            ifname,
            netns: place.clone(),
            netns_cookie: sandbox.cookie,
            host_link,
            mac,
            addresses,
            names: wanted.names.clone(),
            overlay: overlay.as_ref().map(|overlay| overlay.on.clone()),
            is_gateway: wanted.is_gateway,
            ports,
            ports_held: wanted.ports_held,
            waiting: Vec::new(),
            carried: None,
            gw_priority: wanted.gw_priority,
            sysctls,
            default_routes: Families::default(),
            displaced: Vec::new(),
            made: false,
            boot_id: self.records.boot_id().to_owned(),
        };
        index.insert(network, endpoint.clone());
        Ok(endpoint)
    }

    fn make(
        &self,
        mut endpoint: Endpoint,
        inside: &mut Kernel,
        attachment: &Attachment<'_>,
        networks: &Networks,
    ) -> Result<AddResult, EndpointError> {
        let Attachment { network, wanted, netns, .. } = attachment;
        let change = self.elect(&mut endpoint, inside, network, wanted, networks);
        // What is about to change for others, too, is written down before it does.
        let written = change.and_then(|change| self.files.write(&endpoint).map(|()| change));
        let change = match written {
            Ok(change) => change,
            Err(error) => return Err(self.unmake(&endpoint, error, Vec::new())),
        };
        self.index().replace(endpoint.clone());
        let others = self.index().in_sandbox(endpoint.sandbox());
        let others: Vec<_> = others.into_iter().filter(|other| other.id != endpoint.id).collect();
        endpoint.share_ports(&others);
        let asked = match self.ask_for_ports(&mut endpoint, network, wanted.live, &wanted.dynamic) {
            Ok(asked) => asked,
            Err(error) => return Err(self.unmake(&endpoint, error, Vec::new())),
        };
        let held = || self.have_ports(asked, &endpoint, network, wanted.live);
        let wired = with_host(|host| self.wire(host, inside, &endpoint, network, &change, held));
        let result = match wired {
            Ok(result) => result,
            Err((error, left)) => return Err(self.unmake(&endpoint, error, left)),
        };
        endpoint.made = true;
        if let Err(error) = self.files.write(&endpoint) {
            self.index().replace(endpoint.clone());
            let left = self.detach_held(&endpoint, networks).err();
            return Err(with_left(error, left.map(|e| e.to_string()).into_iter().collect()));
        }
        self.announce(&endpoint, network, netns);
        self.dns.put_endpoint(told::endpoint(&endpoint));
        let sandbox = endpoint.sandbox();
        self.index().replace(endpoint.clone());
        self.note_change(&endpoint, networks);
        self.settle(change);
        self.place_ports(sandbox, networks);
        Ok(result)
    }

    /// Forgets what was not made, unless something of it is left.
    fn unmake(
        &self,
        endpoint: &Endpoint,
        error: EndpointError,
        left: Vec<String>,
    ) -> EndpointError {
        let mut left = left;
        if left.is_empty() {
            self.give_ports_back(endpoint);
            let forgotten = self.forget_endpoint(endpoint);
            left.extend(forgotten.err().map(|e| cni::ErrorChain(&e).to_string()));
        }
        with_left(error, left)
    }
}

/// What leads nowhere, or elsewhere, for netd would lead nowhere when it takes the container off again.
fn is_seen(place: &Namespace) -> Result<(), EndpointError> {
    if place.is_there() {
        return Ok(());
    }
    Err(EndpointError::Netns(format!(
        "netd does not see the container's network namespace at {}, which is another mount namespace's \
         path: name a process in the container, as pid:N, or make the path known where netd runs",
        place.path.display()
    )))
}

/// What is published, and where: on a bridge that leads out; elsewhere ports are without effect, as in
/// Docker.
fn published(
    network: &Network,
    wanted: &Wanted,
    options: Option<&BridgeOptions>,
) -> Vec<Published> {
    if let Some(options) = options.filter(|_| network.publishes()) {
        let default = options.host_binding.filter(|ip| !ip.is_unspecified());
        let bound =
            |port: &Published| Published { host_ip: port.host_ip.or(default), ..port.clone() };
        return wanted.ports.iter().map(bound).collect();
    }
    // Of an overlay they lead to the container's way out.
    if !wanted.ports.is_empty() && network.driver != Driver::Overlay {
        let (network, driver, internal) = (&network.name, network.driver.name(), network.internal);
        let container = &wanted.container;
        tracing::warn!(network, driver, internal, container, "published ports have no effect");
    }
    Vec::new()
}

/// A random, locally administered unicast address (IEEE 802-2014, section 8.4.4.1).
fn random_mac() -> Result<Mac, EndpointError> {
    let mut bytes = [0_u8; 6];
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|e| EndpointError::Agent(format!("no random bytes for a MAC address: {e}")))?;
    Ok(Mac::local(bytes))
}
