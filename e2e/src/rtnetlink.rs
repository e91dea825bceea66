//! What the kernel of a host has for its peers, as crate `rtnetlink` reads it: independent of
//! crate `kernel`, by which the agent writes and listens.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _};
use netlink_packet_core::Emitable as _;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteProtocol,
};
use rtnetlink::{Handle, MulticastGroup, new_multicast_connection};

use crate::host::Host;
use crate::place::Place as _;

/// The protocol number of the agent's routes.
const PROTOCOL: u8 = 78;

/// Something that the agent makes of a peer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Made {
    /// A route of protocol 78 through a gateway.
    Route {
        /// The peer's subnet.
        to: (IpAddr, u8),
        /// The gateway.
        via: IpAddr,
        /// It need not be in a network of the link.
        onlink: bool,
    },
    /// A permanent neighbour.
    Neighbour(IpAddr, [u8; 6]),
    /// A permanent entry of a VXLAN device: frames to this address go to that host.
    Forwarding([u8; 6], IpAddr),
}

/// Waits until what is made of peers on a host is as wanted: looks once, and again at each of the
/// kernel's messages about links, neighbours and routes.
///
/// # Errors
///
/// When it is not within `bound`: names `what` was waited for, and what there is.
pub fn wait_until_made(
    host: &Host,
    what: &str,
    bound: Duration,
    wanted: impl FnMut(&BTreeSet<Made>) -> bool + Send,
) -> Result<()> {
    let seen = host.in_network(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(watch(bound, wanted))
    });
    match seen.with_context(|| format!("wait on {} for: {what}", host.name()))? {
        None => Ok(()),
        Some(last) => {
            bail!(
                "waited {} s in vain on {} for: {what}; there is {last:#?}",
                bound.as_secs_f32(),
                host.name()
            )
        }
    }
}

/// The last look, where none was as wanted.
async fn watch(
    bound: Duration,
    mut wanted: impl FnMut(&BTreeSet<Made>) -> bool,
) -> Result<Option<BTreeSet<Made>>> {
    let groups = [
        MulticastGroup::Link,
        MulticastGroup::Neigh,
        MulticastGroup::Ipv4Route,
        MulticastGroup::Ipv6Route,
    ];
    let (connection, handle, mut messages) = new_multicast_connection(&groups)?;
    tokio::spawn(connection);
    let end = tokio::time::Instant::now() + bound;
    loop {
        let seen = look(&handle).await?;
        if wanted(&seen) {
            return Ok(None);
        }
        match tokio::time::timeout_at(end, messages.next()).await {
            Ok(message) => {
                message.context("the kernel's messages ended")?;
            }
            Err(_) => return Ok(Some(seen)),
        }
        // One look for all that is there already.
        while messages.try_recv().is_ok() {}
    }
}

async fn look(handle: &Handle) -> Result<BTreeSet<Made>> {
    let mut seen = BTreeSet::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        let routes: Vec<_> = handle.route().get(request).execute().try_collect().await?;
        seen.extend(routes.iter().filter_map(route));
    }
    for family in [AddressFamily::Inet, AddressFamily::Inet6, AddressFamily::Bridge] {
        let request = handle.neighbours().get().set_address_family(family);
        let entries: Vec<_> = request.execute().try_collect().await?;
        seen.extend(entries.iter().filter_map(neighbour));
    }
    Ok(seen)
}

fn route(message: &RouteMessage) -> Option<Made> {
    if message.header.protocol != RouteProtocol::from(PROTOCOL) {
        return None;
    }
    let (mut to, mut via) = (None, None);
    for attribute in &message.attributes {
        if let RouteAttribute::Destination(address) = attribute {
            to = ip_of_route(address);
        } else if let RouteAttribute::Gateway(address) = attribute {
            via = ip_of_route(address);
        }
    }
    Some(Made::Route {
        to: (to?, message.header.destination_prefix_length),
        via: via?,
        onlink: message.header.flags.contains(RouteFlags::Onlink),
    })
}

fn neighbour(message: &NeighbourMessage) -> Option<Made> {
    // A set of bits; an entry of a bridge's family may have "no ARP" beside it.
    let permanent = u16::from(NeighbourState::Permanent);
    if u16::from(message.header.state) & permanent == 0 {
        return None;
    }
    let (mut mac, mut ip) = (None, None);
    for attribute in &message.attributes {
        if let NeighbourAttribute::LinkLayerAddress(bytes) = attribute {
            mac = <[u8; 6]>::try_from(bytes.as_slice()).ok();
        } else if let NeighbourAttribute::Destination(address) = attribute {
            ip = ip_of_neighbour(address);
        }
    }
    let (mac, ip) = (mac?, ip?);
    let on_bridge = message.header.family == AddressFamily::Bridge;
    Some(if on_bridge { Made::Forwarding(mac, ip) } else { Made::Neighbour(ip, mac) })
}

fn ip_of_route(address: &RouteAddress) -> Option<IpAddr> {
    if let RouteAddress::Inet(ip) = address {
        Some((*ip).into())
    } else if let RouteAddress::Inet6(ip) = address {
        Some((*ip).into())
    } else {
        None
    }
}

/// An entry of a bridge's family does not say of what family its address is.
fn ip_of_neighbour(address: &NeighbourAddress) -> Option<IpAddr> {
    let mut bytes = vec![0; address.buffer_len()];
    address.emit(&mut bytes);
    let v4 = <[u8; 4]>::try_from(bytes.as_slice()).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes.as_slice()).map(IpAddr::from)).ok()
}
