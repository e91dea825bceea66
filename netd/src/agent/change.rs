//! Which changes of the network configuration a running agent can follow. Pure.

use ipnetwork::IpNetwork;

use crate::backend::{Backend, InvalidBackend};
use crate::config::network::{NetworkConfig, Pool};
use crate::lease::SubnetKey;

/// Why a configuration is not followed by a host that has this subnet by another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Containers have addresses of it.
    #[error("{network} with subnets of /{length} does not give out {subnet}, which this host has")]
    Subnet { network: IpNetwork, length: u8, subnet: IpNetwork },
    /// The same.
    #[error("it is without IPv6, and this host has {0}")]
    WithoutIpv6(IpNetwork),
    /// Hosts of two backends do not connect.
    #[error("its Backend.Type is {new:?}, and hosts are connected by {old:?}")]
    Kind { old: &'static str, new: &'static str },
    /// The device would have to be made anew, and hosts of two kinds do not connect.
    #[error("its Backend.{key} is {new}, and this host's device was made with {old}")]
    Device { key: &'static str, old: String, new: String },
    /// It makes no sense.
    #[error(transparent)]
    Backend(#[from] InvalidBackend),
}

/// Whether a host with this subnet can go from one configuration to another while its containers
/// run.
pub(super) fn can_follow(
    now: &NetworkConfig,
    subnet: &SubnetKey,
    new: &NetworkConfig,
) -> Result<(), Refusal> {
    gives_out(new.network.into(), &new.subnets, subnet.v4.into())?;
    match (&new.ipv6, subnet.v6) {
        (Some((network, pool)), Some(v6)) => gives_out((*network).into(), pool, v6.into())?,
        (None, Some(v6)) => return Err(Refusal::WithoutIpv6(v6.into())),
        (_, None) => {}
    }
    let (old, new) = (Backend::parse(&now.backend)?, Backend::of(new)?);
    if old.kind() != new.kind() {
        return Err(Refusal::Kind { old: old.kind(), new: new.kind() });
    }
    match old.fixed().into_iter().zip(new.fixed()).find(|(old, new)| old != new) {
        Some(((key, old), (_, new))) => Err(Refusal::Device { key, old, new }),
        None => Ok(()),
    }
}

fn gives_out(network: IpNetwork, pool: &Pool, subnet: IpNetwork) -> Result<(), Refusal> {
    if pool.contains(subnet) {
        return Ok(());
    }
    Err(Refusal::Subnet { network, length: pool.length, subnet })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said against it; nothing where it can be followed.
    fn judged(new: &str) -> String {
        judged_after(r#"{"Type":"vxlan"}"#, new)
    }

    fn judged_after(backend: &str, new: &str) -> String {
        let parse = |text: &str| NetworkConfig::parse(text.as_bytes()).unwrap();
        let now = parse(&format!(r#"{{"Network":"10.5.0.0/16","Backend":{backend}}}"#));
        can_follow(&now, &"10.5.7.0-24".parse().unwrap(), &parse(new))
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn what_leaves_subnet_and_device_as_they_are_is_followed() {
        for fine in [
            r#"{"Network":"10.4.0.0/15","SubnetLen":24,"Backend":{"Type":"vxlan"}}"#,
            r#"{"Network":"10.5.0.0/16","Backend":{"Type":"VXLAN","VNI":1,"MTU":1400}}"#,
            r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}}"#,
            r#"{"Network":"10.5.0.0/16","EnableIPv6":true,"IPv6Network":"fd05::/48",
                "Backend":{"Type":"vxlan"}}"#,
        ] {
            assert_eq!(judged(fine), "", "{fine}");
        }
    }

    #[test]
    fn of_each_backend_stays_what_its_peers_send_to() {
        for (now, new, why) in [
            (r#"{"Type":"udp"}"#, r#"{"Type":"udp","Port":8285}"#, ""),
            (r#"{"Type":"udp"}"#, r#"{"Type":"udp","Port":9}"#, "Backend.Port is 9"),
            (r#"{"Type":"ipip"}"#, r#"{"Type":"ipip","DirectRouting":true}"#, ""),
            (
                r#"{"Type":"wireguard"}"#,
                r#"{"Type":"wireguard","PersistentKeepaliveInterval":5,"MTU":1400}"#,
                "",
            ),
            (
                r#"{"Type":"wireguard"}"#,
                r#"{"Type":"wireguard","Mode":"auto"}"#,
                "Backend.Mode is auto, and this host's device was made with separate",
            ),
            (
                r#"{"Type":"wireguard"}"#,
                r#"{"Type":"wireguard","ListenPort":9}"#,
                "Backend.ListenPort is 9",
            ),
            (
                r#"{"Type":"extension","SubnetAddCommand":"a"}"#,
                r#"{"Type":"extension","SubnetAddCommand":"b"}"#,
                "",
            ),
        ] {
            let new = format!(r#"{{"Network":"10.5.0.0/16","Backend":{new}}}"#);
            let told = judged_after(now, &new);
            assert!(told.starts_with(why) || told.contains(why), "{new}: {told}");
            assert_eq!(told.is_empty(), why.is_empty(), "{new}: {told}");
        }
    }

    #[test]
    fn what_does_not_is_refused_with_what_is_in_the_way() {
        for (new, why) in [
            (r#"{"Network":"10.9.0.0/16","Backend":{"Type":"vxlan"}}"#, "not give out 10.5.7.0/24"),
            (r#"{"Network":"10.5.0.0/16","SubnetLen":25,"Backend":{"Type":"vxlan"}}"#, "of /25"),
            (
                r#"{"Network":"10.5.0.0/16","SubnetMin":"10.5.8.0","Backend":{"Type":"vxlan"}}"#,
                "10.5.7.0/24",
            ),
            (r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":2}}"#, "Backend.VNI is 2"),
            (
                r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","Port":4789}}"#,
                "Backend.Port is 4789",
            ),
            (r#"{"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}}"#, "\"host-gw\""),
            (r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","MTU":67}}"#, "Backend.MTU 67"),
        ] {
            let told = judged(new);
            assert!(told.contains(why), "{new}: {told}");
        }
    }
}
