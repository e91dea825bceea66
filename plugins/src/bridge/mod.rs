//! A bridge on the host, a veth pair per container; gateway and masquerading on request.

mod conf;
mod result;

use attach::wiring::{self, Wiring};
use attach::{Namespace, Record, Store, forward, tables};
use cni::skel::{Info, NetnsRule, Plugin};
use cni::{AddResult, Code, Error, Request, Version};
use drivers::bridge::{Bridge as Shared, Port, default_gateway};
use drivers::container::{Interface, RouteSpec};
use drivers::{Owner, masquerade, spoofing};
use ipnetwork::IpNetwork;
use kernel::{Kernel, Netns};
use netstate::{Datapath, Desired, LinkName, Mac, Ns, Plan};

use crate::addressing::Ipam;
use crate::attachment::{self, attach_error, kernel_error};
use crate::{convert, mac, removal};
use conf::{Conf, Mtu};

/// The plugin's name, and that of its records.
const NAME: &str = "bridge";

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
        let addressing = ipam.add()?;
        let add = Add { conf, owner, store, netns, namespace, request };
        add.wire(addressing.unwrap_or_default()).map_err(|e| ipam.undo(e))
    }

    fn del(&self, request: &Request) -> Result<(), Error> {
        let link =
            attachment::owner(request).host_link().map_err(|e| Error::internal(e.to_string()))?;
        let undone = removal::undo(request, NAME, vec![link], removal::nothing_else);
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
        let wanted = Wanted::of_result(request, &conf, &mut kernel)?;
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

/// An ADD whose configuration is valid and whose namespace is there.
struct Add<'r> {
    conf: Conf,
    owner: Owner,
    store: Store,
    netns: Netns,
    namespace: Namespace,
    request: &'r Request,
}

impl Add<'_> {
    /// Makes all of it, or nothing of the attachment's own.
    fn wire(&self, addressing: AddResult) -> Result<AddResult, Error> {
        let mut kernel = attachment::kernel(Some(&self.netns));
        let inside = interface(&self.conf, &addressing)?;
        let mtu = mtu(&self.conf, &mut kernel)?;
        let shared = shared(&self.conf, &inside, mtu)?;
        let observed = kernel.observe(&shared.scope()).map_err(|e| kernel_error(&e))?;
        let ensure =
            shared.ensure(&observed).map_err(|e| Error::caused_by(Code::InvalidConfig, &e))?;
        let mac = match self.conf.mac {
            None if self.conf.macspoofchk => Some(mac::random()?),
            given => given,
        };
        let port = port(&self.conf, &self.owner, self.request, mtu, mac)?;
        let mut own = port.desired(&self.owner, &shared.name, &inside);
        self.elements(&mut own, &shared, &inside, mac, &port.host_link);
        self.ensure_tables(&mut kernel)?;
        let record = self.record(&own, &port.host_link);
        self.store.claim(&record).map_err(|e| attach_error(&e))?;
        let mut wiring = Wiring::new(&mut kernel, attachment::ns_names(self.request));
        let wired = self.apply(&mut wiring, &ensure, &own, &port, &shared);
        let bridge_mac = observed.0.ns(&Ns::Host).and_then(|h| h.links.get(&shared.name)?.mac);
        let made = result::Made { shared: &shared, port: &port, inside: &inside, bridge_mac };
        let done = wired.and_then(|()| made.result(self.request, wiring.report(), addressing));
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
        mac: Option<Mac>,
        host_link: &LinkName,
    ) {
        if self.conf.masquerade {
            let addrs: Vec<_> = inside.addresses.iter().map(|a| a.net.ip()).collect();
            masquerade::add(own, &self.owner, shared.gateway_link(), &addrs);
        }
        if let (true, Some(mac)) = (self.conf.macspoofchk, mac) {
            spoofing::add(own, &self.owner, host_link, mac);
        }
    }

    fn ensure_tables(&self, kernel: &mut Kernel) -> Result<(), Error> {
        let mut wanted = Vec::new();
        if self.conf.masquerade {
            wanted.push(tables::inet().map_err(|e| attach_error(&e))?);
        }
        if self.conf.macspoofchk {
            wanted.push(tables::bridge());
        }
        for table in wanted {
            tables::ensure(kernel, &self.store, &table).map_err(|e| attach_error(&e))?;
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

/// What CHECK compares with.
struct Wanted;

impl Wanted {
    /// What ADD made, as far as the configuration and its result say.
    fn of_result(request: &Request, conf: &Conf, kernel: &mut Kernel) -> Result<Desired, Error> {
        let owner = attachment::owner(request);
        let inside = result::interface(request, conf)?;
        let mtu = mtu(conf, kernel)?;
        let shared = shared(conf, &inside, mtu)?;
        let mac = attachment::mac_of_result(request)?;
        let mut port = port(conf, &owner, request, None, mac)?;
        port.mtu = None;
        if let Some(name) = result::host_link(request)? {
            port.host_link = name;
        }
        let mut own = port.desired(&owner, &shared.name, &inside);
        result::tolerate_other_makers(&mut own, &port.host_link);
        if conf.masquerade {
            let addrs: Vec<_> = inside.addresses.iter().map(|a| a.net.ip()).collect();
            masquerade::add(&mut own, &owner, shared.gateway_link(), &addrs);
        }
        if let (true, Some(mac)) = (conf.macspoofchk, mac) {
            spoofing::add(&mut own, &owner, &port.host_link, mac);
        }
        result::add_bridge(&mut own, request, conf)?;
        Ok(own)
    }
}

/// What the container's interface carries: gateways filled in, default routes added.
fn interface(conf: &Conf, addressing: &AddResult) -> Result<Interface, Error> {
    let mut addresses = convert::addresses(addressing)?;
    let mut routes = convert::routes(addressing)?;
    if conf.is_gateway {
        for address in &mut addresses {
            address.gateway.get_or_insert_with(|| default_gateway(address.net));
        }
    }
    if conf.is_default_gateway {
        for v4 in [true, false] {
            let is_default =
                |r: &RouteSpec| r.dst.prefix() == 0 && r.dst.is_ipv4() == v4 && r.gw.is_some();
            let gateway =
                addresses.iter().filter(|a| a.net.is_ipv4() == v4).find_map(|a| a.gateway);
            if let (false, Some(gateway)) = (routes.iter().any(is_default), gateway) {
                routes.push(RouteSpec::new(convert::default_route(v4), Some(gateway)));
            }
        }
    }
    Ok(Interface { addresses, routes, dad: conf.dad, notify: true })
}

fn shared(conf: &Conf, inside: &Interface, mtu: Option<u32>) -> Result<Shared, Error> {
    let mut gateways: Vec<IpNetwork> = Vec::new();
    if conf.is_gateway {
        for address in &inside.addresses {
            let Some(gateway) = address.gateway else { continue };
            let net = convert::with_prefix(gateway, address.net)?;
            if !gateways.contains(&net) {
                gateways.push(net);
            }
        }
    }
    Ok(Shared {
        name: conf.bridge.clone(),
        mtu,
        new_mac: mac::random()?,
        promisc: conf.promisc,
        vlan_filtering: conf.vlan_filtering,
        gateways,
        gateway_vlan: conf.gateway_vlan.clone().filter(|_| conf.is_gateway),
        force_address: conf.force_address,
    })
}

fn port(
    conf: &Conf,
    owner: &Owner,
    request: &Request,
    mtu: Option<u32>,
    mac: Option<Mac>,
) -> Result<Port, Error> {
    Ok(Port {
        host_link: owner.host_link().map_err(|e| Error::internal(e.to_string()))?,
        ifname: attachment::ifname(request)?,
        mac,
        mtu,
        hairpin: conf.hairpin,
        isolated: conf.isolated,
        vlans: conf.vlans.clone(),
        leave_down: conf.leave_down,
    })
}

fn mtu(conf: &Conf, kernel: &mut Kernel) -> Result<Option<u32>, Error> {
    match conf.mtu {
        Mtu::Default => Ok(None),
        Mtu::Bytes(bytes) => Ok(Some(bytes)),
        Mtu::Auto => {
            let uplink =
                kernel.default_route_link(&Ns::Host, false).map_err(|e| kernel_error(&e))?;
            let Some(uplink) = uplink else { return Ok(None) };
            let link = kernel.link_by_name(&Ns::Host, &uplink).map_err(|e| kernel_error(&e))?;
            Ok(link.and_then(|state| state.link.mtu))
        }
    }
}

#[cfg(test)]
mod tests;
