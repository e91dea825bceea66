//! Lets container traffic through the host's firewall, and keeps bridges apart.
//!
//! Where nothing drops forwarded packets and the policy is "open" there is nothing to do, and
//! nothing is done.

mod conf;
pub(crate) mod firewalld;
mod zone;

use std::collections::BTreeMap;
use std::net::IpAddr;

use attach::tables::{self, Constant};
use attach::wiring::{self, Wiring};
use attach::{Record, Store, forward};
use cni::skel::{Info, NetnsRule, Plugin};
use cni::{AddResult, Code, Error, Request, Version};
use drivers::firewall::{IngressPolicy, bridge_member, guard};
use drivers::ruleset::Ip;
use kernel::Kernel;
use netstate::{Desired, LinkChange, LinkName, Ns, Op, Plan, Step};

use crate::attachment::{self, attach_error, kernel_error};
use crate::{convert, reference, removal};
use conf::{Backend, Conf};
use firewalld::Firewalld;

/// The plugin's name, and that of its records.
const NAME: &str = "firewall";
/// The versions that can chain (the reference's list).
const VERSIONS: &[Version] = &[Version::V0_4_0, Version::V1_0_0, Version::V1_1_0];
/// The plugin.
pub(crate) struct Firewall;

impl Plugin for Firewall {
    fn info(&self) -> Info {
        Info {
            name: NAME,
            build: env!("CARGO_PKG_VERSION"),
            versions: VERSIONS,
            netns: NetnsRule::Container,
        }
    }

    fn add(&self, request: &Request) -> Result<AddResult, Error> {
        let conf = Conf::of(request)?;
        let prev = request
            .prev_result
            .clone()
            .ok_or_else(|| Error::config("missing prevResult from earlier plugin"))?;
        let owner = attachment::owner(request);
        let (_, namespace) = attachment::netns(request)?;
        let store = attachment::store()?;
        attachment::refuse_second_add(&store, &owner, NAME, &namespace, |stale| {
            removal::forget(&store, stale, zone::leave_own)
        })?;
        let mut kernel = attachment::kernel(None);
        let part = Part::of(&conf, request, &prev, &mut kernel)?;
        let firewalld = zone::firewalld(conf.backend)?;
        if conf.policy != IngressPolicy::Open {
            let ensured = tables::ensure(&mut kernel, &store, Constant::Inet);
            ensured.map_err(|e| attach_error(&e))?;
        }
        let mut record =
            store.record(&owner, NAME).with_elements(&part.own).with_shared(&part.shared);
        record.netns = Some(namespace);
        record.notes = part.notes(&conf, firewalld.is_some());
        store.claim(&record).map_err(|e| attach_error(&e))?;
        part.wire(&conf, request, &mut kernel, firewalld, &store, &record)?;
        Ok(prev)
    }

    fn del(&self, request: &Request) -> Result<(), Error> {
        if removal::undo(request, NAME, Vec::new(), zone::leave_own)? {
            return Ok(());
        }
        zone::leave_of_result(request).and(reference::leave_forward(request))
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        let conf = Conf::of(request)?;
        let prev = request.prev_result.clone().unwrap_or_default();
        let mut kernel = attachment::kernel(None);
        let part = Part::of(&conf, request, &prev, &mut kernel)?;
        if let Some(mut firewalld) = zone::firewalld(conf.backend)? {
            return zone::check(&mut firewalld, &conf.zone, &part.addrs);
        }
        let names = attachment::ns_names(request);
        let mut missing = Vec::new();
        for wanted in [&part.own, &part.shared] {
            let differs = wiring::missing(&mut kernel, wanted, &names);
            missing.extend(differs.map_err(|e| attach_error(&e))?);
        }
        for (ip, gateway) in &part.gateways {
            let closed = forward::closed(&mut kernel, *ip, gateway, &conf.admin_chain);
            missing.extend(closed.map_err(|e| attach_error(&e))?);
        }
        attachment::nothing_missing(&missing)
    }

    fn gc(&self, request: &Request) -> Result<(), Error> {
        removal::collect(request, NAME, zone::leave_own)
    }

    fn status(&self, request: &Request) -> Result<(), Error> {
        let conf = Conf::of(request)?;
        if conf.policy != IngressPolicy::Open {
            attachment::needs_nf_tables("ingressPolicy")?;
        }
        if conf.backend == Backend::Firewalld && zone::connect()?.is_none() {
            return Err(Error::new(
                Code::NotAvailable,
                "backend is \"firewalld\", and firewalld does not run",
            ));
        }
        let mut kernel = attachment::kernel(None);
        forward::can_open(&mut kernel).map_err(|e| Error::caused_by(Code::LimitedConnectivity, &e))
    }
}

/// What an attachment is to the firewall.
struct Part {
    addrs: Vec<IpAddr>,
    gateways: Vec<(Ip, LinkName)>,
    own: Desired,
    shared: Desired,
}

impl Part {
    fn of(
        conf: &Conf,
        request: &Request,
        prev: &AddResult,
        kernel: &mut Kernel,
    ) -> Result<Self, Error> {
        let addrs: Vec<IpAddr> = prev.ips.iter().map(|ip| ip.address.addr).collect();
        let mut gateways = Vec::new();
        for ip in Ip::BOTH {
            let Some(addr) = addrs.iter().find(|a| Ip::of(**a) == ip) else { continue };
            let link = kernel.route_get(&Ns::Host, *addr).map_err(|e| kernel_error(&e))?;
            let made = link.filter(|link| attachment::is_of_result(prev, link));
            gateways.extend(made.map(|link| (ip, link)));
        }
        let mut part =
            Self { addrs, gateways, own: Desired::default(), shared: Desired::default() };
        if conf.policy != IngressPolicy::Open {
            let bridge = bridge(prev)?;
            part.own = guard(&attachment::owner(request), conf.policy, &bridge, &part.addrs);
            part.shared = bridge_member(&bridge);
        }
        Ok(part)
    }

    fn notes(&self, conf: &Conf, in_zone: bool) -> BTreeMap<String, String> {
        let mut notes =
            if in_zone { zone::notes(&conf.zone, &self.addrs) } else { BTreeMap::new() };
        for (ip, gateway) in &self.gateways {
            notes.insert(forward::note(*ip), format!("{gateway} {}", conf.admin_chain));
        }
        notes
    }

    fn wire(
        &self,
        conf: &Conf,
        request: &Request,
        kernel: &mut Kernel,
        firewalld: Option<Firewalld>,
        store: &Store,
        record: &Record,
    ) -> Result<(), Error> {
        let mut wiring = Wiring::new(kernel, attachment::ns_names(request));
        let wired = self.apply(conf, request, &mut wiring, firewalld);
        wired.map_err(|error| {
            removal::after_failure(&mut wiring, store, record, zone::leave_own, error)
        })
    }

    fn apply(
        &self,
        conf: &Conf,
        request: &Request,
        wiring: &mut Wiring<'_>,
        firewalld: Option<Firewalld>,
    ) -> Result<(), Error> {
        wiring.run(&Plan::ensure(&self.shared)).map_err(|e| attach_error(&e))?;
        wiring.run(&Plan::create(&self.own)).map_err(|e| attach_error(&e))?;
        if conf.policy == IngressPolicy::Isolated {
            self.isolate_ports(request, wiring)?;
        }
        match firewalld {
            Some(mut firewalld) => zone::enter(&mut firewalld, &conf.zone, &self.addrs)?,
            None => {
                for (ip, gateway) in &self.gateways {
                    forward::open(wiring.kernel(), *ip, gateway, &conf.admin_chain)
                        .map_err(|e| attach_error(&e))?;
                }
            }
        }
        Ok(())
    }

    /// Frames between two ports of a bridge only meet IP's hooks with br_netfilter, so the bridge
    /// itself keeps isolated containers apart.
    fn isolate_ports(&self, request: &Request, wiring: &mut Wiring<'_>) -> Result<(), Error> {
        let mut steps = Vec::new();
        let prev = request.prev_result.iter().flat_map(|p| &p.interfaces);
        for name in prev.filter(|i| i.sandbox.is_empty()).map(|i| &i.name) {
            let name = convert::link_name("prevResult.interfaces", name)?;
            let link =
                wiring.kernel().link_by_name(&Ns::Host, &name).map_err(|e| kernel_error(&e))?;
            if link.is_some_and(|state| state.link.master.is_some()) {
                let op = Op::SetLink { name, changes: vec![LinkChange::Isolated(true)] };
                steps.push(Step::ensure(Ns::Host, op));
            }
        }
        wiring.run(&Plan { steps }).map_err(|e| attach_error(&e))
    }
}

/// The bridge is the first interface of the result, as the reference takes it.
fn bridge(prev: &AddResult) -> Result<LinkName, Error> {
    let first = prev.interfaces.first().filter(|i| i.sandbox.is_empty() && !i.name.is_empty());
    let first = first.ok_or_else(|| {
        Error::config(
            "interface needs to be set for ingress policy: prevResult names no bridge first",
        )
    })?;
    convert::link_name("prevResult.interfaces[0].name", &first.name)
}

#[cfg(test)]
mod tests;
