//! What two networks of one host cannot both have. Pure.

use ipnetwork::IpNetwork;
use netstate::LinkName;

use crate::backend::{self, Backend};
use crate::config::network::NetworkConfig;

/// Why two networks cannot be on one host. The one that is there is named first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Clash {
    /// A route leads one way.
    #[error(
        "networks {a} and {b} overlap, {of_a} and {of_b}: give {b} addresses of its own by its \
         {key}"
    )]
    Networks { a: String, b: String, of_a: IpNetwork, of_b: IpNetwork, key: &'static str },
    /// A device is of one network.
    #[error("networks {a} and {b} have the same Backend.VNI {vni}: give {b} another")]
    Vni { a: String, b: String, vni: String },
    /// The same, and flannel gives it no other name.
    #[error(
        "networks {a} and {b} would both have device {device}: a host can be in one network of \
         backend {kind}, so give {b} another Backend.Type"
    )]
    Device { a: String, b: String, device: LinkName, kind: &'static str },
}

/// Whether a host that is in a network can be in another one, too.
pub(super) fn between(
    (a, of_a): (&str, &NetworkConfig),
    (b, of_b): (&str, &NetworkConfig),
) -> Result<(), Clash> {
    let (name_a, name_b) = (a.to_owned(), b.to_owned());
    if let Some((key, net_a, net_b)) = overlap(of_a, of_b) {
        return Err(Clash::Networks { a: name_a, b: name_b, of_a: net_a, of_b: net_b, key });
    }
    // What a backend cannot be read from makes no device.
    let (Ok(one), Ok(other)) = (Backend::of(of_a), Backend::of(of_b)) else { return Ok(()) };
    let theirs = devices(&one, of_a);
    let Some(device) = devices(&other, of_b).into_iter().find(|name| theirs.contains(name)) else {
        return Ok(());
    };
    let vni = other.fixed().into_iter().find(|(key, _)| *key == "VNI");
    Err(match vni {
        Some((_, vni)) => Clash::Vni { a: name_a, b: name_b, vni },
        None => Clash::Device { a: name_a, b: name_b, device, kind: other.kind() },
    })
}

fn overlap(a: &NetworkConfig, b: &NetworkConfig) -> Option<(&'static str, IpNetwork, IpNetwork)> {
    let v4 = ("Network", IpNetwork::from(a.network), IpNetwork::from(b.network));
    let v6 = a.ipv6.zip(b.ipv6).map(|((a, _), (b, _))| ("IPv6Network", a.into(), b.into()));
    std::iter::once(v4).chain(v6).find(|(_, a, b)| backend::overlap(*a, *b))
}

fn devices(backend: &Backend, config: &NetworkConfig) -> Vec<LinkName> {
    let dual = config.ipv6.is_some();
    let mut names = backend.devices(dual).unwrap_or_default();
    names.extend(backend.tunnels(dual));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of network green beside blue, 10.1.0.0/16 by VXLAN 1.
    fn judged(green: &str) -> String {
        let parse = |text: &str| NetworkConfig::parse(text.as_bytes()).unwrap();
        let blue = r#"{"Network":"10.1.0.0/16","EnableIPv6":true,"IPv6Network":"fd01::/48",
                       "Backend":{"Type":"vxlan"}}"#;
        let said = between(("blue", &parse(blue)), ("green", &parse(green)));
        said.err().map(|clash| clash.to_string()).unwrap_or_default()
    }

    #[test]
    fn networks_with_addresses_and_devices_of_their_own_can_be_together() {
        for fine in [
            r#"{"Network":"10.2.0.0/16","Backend":{"Type":"vxlan","VNI":2}}"#,
            r#"{"Network":"10.2.0.0/16","Backend":{"Type":"host-gw"}}"#,
            r#"{"Network":"10.2.0.0/16","EnableIPv6":true,"IPv6Network":"fd02::/48",
                "Backend":{"Type":"wireguard"}}"#,
        ] {
            assert_eq!(judged(fine), "", "{fine}");
        }
    }

    #[test]
    fn two_that_would_share_something_are_both_named_with_it() {
        for (green, says) in [
            (
                r#"{"Network":"10.2.0.0/16","Backend":{"Type":"vxlan","VNI":1,"Port":4789}}"#,
                "networks blue and green have the same Backend.VNI 1: give green another",
            ),
            (
                r#"{"Network":"10.0.0.0/14","Backend":{"Type":"host-gw"}}"#,
                "networks blue and green overlap, 10.1.0.0/16 and 10.0.0.0/14: give green \
                 addresses of its own by its Network",
            ),
            (
                r#"{"Network":"10.2.0.0/16","EnableIPv6":true,"IPv6Network":"fd01:0:0:8000::/49",
                    "Backend":{"Type":"vxlan","VNI":2}}"#,
                "by its IPv6Network",
            ),
        ] {
            let said = judged(green);
            assert!(said.contains(says), "{green}: {said}");
        }
        let parse = |text: &str| NetworkConfig::parse(text.as_bytes()).unwrap();
        let ipip =
            |net: &str| parse(&format!(r#"{{"Network":"{net}","Backend":{{"Type":"ipip"}}}}"#));
        let clash = between(("a", &ipip("10.1.0.0/16")), ("b", &ipip("10.2.0.0/16"))).unwrap_err();
        assert!(clash.to_string().contains("both have device flannel.ipip"), "{clash}");
    }
}
