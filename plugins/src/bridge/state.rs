//! What there is to be, by the configuration and what IPAM or an earlier ADD answered.

use cni::{AddResult, Error, Request};
use drivers::bridge::{Bridge as Shared, Port, default_gateway};
use drivers::container::{Interface, Notify, RouteSpec};
use drivers::{Owner, masquerade, spoofing};
use ipnetwork::IpNetwork;
use kernel::Kernel;
use netstate::{Desired, Mac, Ns};

use super::conf::{Conf, Mtu};
use super::result;
use crate::attachment::{self, kernel_error};
use crate::{convert, mac};

/// What the container's interface carries: gateways filled in, default routes added.
pub(super) fn interface(
    conf: &Conf,
    addressing: &AddResult,
    mtu: Option<u32>,
) -> Result<Interface, Error> {
    let mut addresses = convert::addresses(addressing)?;
    let carries_ipv6 = convert::carries_ipv6(mtu);
    convert::fits_mtu(mtu, &addresses)?;
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
    let link_local = !addresses.is_empty() && carries_ipv6 && attachment::has_ipv6();
    Ok(Interface { addresses, routes, dad: conf.dad, notify: Notify::Arp, link_local })
}

/// The bridge, without the gateway addresses that only IPAM's answer tells.
pub(super) fn shared(conf: &Conf, mtu: Option<u32>) -> Result<Shared, Error> {
    Ok(Shared {
        name: conf.bridge.clone(),
        mtu,
        new_mac: mac::random()?,
        promisc: conf.promisc,
        vlan_filtering: conf.vlan_filtering,
        gateways: Vec::new(),
        gateway_vlan: conf.gateway_vlan.clone().filter(|_| conf.is_gateway),
        force_address: conf.force_address,
    })
}

/// The addresses of the host on the network.
pub(super) fn gateways(conf: &Conf, inside: &Interface) -> Result<Vec<IpNetwork>, Error> {
    let mut gateways: Vec<IpNetwork> = Vec::new();
    for address in inside.addresses.iter().filter(|_| conf.is_gateway) {
        let Some(gateway) = address.gateway else { continue };
        let net = convert::with_prefix(gateway, address.net)?;
        if !gateways.contains(&net) {
            gateways.push(net);
        }
    }
    Ok(gateways)
}

pub(super) fn port(
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

pub(super) fn mtu(conf: &Conf, kernel: &mut Kernel) -> Result<Option<u32>, Error> {
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

/// What ADD made, as far as the configuration and its result say, for CHECK.
pub(super) fn of_result(request: &Request, conf: &Conf) -> Result<Desired, Error> {
    let owner = attachment::owner(request);
    let inside = result::interface(request, conf)?;
    let shared = shared(conf, None)?;
    let mac = attachment::mac_of_result(request)?;
    let mut port = port(conf, &owner, request, None, mac)?;
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
