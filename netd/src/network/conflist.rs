//! A network as a CNI network: a list with the one plugin `netd`.

use cni::json;
use serde_json::json;

use super::{Driver, Id, Network};
use crate::config::options::boolean;

/// The option by which a network is published to the host's runtimes, whatever its driver.
pub const PUBLISH: &str = "netd.cni.publish";

/// The key of a list by which netd knows its own; runtimes pass it over.
const MARK: &str = "netd";

impl Network {
    /// The file's name in a directory of netd's own: `<name>.conflist`.
    #[must_use]
    pub fn list_file(&self) -> String {
        format!("{}.conflist", self.name)
    }

    /// The file's name among those of others. Kubernetes' runtimes take the first of a directory, in
    /// alphabetical order, as the network of all pods: this one is after all that anybody names usually.
    #[must_use]
    pub fn published_file(&self) -> String {
        format!("zz-netd-{}.conflist", self.name)
    }

    /// Whether runtimes are to find it where they look for networks.
    #[must_use]
    pub fn is_published(&self) -> bool {
        self.options.get(PUBLISH).is_some_and(|text| boolean(text) == Some(true))
    }

    /// The list (CNI specification, section 1). The plugins of `none` and `host` need nobody.
    #[must_use]
    pub fn conflist(&self) -> String {
        let plugin = match self.driver {
            Driver::Null => json!({ "type": "none" }),
            Driver::Host => json!({ "type": "host" }),
            Driver::Bridge | Driver::Macvlan | Driver::Ipvlan | Driver::Overlay => json!({
                "type": "netd",
                "capabilities": { "aliases": true, "ips": true, "mac": true, "portMappings": true },
            }),
        };
        let list = json!({
            // What Podman 4 and containerd 1 read; newer ones choose among all.
            "cniVersion": "1.0.0",
            "cniVersions": ["0.4.0", "1.0.0", "1.1.0"],
            "name": self.name,
            MARK: { "network": self.id },
            "plugins": [plugin],
        });
        format!("{}\n", json::pretty(&list))
    }
}

/// Of which network a file's list is, if netd has written it.
#[must_use]
pub fn network_of_list(bytes: &[u8]) -> Option<Id> {
    let list: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    serde_json::from_value(list.get(MARK)?.get("network")?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use cni::runtime::NetworkList;

    use super::*;
    use crate::network::{Moment, Pools, of_new_host};

    #[test]
    fn every_network_is_a_list_that_runtimes_read_and_netd_knows_again() {
        let networks = of_new_host(Moment::now(), &Pools::new(None), &[], &[]);
        let types: Vec<(String, String)> = networks
            .iter()
            .map(|network| {
                let text = network.conflist();
                assert_eq!(network_of_list(text.as_bytes()).as_ref(), Some(&network.id));
                let list = NetworkList::parse(text.into_bytes()).unwrap();
                assert_eq!(list.version, cni::Version::NEWEST);
                assert_eq!(list.name, network.name);
                let [plugin] = list.plugins.as_slice() else { panic!("one plugin") };
                (network.name.clone(), plugin.plugin_type.clone())
            })
            .collect();
        for (name, plugin) in [("bridge", "netd"), ("host", "host"), ("none", "none")] {
            assert!(types.contains(&(name.to_owned(), plugin.to_owned())), "{name}: {types:?}");
        }
        assert_eq!(network_of_list(br#"{"name":"bridge","plugins":[{"type":"netd"}]}"#), None);
        assert_eq!(network_of_list(b"{"), None);
    }

    #[test]
    fn only_a_network_that_asks_for_it_is_published_and_after_all_others() {
        let mut network = of_new_host(Moment::now(), &Pools::new(None), &[], &[]).remove(0);
        assert!(!network.is_published());
        for (value, is) in [("true", true), ("1", true), ("false", false), ("", false)] {
            network.options.insert(PUBLISH.to_owned(), value.to_owned());
            assert_eq!(network.is_published(), is, "{value:?}");
        }
        for others in ["10-netd.conflist", "87-podman-bridge.conflist", "nerdctl-x.conflist"] {
            assert!(network.published_file().as_str() > others);
        }
    }
}
