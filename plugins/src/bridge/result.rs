//! The result of ADD, and what CHECK reads back from it.

use cni::{AddResult, Error, Interface as CniInterface, Request, Version};
use drivers::bridge::{Bridge as Shared, Port};
use drivers::container::Interface;
use netstate::{Desired, Link, LinkKind, LinkName, LinkRef, Mac, Ns, Report};

use super::conf::Conf;
use crate::{attachment, convert};

/// Index of the container's interface among the result's.
const CONTAINER: usize = 2;

/// What an ADD has made.
pub(super) struct Made<'a> {
    pub(super) shared: &'a Shared,
    pub(super) port: &'a Port,
    pub(super) inside: &'a Interface,
    /// The bridge's address, where the bridge was there before.
    pub(super) bridge_mac: Option<Mac>,
}

impl Made<'_> {
    /// The result: bridge, host end, container end (and the VLAN's gateway link), as the reference
    /// orders them; routes with the default ones that were added.
    pub(super) fn result(
        &self,
        request: &Request,
        report: &Report<kernel::Error>,
        addressing: AddResult,
    ) -> Result<AddResult, Error> {
        let interface = |ns: Ns, name: &LinkName, sandbox: String| {
            let facts = report.links.get(&LinkRef { ns, name: name.clone() });
            CniInterface {
                name: name.to_string(),
                mac: facts.map(|f| f.mac.to_string()).unwrap_or_default(),
                mtu: facts.map(|f| f.mtu).filter(|m| *m > 0 && request.version >= Version::V1_1_0),
                sandbox,
                ..CniInterface::default()
            }
        };
        let mut bridge = interface(Ns::Host, &self.shared.name, String::new());
        if let Some(mac) = self.bridge_mac {
            bridge.mac = mac.to_string();
        }
        let sandbox = attachment::sandbox(request);
        let mut interfaces = vec![
            bridge,
            interface(Ns::Host, &self.port.host_link, String::new()),
            interface(Ns::Container, &self.port.ifname, sandbox),
        ];
        if let Some(vlan) = &self.shared.gateway_vlan {
            interfaces.push(interface(Ns::Host, &vlan.name, String::new()));
        }
        let mut result = AddResult { interfaces, ..addressing };
        for added in self.inside.routes.iter().skip(result.routes.len()) {
            result.routes.push(cni::Route::new(convert::ip_net(added.dst), added.gw));
        }
        complete(&mut result, self.shared)?;
        attachment::override_dns(request, &mut result)?;
        Ok(result)
    }
}

/// Points the addresses to the container's interface and names the gateways that were filled in.
fn complete(result: &mut AddResult, shared: &Shared) -> Result<(), Error> {
    for ip in &mut result.ips {
        ip.interface = Some(CONTAINER);
        let net = convert::network(ip.address)?;
        if ip.gateway.is_none() {
            ip.gateway = shared
                .gateways
                .iter()
                .find(|g| g.network() == net.network() && g.prefix() == net.prefix())
                .map(|g| g.ip());
        }
    }
    Ok(())
}

/// The container's interface as the result has it.
pub(super) fn interface(request: &Request, conf: &Conf) -> Result<Interface, Error> {
    Ok(Interface { dad: conf.dad, ..attachment::interface_of_result(request)? })
}

/// The bridge and the container's end must be in the result under the names of the configuration.
pub(super) fn check_names(request: &Request, conf: &Conf) -> Result<(), Error> {
    let Some(prev) = &request.prev_result else { return Ok(()) };
    if !prev.interfaces.iter().any(|i| attachment::is_container_end(i, request)) {
        return Err(Error::internal(format!(
            "prevResult has no interface {:?} in {:?}",
            request.ifname,
            attachment::sandbox(request)
        )));
    }
    let is_bridge = |i: &CniInterface| i.sandbox.is_empty() && i.name == conf.bridge.as_str();
    if !prev.interfaces.iter().any(is_bridge) {
        return Err(Error::internal(format!(
            "prevResult has no bridge {:?}",
            conf.bridge.as_str()
        )));
    }
    Ok(())
}

/// The host end's name in the result: another program may have made it.
pub(super) fn host_link(request: &Request) -> Result<Option<LinkName>, Error> {
    let prev = request.prev_result.iter().flat_map(|p| &p.interfaces);
    let mut links = prev.filter(|i| i.sandbox.is_empty() && i.name.starts_with("veth"));
    links.next().map(|i| convert::link_name("prevResult.interfaces", &i.name)).transpose()
}

/// An attachment made by another program has no owner in its host end's `ifalias`.
pub(super) fn tolerate_other_makers(own: &mut Desired, host_link: &LinkName) {
    if let Some(link) = own.0.ns_mut(Ns::Host).links.get_mut(host_link) {
        link.alias = None;
    }
}

/// The bridge as the result has it. Its address is only fixed where the host is the gateway: else it
/// may change with every port that comes and goes.
pub(super) fn add_bridge(own: &mut Desired, request: &Request, conf: &Conf) -> Result<(), Error> {
    let prev = request.prev_result.iter().flat_map(|p| &p.interfaces);
    let mut bridges = prev.filter(|i| i.sandbox.is_empty() && i.name == conf.bridge.as_str());
    let mac = bridges.next().map(|i| i.mac.as_str());
    let mac = mac.filter(|m| !m.is_empty() && conf.is_gateway);
    let kind = LinkKind::Bridge { vlan_filtering: None };
    own.0.ns_mut(Ns::Host).add_link(Link {
        mac: mac.map(|m| convert::mac("prevResult.interfaces", m)).transpose()?,
        promisc: conf.promisc,
        ..Link::new(conf.bridge.clone(), kind)
    });
    Ok(())
}
