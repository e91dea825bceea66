//! What the cluster is: its networks, and what is asked of the agents.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use e2e::rtnetlink::Made;

use crate::state::Leased;

const NARROW: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}"#;
const DUAL: &str = r#"{"Network":"10.5.0.0/16","EnableIPv6":true,"IPv6Network":"fd05::/48",
    "Backend":{"Type":"vxlan"}}"#;
pub(crate) const WIDE: &str = r#"{"Network":"10.4.0.0/15","SubnetLen":24,"EnableIPv6":true,
    "IPv6Network":"fd05::/48","Backend":{"Type":"vxlan","MTU":1400}}"#;

/// Which networks there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    Vxlan,
    /// Of both families.
    Dual,
    HostGw,
    /// With a device of its own that is no tunnel of the kernel's, and packets that the agent carries.
    Udp,
    /// Two networks by one agent, one by each of two backends.
    Networks,
}

impl Ground {
    /// The keys below flannel's prefix, and what they hold.
    pub(crate) fn configs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Vxlan => &[("config", NARROW)],
            Self::Dual => &[("config", DUAL)],
            Self::HostGw => {
                &[("config", r#"{"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}}"#)]
            }
            Self::Udp => &[("config", r#"{"Network":"10.5.0.0/16","Backend":{"Type":"udp"}}"#)],
            Self::Networks => &[
                ("blue/config", r#"{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan"}}"#),
                ("green/config", r#"{"Network":"10.2.0.0/16","Backend":{"Type":"host-gw"}}"#),
            ],
        }
    }

    pub(crate) fn options(self) -> &'static [&'static str] {
        match self {
            Self::Networks => &["-networks=blue,green"],
            Self::Vxlan | Self::Dual | Self::HostGw | Self::Udp => &[],
        }
    }
}

impl Leased {
    /// What another host is to have made of it.
    pub(crate) fn made(&self) -> Result<BTreeSet<Made>> {
        let mut made = BTreeSet::new();
        let v4 = (self.subnet.into(), 24, self.mac.as_deref(), Some(self.at));
        let v6 = self.subnet6.map(|subnet| (subnet.into(), 64, self.mac6.as_deref(), self.at6));
        for (subnet, length, mac, at) in std::iter::once(v4).chain(v6) {
            let Some(at) = at else { continue };
            match (self.backend.as_str(), mac) {
                ("vxlan", Some(mac)) => {
                    let mac = bytes(mac)?;
                    made.extend([
                        Made::Route { to: (subnet, length), via: subnet, onlink: true },
                        Made::Neighbour(subnet, mac),
                        Made::Forwarding(mac, at),
                    ]);
                }
                ("host-gw", _) => {
                    made.insert(Made::Route { to: (subnet, length), via: at, onlink: false });
                }
                // The agent of `udp` knows, and nobody else.
                _ => {}
            }
        }
        Ok(made)
    }
}

fn bytes(mac: &str) -> Result<[u8; 6]> {
    let bytes: Vec<u8> =
        mac.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>()?;
    bytes.try_into().ok().context("six bytes")
}
