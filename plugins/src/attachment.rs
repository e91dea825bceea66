//! Whose an attachment is, and the namespaces and records around it.

use std::net::IpAddr;

use attach::{Namespace, Record, Store};
use cni::{AddResult, Code, Error, IpConfig, Request};
use drivers::Owner;
use drivers::container::{Address, Interface};
use drivers::ruleset::Ip;
use kernel::{Kernel, Netns};
use netstate::{LinkName, Mac, Ns, NsNames};

use crate::convert;

/// The owner of a request.
pub(crate) fn owner(request: &Request) -> Owner {
    Owner {
        network: request.conf.name.clone(),
        container_id: request.container_id.clone(),
        ifname: request.ifname.clone(),
    }
}

/// The interface name of a request.
pub(crate) fn ifname(request: &Request) -> Result<LinkName, Error> {
    LinkName::new(request.ifname.clone())
        .map_err(|e| Error::environment(format!("CNI_IFNAME: {e}")))
}

/// How commands name the request's namespace.
pub(crate) fn ns_names(request: &Request) -> NsNames {
    let container = request.netns.as_deref().map(path_text).unwrap_or_default();
    NsNames { container, ..NsNames::default() }
}

/// The container's namespace, which must be there.
pub(crate) fn netns(request: &Request) -> Result<(Netns, Namespace), Error> {
    let path = request.netns.clone().unwrap_or_default();
    let netns = Netns::open(&path)
        .map_err(|e| Error::netns(format!("failed to open netns {path:?}: {}", chain(&e))))?;
    let namespace = Namespace::of(&netns, path).map_err(|e| Error::netns(chain(&e)))?;
    Ok((netns, namespace))
}

/// The container's namespace, or none where DEL comes without one or it is gone.
pub(crate) fn netns_if_there(request: &Request) -> Option<Netns> {
    let path = request.netns.as_deref()?;
    Netns::open(path).ok()
}

/// The kernel, seen from the host and from a container.
pub(crate) fn kernel(container: Option<&Netns>) -> Kernel {
    Kernel::open(container)
}

/// Whether this kernel has IPv6.
pub(crate) fn has_ipv6() -> bool {
    std::path::Path::new("/proc/sys/net/ipv6/conf").exists()
}

/// The records of this host.
pub(crate) fn store() -> Result<Store, Error> {
    Store::open().map_err(|e| attach_error(&e))
}

/// Refuses an ADD for an attachment that is there, in this namespace or in another that lives on; one
/// of another boot, or whose namespace is gone, is forgotten by `forget` first.
pub(crate) fn refuse_second_add(
    store: &Store,
    owner: &Owner,
    plugin: &str,
    namespace: &Namespace,
    forget: impl FnOnce(&Record) -> Result<(), Error>,
) -> Result<(), Error> {
    let Some(record) = store.get(owner, plugin).map_err(|e| attach_error(&e))? else {
        return Ok(());
    };
    let lives = record.netns.as_ref().is_some_and(|recorded| {
        (recorded.dev, recorded.ino) == (namespace.dev, namespace.ino) || recorded.open().is_some()
    });
    if lives && store.is_of_this_boot(&record) {
        return Err(attach_error(&attach::Error::Attached { owner: owner.clone() }));
    }
    forget(&record)
}

/// An attachment error with the code the specification has for it.
pub(crate) fn attach_error(error: &attach::Error) -> Error {
    Error::caused_by(error.code(), error)
}

/// A kernel error with the code the specification has for it.
pub(crate) fn kernel_error(error: &kernel::Error) -> Error {
    Error::caused_by(attach::kernel_code(error), error)
}

/// CNI_NETNS as results name it.
pub(crate) fn sandbox(request: &Request) -> String {
    request.netns.as_deref().map(path_text).unwrap_or_default()
}

/// Versions up to 0.2.0 have no word for a result without addresses.
pub(crate) fn needs_address(request: &Request, has_ipam: bool) -> Result<(), Error> {
    if has_ipam || request.version.allows_no_ip() {
        return Ok(());
    }
    Err(Error::new(
        Code::IncompatibleVersion,
        format!(
            "cannot convert: no valid IP addresses: cniVersion {} needs \"ipam\"",
            request.version
        ),
    ))
}

/// `dns` of the configuration replaces IPAM's, where any of its fields is given.
pub(crate) fn override_dns(request: &Request, result: &mut AddResult) -> Result<(), Error> {
    let given = request.conf.raw.field("dns");
    let fields = ["nameservers", "domain", "search", "options"];
    if given.is_some_and(|dns| fields.iter().any(|f| dns.field(f).is_some())) {
        result.dns = request.conf.dns.clone();
    }
    Ok(())
}

/// The container's address of a family in a result: the first on its interface, or on none.
pub(crate) fn container_ip(request: &Request, result: &AddResult, family: Ip) -> Option<IpAddr> {
    let on_interface = |ip: &&IpConfig| {
        let interface = ip.interface.and_then(|i| result.interfaces.get(i));
        interface.is_none_or(|i| !i.sandbox.is_empty() && i.name == request.ifname)
    };
    let addrs = result.ips.iter().filter(on_interface).map(|ip| ip.address.addr);
    addrs.into_iter().find(|addr| Ip::of(*addr) == family)
}

/// What the container's interface carries, as `prevResult` has it.
pub(crate) fn interface_of_result(request: &Request) -> Result<Interface, Error> {
    let Some(prev) = &request.prev_result else { return Ok(Interface::default()) };
    let ours = |ip: &&IpConfig| match ip.interface {
        None => true,
        Some(i) => prev.interfaces.get(i).is_some_and(|i| is_container_end(i, request)),
    };
    let address =
        |ip: &IpConfig| Ok(Address { net: convert::network(ip.address)?, gateway: ip.gateway });
    Ok(Interface {
        addresses: prev.ips.iter().filter(ours).map(address).collect::<Result<_, Error>>()?,
        routes: convert::routes(prev)?,
        ..Interface::default()
    })
}

/// The container interface's link-layer address, as `prevResult` has it.
pub(crate) fn mac_of_result(request: &Request) -> Result<Option<Mac>, Error> {
    let prev = request.prev_result.iter().flat_map(|p| &p.interfaces);
    let mut ends = prev.filter(|i| is_container_end(i, request) && !i.mac.is_empty());
    ends.next().map(|i| convert::mac("prevResult.interfaces", &i.mac)).transpose()
}

/// Whether the host's link towards a container may be one that was made for it: a result that names
/// interfaces names that one. Otherwise it is the way to others too, as the parent of a macvlan is.
pub(crate) fn is_of_result(result: &AddResult, link: &LinkName) -> bool {
    let named = |i: &cni::Interface| i.sandbox.is_empty() && i.name == link.as_str();
    result.interfaces.is_empty() || result.interfaces.iter().any(named)
}

/// Whether an interface of a result is the request's.
pub(crate) fn is_container_end(interface: &cni::Interface, request: &Request) -> bool {
    interface.name == request.ifname && interface.sandbox == sandbox(request)
}

/// CHECK's answer: the commands that would repair what differs.
pub(crate) fn nothing_missing(missing: &[String]) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::internal("the attachment is not as it was made")
        .with_details(format!("these commands would repair it: {}", missing.join("; "))))
}

/// STATUS: this kernel has nf_tables.
pub(crate) fn needs_nf_tables(what: &str) -> Result<(), Error> {
    let mut kernel = kernel(None);
    kernel.generation(&Ns::Host).map(|_| ()).map_err(|e| {
        let cause = chain(&e);
        Error::new(Code::NotAvailable, format!("{what} need nf_tables: {cause}"))
    })
}

/// STATUS: the same error with the code for "no ADD can be served".
pub(crate) fn unavailable(error: &Error) -> Error {
    Error { code: Code::NotAvailable, ..error.clone() }
}

fn path_text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

fn chain(error: &dyn std::error::Error) -> String {
    cni::ErrorChain(error).to_string()
}
