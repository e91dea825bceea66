//! Published ports: packets to a port of the host go to a port of the container.

mod claim;
mod conf;
mod forget;
mod listener;

use std::io::Write;
use std::net::IpAddr;

use attach::claim::Claim;
use attach::tables::{self, Constant};
use attach::wiring::{self, Wiring};
use attach::{Record, Store};
use cni::skel::{Info, NetnsRule, Plugin};
use cni::{AddResult, Error, Request, Version};
use drivers::Owner;
use drivers::ports::{self, Mapping, Snat, Transport};
use drivers::ruleset::Ip;
use kernel::Kernel;
use netstate::{Desired, LinkChange, LinkName, Ns, Op, Plan, Step, SysctlKey};

use crate::attachment::{self, attach_error, kernel_error};
use crate::{reference, removal};
use conf::{Conf, Conflict, HostIp, Published};
use forget::flush_conntrack;
pub(crate) use forget::forget_flows;

/// The plugin's name, and that of its records.
pub(crate) const NAME: &str = "portmap";

/// The plugin.
pub(crate) struct PortMap;

impl Plugin for PortMap {
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
        let prev = request
            .prev_result
            .clone()
            .ok_or_else(|| Error::config("must be called as chained plugin: no prevResult"))?;
        if conf.mappings.is_empty() {
            return Ok(prev);
        }
        let owner = attachment::owner(request);
        let (_, namespace) = attachment::netns(request)?;
        let store = attachment::store()?;
        attachment::refuse_second_add(&store, &owner, NAME, &namespace, |stale| {
            removal::forget(&store, stale, forget_flows)
        })?;
        let mut kernel = attachment::kernel(None);
        let flows = Flows::of(&conf, request, &prev, &mut kernel)?;
        if flows.mappings.is_empty() {
            return Ok(prev);
        }
        claim::distinct(&flows.mappings)?;
        listener::check(&flows.mappings, conf.conflict == Conflict::Error)?;
        let ensured = tables::ensure(&mut kernel, &store, Constant::Inet);
        let generation = ensured.map_err(|e| attach_error(&e))?;
        let own = flows.desired(&owner, &conf);
        let mut record = store.record(&owner, NAME).with_elements(&own);
        record.netns = Some(namespace);
        record.notes = conditions_note(&conf);
        store.claim(&record).map_err(|e| attach_error(&e))?;
        let add = Add { conf: &conf, flows: &flows, own: &own, owner: &owner, generation };
        add.wire(&mut kernel, request, &prev, &store, &record)?;
        Ok(prev)
    }

    fn del(&self, request: &Request) -> Result<(), Error> {
        let known = removal::undo(request, NAME, Vec::new(), forget_flows)?;
        // Without ports there is no record of ours either, and every DEL would ask in vain.
        if known || request.conf.port_mappings()?.is_empty() {
            return Ok(());
        }
        reference::leave_ports(request)
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        let conf = Conf::of(request)?;
        let prev = request.prev_result.clone().unwrap_or_default();
        if conf.mappings.is_empty() {
            return Ok(());
        }
        let mut kernel = attachment::kernel(None);
        let flows = Flows::of(&conf, request, &prev, &mut kernel)?;
        let own = flows.desired(&attachment::owner(request), &conf);
        let names = attachment::ns_names(request);
        let missing = wiring::missing(&mut kernel, &own, &names).map_err(|e| attach_error(&e))?;
        attachment::nothing_missing(&missing)
    }

    fn gc(&self, request: &Request) -> Result<(), Error> {
        removal::collect(request, NAME, forget_flows)
    }

    fn status(&self, request: &Request) -> Result<(), Error> {
        Conf::of(request)?;
        attachment::needs_nf_tables("published ports")
    }
}

/// The mappings with the container's addresses, and the links that lead to them.
struct Flows {
    mappings: Vec<Mapping>,
    gateways: Vec<(Ip, LinkName)>,
}

impl Flows {
    fn of(
        conf: &Conf,
        request: &Request,
        prev: &AddResult,
        kernel: &mut Kernel,
    ) -> Result<Self, Error> {
        let mut flows = Self { mappings: Vec::new(), gateways: Vec::new() };
        for ip in Ip::BOTH {
            let Some(container_ip) = attachment::container_ip(request, prev, ip) else { continue };
            let before = flows.mappings.len();
            flows.mappings.extend(conf.mappings.iter().filter_map(|m| m.at(ip, container_ip)));
            if flows.mappings.len() == before {
                continue;
            }
            let link = kernel.route_get(&Ns::Host, container_ip).map_err(|e| kernel_error(&e))?;
            let link = link.ok_or_else(|| {
                Error::internal(format!(
                    "no route from this host to the container at {container_ip}"
                ))
            })?;
            flows.gateways.push((ip, link));
        }
        for mapping in conf.mappings.iter().filter(|m| !flows.serves(m)) {
            let _ = writeln!(
                std::io::stderr(),
                "portmap: host port {} is for a family in which container {} has no address",
                mapping.host_port,
                request.container_id
            );
        }
        Ok(flows)
    }

    fn serves(&self, published: &Published) -> bool {
        self.mappings
            .iter()
            .any(|m| m.host_port == published.host_port && m.transport == published.transport)
    }

    fn desired(&self, owner: &Owner, conf: &Conf) -> Desired {
        let mut all = Desired::default();
        for (ip, gateway) in &self.gateways {
            let of_family: Vec<Mapping> =
                self.mappings.iter().filter(|m| Ip::of(m.container_ip) == *ip).cloned().collect();
            let part = ports::desired(owner, &of_family, gateway, conf.snat, &conf.classes);
            for (set, elements) in part.0.ns(&Ns::Host).into_iter().flat_map(|h| &h.elements) {
                for element in elements {
                    all.0.ns_mut(Ns::Host).add_element(set.clone(), element.clone());
                }
            }
        }
        all
    }
}

impl Published {
    /// The mapping to an address of the container, where it is for that family.
    fn at(&self, ip: Ip, container_ip: IpAddr) -> Option<Mapping> {
        let host_ip = match self.host {
            HostIp::Any => None,
            HostIp::AnyOf(family) => (family == ip).then_some(None)?,
            HostIp::One(one) => (Ip::of(one) == ip).then_some(Some(one))?,
        };
        Some(Mapping {
            transport: self.transport,
            host_ip,
            host_port: self.host_port,
            container_ip,
            container_port: self.container_port,
        })
    }
}

/// An ADD whose record is written.
struct Add<'a> {
    conf: &'a Conf,
    flows: &'a Flows,
    own: &'a Desired,
    owner: &'a Owner,
    /// Of the ruleset that was seen to have our table.
    generation: u32,
}

impl Add<'_> {
    fn wire(
        &self,
        kernel: &mut Kernel,
        request: &Request,
        prev: &AddResult,
        store: &Store,
        record: &Record,
    ) -> Result<(), Error> {
        let mut wiring = Wiring::new(kernel, attachment::ns_names(request));
        let claim = Claim {
            owner: self.owner,
            mappings: &self.flows.mappings,
            classes: &self.conf.classes,
            own: &Plan::create(self.own),
            generation: self.generation,
        };
        let claimed = claim.commit(&mut wiring).map_err(|e| attach_error(&e));
        let wired = claimed.and_then(|()| self.links(&mut wiring, prev));
        wired.map_err(|error| {
            removal::after_failure(&mut wiring, store, record, forget_flows, error)
        })?;
        let udp = self.flows.mappings.iter().filter(|m| m.transport == Transport::Udp);
        let udp: Vec<_> = udp.map(|m| (Ip::of(m.container_ip), m.host_ip, m.host_port)).collect();
        flush_conntrack(wiring.kernel(), &udp);
        Ok(())
    }

    /// What the links on the way must allow: addresses of the loopback network as a source
    /// (`route_localnet`, kernel Documentation/networking/ip-sysctl.rst), and, on a bridge with
    /// br_netfilter, a frame to go back out of the port it came from.
    fn links(&self, wiring: &mut Wiring<'_>, prev: &AddResult) -> Result<(), Error> {
        if self.conf.snat == Snat::Off {
            return Ok(());
        }
        let mut steps = Vec::new();
        for (ip, gateway) in &self.flows.gateways {
            if *ip == Ip::V4 && attachment::is_of_result(prev, gateway) {
                let key = SysctlKey::conf("ipv4", gateway, "route_localnet");
                let op = Op::SetSysctl { key, value: "1".to_owned(), optional: false };
                steps.push(Step::ensure(Ns::Host, op));
            }
        }
        for name in prev.interfaces.iter().filter(|i| i.sandbox.is_empty()).map(|i| &i.name) {
            let Ok(name) = LinkName::new(name.clone()) else { continue };
            if self.flows.gateways.iter().any(|(_, gateway)| *gateway == name) {
                continue;
            }
            let port = wiring.kernel().bridge_port(&Ns::Host, &name);
            let Some((bridge, port)) = port.map_err(|e| kernel_error(&e))? else { continue };
            let is_port = self.flows.gateways.iter().any(|(_, gateway)| *gateway == bridge);
            if is_port && port.hairpin != Some(true) {
                let op = Op::SetLink { name, changes: vec![LinkChange::Hairpin(true)] };
                steps.push(Step::ensure(Ns::Host, op));
            }
        }
        wiring.run(&Plan { steps }).map_err(|e| attach_error(&e))
    }
}

/// The conditions, for whoever restores the classes.
fn conditions_note(conf: &Conf) -> std::collections::BTreeMap<String, String> {
    let mut notes = std::collections::BTreeMap::new();
    for class in conf.classes.iter().filter(|c| !c.conditions.is_empty()) {
        let key = match class.ip {
            Ip::V4 => "conditionsV4",
            Ip::V6 => "conditionsV6",
        };
        notes.insert(key.to_owned(), drivers::conditions::text(&class.conditions));
    }
    notes
}

#[cfg(test)]
mod tests;
