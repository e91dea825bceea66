//! Whether programs in a container that was connected find names of the network.

use std::collections::BTreeMap;

use crate::cli::agent::Agent;
use crate::cli::output;
use crate::container::resolv_conf::name_servers;
use crate::network::Inspect;
use kernel::netns::NetnsId;

/// Says what to do where the container's `resolv.conf` names no gateway of a network that the container is on:
/// its runtime has written the file when it started it, for other resolvers. `servers` are what the network
/// gives for names, none where nobody has names on it. The container is connected, whatever comes of this.
pub(super) fn tell(
    agent: &Agent,
    network: &str,
    container: &str,
    netns: NetnsId,
    servers: &[String],
) {
    let (Some(first), Some(asked)) = (servers.first(), name_servers(netns)) else { return };
    let is_asked = |server: &String| asked.contains(server);
    if servers.iter().any(is_asked) || gateways(agent, container).iter().any(is_asked) {
        return;
    }
    let asked = match asked.as_slice() {
        [] => "names no server".to_owned(),
        servers => format!("names {}", servers.join(", ")),
    };
    output::note(&format!(
        "names of network {network} are not found in container {container}: its /etc/resolv.conf {asked}. \
         Write the gateway there instead: nameserver {first}"
    ));
}

/// Of all networks that the container is on: each answers for all of them.
fn gateways(agent: &Agent, container: &str) -> Vec<String> {
    let asked = super::super::ask(agent, async |client| {
        let mut gateways = Vec::new();
        for known in client.containers(&BTreeMap::new()).await? {
            if known.id != container {
                continue;
            }
            for endpoint in known.endpoints {
                let shown = client.inspect(&endpoint.network_id).await?;
                let shown: Inspect = serde_json::from_str(&shown)?;
                gateways.extend(shown.ipam.config.into_iter().map(|subnet| subnet.gateway));
            }
        }
        Ok(gateways)
    });
    asked.unwrap_or_default()
}
