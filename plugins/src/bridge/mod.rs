//! A bridge on the host, a veth pair per container; gateway and masquerading on request.

mod conf;
mod result;
mod state;

use std::time::Duration;

use attach::tables::{self, Constant};
use attach::wiring::{self, Wiring};
use attach::{Namespace, Record, Store, forward};
use cni::skel::{Info, NetnsRule, Plugin};
use cni::{AddResult, Code, Error, Request, Version};
use drivers::bridge::{BRIDGE_ALIAS, Bridge as Shared, Port};
use drivers::container::Interface;
use drivers::{Owner, masquerade, spoofing};
use kernel::Kernel;
use netstate::{Datapath, Desired, LinkName, Mac, Ns, Observed, Plan};

use crate::addressing::Ipam;
use crate::attachment::{self, attach_error, kernel_error};
use crate::{mac, reference, removal};
use conf::Conf;

/// The plugin's name, and that of its records.
const NAME: &str = "bridge";

/// How long duplicate address detection may take; the reference's bound.
const DETECTION: Duration = Duration::from_secs(5);

/// The plugin.
pub(crate) struct Bridge;

impl Plugin for Bridge {
    fn info(&self) -> Info {
        Info {
            name: NAME,
            build: env!("CARGO_PKG_VERSION"),
            versions: Version::ALL,
            netns: NetnsRule::Container,
        }
    }

    fn add(&self, request: &Request) -> Result<AddResult, Error> {
        let conf = Conf::of(request)?;
        let ipam = Ipam::of(request)?;
        attachment::needs_address(request, ipam.is_some())?;
        let owner = attachment::owner(request);
        let (netns, namespace) = attachment::netns(request)?;
        let store = attachment::store()?;
        attachment::refuse_second_add(&store, &owner, NAME, &namespace, |stale| {
            removal::forget(&store, stale, removal::nothing_else)
        })?;
        let mut kernel = attachment::kernel(Some(&netns));
        let site = Site::look(&conf, &mut kernel)?;
        let addressing = ipam.add()?.unwrap_or_default();
        let add = Add { conf, owner, store, namespace, request };
        add.wire(&mut kernel, site, addressing).map_err(|e| ipam.undo(e))
    }

    fn del(&self, request: &Request) -> Result<(), Error> {
        let link =
            attachment::owner(request).host_link().map_err(|e| Error::internal(e.to_string()))?;
        let undone = removal::undo(request, NAME, vec![link], removal::nothing_else)
            .and_then(|known| if known { Ok(()) } else { reference::leave_bridge(request) });
        let released = Ipam::of(request).and_then(|ipam| ipam.del());
        undone?;
        released
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        let conf = Conf::of(request)?;
        Ipam::of(request)?.check()?;
        let (netns, _) = attachment::netns(request)?;
        let mut kernel = attachment::kernel(Some(&netns));
        result::check_names(request, &conf)?;
        let wanted = state::of_result(request, &conf)?;
        let names = attachment::ns_names(request);
        let missing =
            wiring::missing(&mut kernel, &wanted, &names).map_err(|e| attach_error(&e))?;
        attachment::nothing_missing(&missing)
    }

    fn gc(&self, request: &Request) -> Result<(), Error> {
        let undone = removal::collect(request, NAME, removal::nothing_else);
        let released = Ipam::of(request).and_then(|ipam| ipam.gc());
        undone?;
        released
    }

    fn status(&self, request: &Request) -> Result<(), Error> {
        let conf = Conf::of(request)?;
        if conf.masquerade || conf.macspoofchk {
            attachment::needs_nf_tables("ipMasq and macspoofchk")?;
        }
        Ipam::of(request)?.status()
    }
}

/// The shared side: what it has to be, and what of it is there.
struct Site {
    shared: Shared,
    observed: Observed,
}

impl Site {
    /// Refuses a bridge that is none before any address is reserved.
    fn look(conf: &Conf, kernel: &mut Kernel) -> Result<Self, Error> {
        let shared = state::shared(conf, state::mtu(conf, kernel)?)?;
        let observed = kernel.observe(&shared.scope()).map_err(|e| kernel_error(&e))?;
        let site = Self { shared, observed };
        site.ensure().map(|_| site)
    }

    fn ensure(&self) -> Result<Plan, Error> {
        self.shared.ensure(&self.observed).map_err(|e| Error::caused_by(Code::InvalidConfig, &e))
    }
}

/// An ADD whose configuration is valid and whose namespace is there.
struct Add<'r> {
    conf: Conf,
    owner: Owner,
    store: Store,
    namespace: Namespace,
    request: &'r Request,
}

impl Add<'_> {
    /// Makes all of it, or nothing of the attachment's own.
    fn wire(
        &self,
        kernel: &mut Kernel,
        mut site: Site,
        addressing: AddResult,
    ) -> Result<AddResult, Error> {
        let inside = state::interface(&self.conf, &addressing, site.shared.mtu)?;
        site.shared.gateways = state::gateways(&self.conf, &inside)?;
        let ensure = site.ensure()?;
        let Site { shared, observed } = site;
        // Our choice, so that the kernel need not be asked for its own.
        let mac = self.conf.mac.map_or_else(mac::random, Ok)?;
        let port = state::port(&self.conf, &self.owner, self.request, shared.mtu, Some(mac))?;
        let mut own = port.desired(&self.owner, &shared.name, &inside);
        self.elements(&mut own, &shared, &inside, mac, &port.host_link);
        self.ensure_tables(kernel)?;
        let record = self.record(&own, &port.host_link);
        self.store.claim(&record).map_err(|e| attach_error(&e))?;
        let mut wiring = Wiring::new(kernel, attachment::ns_names(self.request));
        let wired = self.apply(&mut wiring, &ensure, &own, &port, &shared);
        let settled = wired.and_then(|()| self.settle(wiring.kernel(), &port, &inside));
        let done = settled.and_then(|()| {
            let bridge_mac = bridge_mac(&shared, &observed, wiring.kernel())?;
            let made = result::Made { shared: &shared, port: &port, inside: &inside, bridge_mac };
            made.result(self.request, wiring.report(), addressing)
        });
        done.map_err(|error| {
            let also = removal::nothing_else;
            removal::after_failure(&mut wiring, &self.store, &record, also, error)
        })
    }

    fn apply(
        &self,
        wiring: &mut Wiring<'_>,
        ensure: &Plan,
        own: &Desired,
        port: &Port,
        shared: &Shared,
    ) -> Result<(), Error> {
        let mut plans = vec![ensure.clone(), Plan::create(own)];
        plans.push(Plan { steps: port.vlan_steps() });
        for plan in plans.iter().filter(|p| !p.is_empty()) {
            wiring.run(plan).map_err(|e| self.explain(wiring.kernel(), &e, &port.ifname))?;
        }
        if self.conf.is_gateway {
            forward::enable(wiring.kernel(), &shared.gateways).map_err(|e| attach_error(&e))?;
        }
        Ok(())
    }

    /// With `enabledad` the container begins when its addresses may be used.
    fn settle(&self, kernel: &mut Kernel, port: &Port, inside: &Interface) -> Result<(), Error> {
        let detected = self.conf.dad && !port.leave_down;
        if !detected || !inside.addresses.iter().any(|a| a.net.is_ipv6()) {
            return Ok(());
        }
        kernel.settle(&Ns::Container, &port.ifname, DETECTION).map_err(|e| kernel_error(&e))
    }

    /// A name that is taken in the container is the caller's mistake, and says so.
    fn explain(&self, kernel: &mut Kernel, error: &attach::Error, ifname: &LinkName) -> Error {
        let attach::Error::Refused { source, .. } = error else { return attach_error(error) };
        let there = kernel.link_by_name(&Ns::Container, ifname);
        if source.0.kind() == kernel::Kind::Exists && matches!(there, Ok(Some(_))) {
            return Error::environment(format!(
                "CNI_IFNAME: interface {:?} already exists in {:?}",
                ifname.as_str(),
                attachment::sandbox(self.request)
            ));
        }
        attach_error(error)
    }

    /// The attachment's elements in the nf_tables sets.
    fn elements(
        &self,
        own: &mut Desired,
        shared: &Shared,
        inside: &Interface,
        mac: Mac,
        host_link: &LinkName,
    ) {
        if self.conf.masquerade {
            let addrs: Vec<_> = inside.addresses.iter().map(|a| a.net.ip()).collect();
            masquerade::add(own, &self.owner, shared.gateway_link(), &addrs);
        }
        if self.conf.macspoofchk {
            spoofing::add(own, &self.owner, host_link, mac);
        }
    }

    fn ensure_tables(&self, kernel: &mut Kernel) -> Result<(), Error> {
        let mut wanted = Vec::new();
        if self.conf.masquerade {
            wanted.push(Constant::Inet);
        }
        if self.conf.macspoofchk {
            wanted.push(Constant::Bridge);
        }
        for table in wanted {
            tables::ensure(kernel, &self.store, table).map_err(|e| attach_error(&e))?;
        }
        Ok(())
    }

    fn record(&self, own: &Desired, host_link: &LinkName) -> Record {
        let mut record = self.store.record(&self.owner, NAME).with_elements(own);
        record.netns = Some(self.namespace.clone());
        record.links.push(host_link.clone());
        record
    }
}

/// The address of a bridge that was there before. One that nobody has fixed is that of one of its
/// ports, and may be another now that there is one more.
fn bridge_mac(
    shared: &Shared,
    observed: &Observed,
    kernel: &mut Kernel,
) -> Result<Option<Mac>, Error> {
    let there = observed.0.ns(&Ns::Host).and_then(|h| h.links.get(&shared.name));
    let Some(there) = there else { return Ok(None) };
    if there.alias.as_deref() == Some(BRIDGE_ALIAS) || !shared.gateways.is_empty() {
        return Ok(there.mac);
    }
    let now = kernel.link_by_name(&Ns::Host, &shared.name).map_err(|e| kernel_error(&e))?;
    Ok(now.and_then(|state| state.link.mac))
}

#[cfg(test)]
mod tests;
