//! What of an endpoint's ports is held, and carried where rules do not reach, by [`crate::proxy`].

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::state::Policy;
use super::{Carried, Endpoint, Published};
use crate::network::{BridgeOptions, Driver, Network, NetworkError};
use crate::proxy::{Forward, Protocol};

/// Of some published ports those on the host by which a container is reached on a network: each address of the host that it is
/// published on leads to the container's address of the same family, or else to that of the other. None
/// where the network publishes nothing, nor for SCTP, which rules alone carry.
///
/// # Errors
/// [`NetworkError`], of options that no network has that was made by netd.
pub fn forwards(
    ports: &[Published],
    endpoint: &Endpoint,
    network: &Network,
    has_ipv6: bool,
) -> Result<Vec<Forward>, NetworkError> {
    if ports.is_empty() || network.driver != Driver::Bridge {
        return Ok(Vec::new());
    }
    let options = BridgeOptions::read(&network.options)?;
    let policy = Policy { network, options: &options };
    let ips = endpoint.addresses.iter().map(ipnetwork::IpNetwork::ip);
    let ips: Vec<IpAddr> = ips.filter(|ip| policy.translates(*ip)).collect();
    let each = |Carried { port, families }: Carried| {
        let protocol = match port.protocol.as_str() {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Vec::new(),
        };
        let hosts =
            port.hosts(options.host_binding).into_iter().filter(|host| has_ipv6 || host.is_ipv4());
        let hosts = hosts.filter(|host| families.has(host.is_ipv6()));
        let forward = |host: IpAddr| {
            let same = ips.iter().find(|ip| ip.is_ipv4() == host.is_ipv4());
            let to = SocketAddr::new(*same.or(ips.first())?, port.container_port);
            Some(Forward { protocol, listen: SocketAddr::new(host, port.host_port), to })
        };
        hosts.filter_map(forward).collect()
    };
    let asked: BTreeSet<&Published> = ports.iter().collect();
    let leading = endpoint.leading().into_iter().filter(|one| asked.contains(&one.port));
    Ok(leading.flat_map(each).collect())
}

impl Endpoint {
    /// Whether whoever runs the container holds a port of it itself, as Podman does when the network stands: a
    /// socket of ours would be in the way. Podman has one for the address that was asked for, and one of IPv4
    /// where none was. What rules do not carry is never left to it: nobody would answer there.
    #[must_use]
    pub fn leaves(&self, forward: &Forward) -> bool {
        let (listen, to) = (forward.listen, forward.to);
        let is_carried = listen.is_ipv4() == to.is_ipv4() && listen.ip() != Ipv6Addr::LOCALHOST;
        let was_asked_for = |port: &Published| port.host_ip == Some(listen.ip());
        let is_bound = listen.is_ipv4() || self.ports.iter().any(was_asked_for);
        self.ports_held && is_carried && is_bound
    }
}
