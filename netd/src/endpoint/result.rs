//! The CNI result of an attachment.

use std::net::IpAddr;

use cni::{AddResult, Dns, Interface, IpConfig, IpNet, Route};
use ipnetwork::IpNetwork;
use netstate::{LinkFacts, LinkName, LinkRef, Mac, Ns};

use super::{Endpoint, Parts, way};
use crate::network::Network;

/// What was made.
#[derive(Debug)]
pub struct Made<'a> {
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// Its network.
    pub network: &'a Network,
    /// Its state.
    pub parts: &'a Parts,
    /// The bridge's link-layer address.
    pub bridge_mac: Option<Mac>,
    /// What the kernel chose.
    pub facts: &'a std::collections::BTreeMap<LinkRef, LinkFacts>,
}

impl Made<'_> {
    /// Bridge, host's end and container's end, as plugin `bridge` orders them; where there is no bridge the
    /// container's alone.
    #[must_use]
    pub fn result(&self) -> AddResult {
        let sandbox = self.endpoint.netns.path.to_string_lossy().into_owned();
        let mut interfaces = Vec::new();
        if let Some(bridge) = &self.parts.bridge {
            let mut bridge = self.interface(Ns::Host, bridge, String::new());
            if let Some(mac) = self.bridge_mac {
                bridge.mac = mac.to_string();
            }
            let end = self.interface(Ns::Host, &self.endpoint.host_link, String::new());
            interfaces.extend([bridge, end]);
        }
        let container = interfaces.len();
        interfaces.push(self.interface(Ns::Container, &self.endpoint.ifname, sandbox));
        let ips = self.endpoint.addresses.iter().map(|net| IpConfig {
            interface: Some(container),
            gateway: self.gateway(*net),
            ..IpConfig::new(ip_net(*net))
        });
        let routes = way::default_routes(self.network, self.endpoint);
        let routes = routes.into_iter().map(|route| Route::new(ip_net(route.dst), route.gw));
        let (ips, routes) = (ips.collect(), routes.collect());
        AddResult { interfaces, ips, routes, dns: self.dns(), ..AddResult::default() }
    }

    /// The gateways know the names of containers. So does who asks for a name without a dot at once,
    /// before the host's search domains (Docker: the same).
    fn dns(&self) -> Dns {
        let nameservers: Vec<String> = self.parts.servers.iter().map(IpAddr::to_string).collect();
        let option = (!nameservers.is_empty()).then(|| "ndots:0".to_owned());
        Dns { nameservers, options: option.into_iter().collect(), ..Dns::default() }
    }

    /// Where nothing leads out there is none.
    fn gateway(&self, net: IpNetwork) -> Option<IpAddr> {
        way::way_out(self.network, net)?.via
    }

    fn interface(&self, ns: Ns, name: &LinkName, sandbox: String) -> Interface {
        let facts = self.facts.get(&LinkRef { ns, name: name.clone() });
        Interface {
            name: name.to_string(),
            mac: facts.map(|facts| facts.mac.to_string()).unwrap_or_default(),
            mtu: facts.map(|facts| facts.mtu).filter(|mtu| *mtu > 0),
            sandbox,
            ..Interface::default()
        }
    }
}

fn ip_net(net: IpNetwork) -> IpNet {
    IpNet { addr: net.ip(), prefix: net.prefix() }
}
