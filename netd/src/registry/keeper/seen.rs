//! How the host looks to who makes a network.

use cni::ErrorChain;
use drivers::overlay;
use ipnetwork::IpNetwork;
use kernel::Kernel;
use netstate::{LinkName, Ns};

use crate::network::Vni;

/// What there is of the host's network.
#[derive(Debug, Default)]
pub(in crate::registry) struct Seen {
    /// Networks of all routes.
    pub(in crate::registry) routes: Vec<IpNetwork>,
    /// The names of all links, where they were asked for.
    pub(in crate::registry) links: Vec<LinkName>,
    /// VXLAN devices on the port of overlays, where links were asked for.
    pub(in crate::registry) tunnels: Vec<(Vni, LinkName)>,
    /// Kinds of links on others that the kernel does not have, where links were asked for.
    pub(in crate::registry) lacking: Vec<&'static str>,
}

impl Seen {
    pub(super) fn of(kernel: &mut Kernel, links: bool) -> Result<Self, String> {
        let text = |error: kernel::Error| ErrorChain(&error).to_string();
        let routes = kernel.destinations().map_err(text)?;
        let names = links.then(|| kernel.link_names(&Ns::Host)).transpose().map_err(text)?;
        let routes = routes.into_iter().map(|route| route.net).collect();
        let kinds = ["macvlan", "ipvlan"].into_iter().filter(|_| links);
        // Where it cannot be asked it is found out by the first container.
        let lacking = kinds.filter(|kind| matches!(kernel.has_links_of(kind), Ok(false))).collect();
        let tunnels = links.then(|| kernel.tunnels_at(&Ns::Host, overlay::PORT)).transpose();
        let tunnels = tunnels.map_err(text)?.unwrap_or_default().into_iter();
        let tunnels = tunnels.filter_map(|(name, vni)| Some((Vni::try_from(vni).ok()?, name)));
        let links = names.unwrap_or_default();
        Ok(Self { routes, links, tunnels: tunnels.collect(), lacking })
    }
}
