//! What is said of containers on netd's networks. Keys are those of CNI where it has them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Attach a container to a network. Its namespace comes beside the request, as a file descriptor:
/// whoever asks opens it, with its own rights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Attach {
    /// The network: its name, its id, or the beginning of its id.
    pub network: String,
    /// The container's id.
    pub container: String,
    /// The interface's name in the container; without one it is the next free `ethN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ifname: Option<String>,
    /// The path by which the client opened the namespace.
    pub netns: PathBuf,
    /// What the container is called on the network, beside its id; the first is shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// More names, which its user has given it on this network; on network `bridge` there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Published ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// Whoever runs the container holds those ports itself, by sockets that it opens afterwards.
    #[serde(skip_serializing_if = "is_false")]
    pub ports_held: bool,
    /// Addresses that are asked for, with or without a prefix length; at most one of a family.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<String>,
    /// The link-layer address that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Of several networks the one with the highest gives the default route.
    #[serde(skip_serializing_if = "is_zero")]
    pub gw_priority: i32,
    /// Sysctls of its interface and their values: `net.ipv4.conf.IFNAME.log_martians`, with `IFNAME` as it is.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// The container runs already: its default route stays unless the priority says otherwise.
    #[serde(skip_serializing_if = "is_false")]
    pub live: bool,
}

/// A published port.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Port {
    /// The host's address; empty for any.
    #[serde(rename = "hostIP", skip_serializing_if = "String::is_empty")]
    pub host_ip: String,
    /// The port on the host; 0 for any that is free.
    pub host_port: u16,
    /// Any that is free from `host_port` to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_port_end: Option<u16>,
    /// The port in the container.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`; empty for `tcp`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
}

/// Take a container off a network. It may not be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Detach {
    /// The network, as in [`Attach`].
    pub network: String,
    /// The container's id.
    pub container: String,
    /// The interface's name in the container; without one all that it has in the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ifname: Option<String>,
}

/// Is a container on a network as it was attached? Its namespace comes beside the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Check {
    /// The network, as in [`Attach`].
    pub network: String,
    /// The container's id.
    pub container: String,
    /// The interface's name in the container.
    pub ifname: String,
}

/// Could a container be attached to a network now?
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Status {
    /// The network, as in [`Attach`].
    pub network: String,
}

/// Take off a network whose containers are gone and that are not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Gc {
    /// The network, as in [`Attach`].
    pub network: String,
    /// What the runtime still has.
    pub keep: Vec<Kept>,
}

/// One of what the runtime still has.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(default)]
pub struct Kept {
    /// The container's id.
    pub container: String,
    /// The interface's name in the container.
    pub ifname: String,
}

/// What [`Gc`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Collected {
    /// What is gone, each as `<container>/<ifname>`.
    pub removed: Vec<String>,
    /// What was not listed and stays, each as `<container>/<ifname>: <why>`.
    pub kept: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}
