//! What the devices of all backends have in common.

use std::net::IpAddr;

use netstate::{Addr, Link, LinkKind, LinkName, LinkRef, NetState, Ns, Scope};

use crate::host_gw;

/// A device that is up and bears the base addresses of this host's subnets, each as a host's.
pub(crate) fn bearing(
    name: &LinkName,
    mtu: u32,
    kind: LinkKind,
    bases: impl IntoIterator<Item = IpAddr>,
) -> NetState {
    let mut state = NetState::default();
    state.add_link(Link { mtu: Some(mtu), ..Link::new(name.clone(), kind) });
    for base in bases {
        state.addrs.insert(Addr::new(name.clone(), base.into()));
    }
    state
}

/// All that a host with these devices owns: the devices with everything on them, and the routes of
/// [`crate::vxlan::ROUTE_PROTOCOL`].
pub(crate) fn scope<'a>(names: impl IntoIterator<Item = &'a LinkName>) -> Scope {
    let links = names.into_iter().map(|name| LinkRef { ns: Ns::Host, name: name.clone() });
    Scope { routes: true, links: links.collect(), ..host_gw::scope() }
}
