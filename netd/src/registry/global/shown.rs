//! What is shown of containers on other hosts.

use super::Registry;
use crate::global::EndpointRecord;
use crate::network::{Driver, Id, Network, ShownContainer};

impl Registry {
    /// How many containers of all hosts are on a network of the cluster.
    pub(in crate::registry) fn count_in_cluster(&self, id: &Id) -> usize {
        let cluster = self.0.cluster.as_ref();
        let count = cluster.map(|cluster| {
            cluster.look(|view| view.of(id).map(|of| of.endpoints.len()).unwrap_or_default())
        });
        count.unwrap_or_default()
    }

    /// The containers of other hosts on a network, by id.
    pub(in crate::registry) fn shown_elsewhere(
        &self,
        network: &Network,
    ) -> Vec<(String, ShownContainer)> {
        let Some(cluster) = &self.0.cluster else { return Vec::new() };
        cluster.look(|view| {
            let own = view.vtep(cluster.machine());
            let all = view.elsewhere(&network.id, cluster.machine());
            all.into_iter()
                .map(|it| {
                    let host = view.name(&it.record.machine).to_owned();
                    let trouble = match it.live {
                        true if network.driver == Driver::Overlay && it.is_beyond(own) => {
                            beyond(&host)
                        }
                        true if network.is_encrypted() && it.peer.is_none() => keyless(&host),
                        true => String::new(),
                        false => format!("down: host {host} gives no sign of life"),
                    };
                    let shown = ShownContainer { host, trouble, ..shown(it.id, it.record) };
                    (it.record.container.clone(), shown)
                })
                .collect()
        })
    }
}

/// Why frames do not get there.
fn beyond(host: &str) -> String {
    format!(
        "not reached: of this host and {host} one is known by an IPv4 address, and the other by one of IPv6: \
         start netd with --iface and an address of the same family on both"
    )
}

/// The same where nobody could read them there.
fn keyless(host: &str) -> String {
    format!(
        "not reached: host {host} has no key for encrypted overlays in etcd: see netd status there; an older netd \
         has none"
    )
}

fn shown(id: &str, record: &EndpointRecord) -> ShownContainer {
    let address = |v6: bool| {
        let net = record.addresses.iter().find(|net| net.is_ipv6() == v6);
        net.map(ToString::to_string).unwrap_or_default()
    };
    ShownContainer {
        name: record.name().to_owned(),
        endpoint_id: id.to_owned(),
        mac_address: record.mac.to_string(),
        ipv4_address: address(false),
        ipv6_address: address(true),
        host: String::new(),
        trouble: String::new(),
    }
}
