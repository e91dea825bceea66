//! A link of the container's own on a parent link: no bridge, no translation.

mod conf;

use attach::wiring::{self, Wiring};
use attach::{Namespace, Record, Store};
use cni::skel::{Info, NetnsRule, Plugin};
use cni::{AddResult, Error, Interface as CniInterface, Request, Version};
use drivers::Owner;
use drivers::container::{Interface, Notify};
use drivers::macvlan::MacVlan as Driver;
use kernel::{Kernel, Netns};
use netstate::{Link, LinkKind, LinkName, LinkRef, Ns, Plan};

use crate::addressing::Ipam;
use crate::attachment::{self, attach_error, kernel_error};
use crate::{convert, removal};
use conf::Conf;

/// The plugin's name, and that of its records.
const NAME: &str = "macvlan";

/// The plugin.
pub(crate) struct MacVlan;

impl Plugin for MacVlan {
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
        let parent = parent(&conf, &mut kernel)?;
        let addressing = ipam.add()?;
        let add = Add { conf, owner, store, netns, namespace, request };
        add.wire(&mut kernel, parent, addressing.unwrap_or_default()).map_err(|e| ipam.undo(e))
    }

    /// The container's link is removed where it is: without a namespace it is gone with it.
    fn del(&self, request: &Request) -> Result<(), Error> {
        let removed = removal::remove_inside(request, is_macvlan);
        let released = Ipam::of(request).and_then(|ipam| ipam.del());
        removed?;
        released?;
        removal::undo(request, NAME, Vec::new(), removal::nothing_else).map(drop)
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        let conf = Conf::of(request)?;
        Ipam::of(request)?.check()?;
        let (netns, _) = attachment::netns(request)?;
        let mut kernel = attachment::kernel(Some(&netns));
        let parent = parent(&conf, &mut kernel)?;
        let inside = attachment::interface_of_result(request)?;
        let driver = driver(&conf, request, parent)?;
        let mut wanted = driver.desired(&attachment::owner(request), &inside);
        let ifname = attachment::ifname(request)?;
        if let Some(link) = wanted.0.ns_mut(Ns::Container).links.get_mut(&ifname) {
            link.alias = None;
            link.mac = attachment::mac_of_result(request)?.or(link.mac);
        }
        let names = attachment::ns_names(request);
        let missing =
            wiring::missing(&mut kernel, &wanted, &names).map_err(|e| attach_error(&e))?;
        attachment::nothing_missing(&missing)
    }

    fn gc(&self, request: &Request) -> Result<(), Error> {
        let undone = removal::collect(request, NAME, leave_container);
        let released = Ipam::of(request).and_then(|ipam| ipam.gc());
        undone?;
        released
    }

    fn status(&self, request: &Request) -> Result<(), Error> {
        let conf = Conf::of(request)?;
        if conf.master_ns == Ns::Host {
            let mut kernel = attachment::kernel(None);
            parent(&conf, &mut kernel).map_err(|e| attachment::unavailable(&e))?;
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
    fn wire(
        &self,
        kernel: &mut Kernel,
        parent: LinkRef,
        addressing: AddResult,
    ) -> Result<AddResult, Error> {
        let inside = Interface {
            addresses: convert::addresses(&addressing)?,
            routes: convert::routes(&addressing)?,
            dad: false,
            notify: Notify::ArpAndNdisc,
            link_local: false,
        };
        convert::fits_mtu(self.conf.mtu, &inside.addresses)?;
        let driver = driver(&self.conf, self.request, parent)?;
        let own = driver.desired(&self.owner, &inside);
        let mut record = self.store.record(&self.owner, NAME);
        record.netns = Some(self.namespace.clone());
        self.store.claim(&record).map_err(|e| attach_error(&e))?;
        let mut wiring = Wiring::new(kernel, attachment::ns_names(self.request));
        let wired = wiring.run(&Plan::create(&own)).map_err(|e| attach_error(&e));
        let done = wired.and_then(|()| self.result(&wiring, &driver.ifname, addressing));
        let result = done.map_err(|error| {
            let also = removal::nothing_else;
            removal::after_failure(&mut wiring, &self.store, &record, also, error)
        })?;
        let addrs: Vec<_> = inside.addresses.iter().map(|a| a.net).collect();
        // Neighbours that knew the address at another MAC learn of it now; that they would later
        // is no reason to fail.
        let _ = kernel::announce::announce(&self.netns, &driver.ifname, &addrs);
        Ok(result)
    }

    fn result(
        &self,
        wiring: &Wiring<'_>,
        ifname: &LinkName,
        addressing: AddResult,
    ) -> Result<AddResult, Error> {
        let link = LinkRef { ns: Ns::Container, name: ifname.clone() };
        let facts = wiring.report().links.get(&link);
        let interface = CniInterface {
            name: ifname.to_string(),
            mac: facts.map(|f| f.mac.to_string()).unwrap_or_default(),
            mtu: facts.map(|f| f.mtu).filter(|m| *m > 0 && self.request.version >= Version::V1_1_0),
            sandbox: attachment::sandbox(self.request),
            ..CniInterface::default()
        };
        let mut result = AddResult { interfaces: vec![interface], ..addressing };
        for ip in &mut result.ips {
            ip.interface = Some(0);
        }
        attachment::override_dns(self.request, &mut result)?;
        Ok(result)
    }
}

fn is_macvlan(link: &Link) -> bool {
    matches!(link.kind, LinkKind::MacVlan { .. })
}

/// Takes the link out of a namespace that lives on; one that the alias gives to another attachment
/// stays.
fn leave_container(record: &Record) -> Result<(), Error> {
    let own = record.owner.alias();
    removal::remove_inside_of(record, |link| {
        is_macvlan(link) && link.alias.as_ref().is_none_or(|alias| *alias == own)
    })
}

fn driver(conf: &Conf, request: &Request, parent: LinkRef) -> Result<Driver, Error> {
    Ok(Driver {
        ifname: attachment::ifname(request)?,
        parent,
        mode: conf.mode,
        mtu: conf.mtu,
        mac: conf.mac,
        bc_queue_len: conf.bc_queue_len,
    })
}

/// The parent link, which must be there and carry the MTU.
fn parent(conf: &Conf, kernel: &mut Kernel) -> Result<LinkRef, Error> {
    let ns = conf.master_ns.clone();
    let name = match &conf.master {
        Some(name) => name.clone(),
        None => kernel
            .default_route_link(&ns, false)
            .map_err(|e| kernel_error(&e))?
            .ok_or_else(|| Error::config("no default route interface found: set \"master\""))?,
    };
    let link = kernel.link_by_name(&ns, &name).map_err(|e| kernel_error(&e))?;
    let Some(master) = link else {
        return Err(Error::config(format!("master {:?} does not exist", name.as_str())));
    };
    let largest = master.link.mtu.unwrap_or(u32::MAX);
    match conf.mtu {
        Some(mtu) if mtu > largest => {
            let text = format!("invalid MTU {mtu}, must be [0, master MTU({largest})]");
            Err(Error::config(text))
        }
        _ => Ok(LinkRef { ns, name }),
    }
}

#[cfg(test)]
mod tests;
