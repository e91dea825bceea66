//! `netd.sock`: HTTP/1.1 with JSON for `netd` itself and for administrators' tools; root only.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/status` | [`Report`]; of several networks [`Several`] |
//! | `GET /v1/plan` | the commands that the agent would run now, one per line (text); 503 and why, where it cannot tell |
//! | `GET /healthz`, `/readyz`, `/metrics` | as on the health port |
//! | `/v1/networks` and below | [`super::networks`] |
//!
//! Within `v1` keys are added and never renamed or removed.

mod client;

use std::collections::BTreeMap;

use netd_api::attach::Lease as State;
use serde::{Deserialize, Serialize};

pub use client::{AskError, ask, request};

/// The socket's name in the run directory.
pub const SOCKET: &str = "netd.sock";

/// How the agent stands. Times are in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// The agent's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Containers can be attached and reached.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
    /// This host's subnet.
    pub lease: Lease,
    /// How packets travel, once there is a lease.
    pub backend: Option<Backend>,
    /// The network configuration of the store.
    pub configuration: Configuration,
    /// The cluster's store.
    pub store: Store,
    /// What keeps the kernel as it should be.
    pub reconcile: Reconcile,
    /// The other hosts.
    pub peers: Peers,
    /// The networks of this host alone.
    pub host_networks: HostNetworks,
    /// The networks that hosts share, where there are any.
    pub cluster_networks: Option<ClusterNetworks>,
}

/// How an agent stands that has several networks on its host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Several {
    /// The agent's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Containers can be attached to all networks, and reached.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
    /// The cluster's store.
    pub store: Store,
    /// Each as if it were the only one.
    pub networks: BTreeMap<String, Report>,
}

/// What an agent answers: that of several networks has `networks`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// Of several networks.
    Several(Several),
    /// Of the only one.
    One(Box<Report>),
}

impl Several {
    /// Puts together how each stands.
    #[must_use]
    pub fn new(networks: BTreeMap<String, Report>, reason: Option<String>) -> Self {
        let one = networks.values().next().cloned().unwrap_or_default();
        let ready = reason.is_none();
        Self { version: one.version, pid: one.pid, ready, reason, store: one.store, networks }
    }
}

impl Answer {
    /// Whether containers can be attached to all networks, and reached.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Several(several) => several.ready,
            Self::One(report) => report.ready,
        }
    }
}

/// This host's subnet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Lease {
    /// `none`, `held` or `lost`.
    pub state: State,
    /// Why it is lost.
    pub reason: Option<String>,
    /// As in `10.5.52.0/24`.
    pub subnet: Option<String>,
    /// The same for IPv6.
    pub ipv6_subnet: Option<String>,
    /// etcd's lease, in hexadecimal digits; a reservation has none.
    pub id: Option<String>,
    /// How long it lives without a sign of life; a reservation for ever.
    pub ttl_seconds: Option<f64>,
    /// For how long it has been this host's, over restarts; one that was lost and taken again is new.
    pub age_seconds: Option<f64>,
    /// For how long etcd has had no sign of life.
    pub since_keep_alive_seconds: Option<f64>,
}

/// How packets travel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Backend {
    /// As in the network's configuration.
    #[serde(rename = "type")]
    pub kind: String,
    /// The interface between hosts.
    pub interface: String,
    /// Where others reach this host.
    #[serde(rename = "publicIP")]
    pub public_ip: String,
    /// Of containers, in bytes.
    pub mtu: u32,
    /// What is wrong with its commands (`extension`).
    pub trouble: Option<String>,
}

/// The network configuration of the store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Configuration {
    /// Why it is not the one in force.
    pub refused: Option<String>,
}

/// The networks of this host alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostNetworks {
    /// Why they are not as they should be.
    pub trouble: Option<String>,
    /// Why names of containers are not served everywhere.
    pub dns: Option<String>,
    /// Which of their addresses are somebody else's, too.
    pub clashes: Vec<String>,
}

/// The networks that hosts share, as this host takes part in them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterNetworks {
    /// How many there are.
    pub networks: u64,
    /// Why overlays are not as they should be on this host.
    pub overlays: Vec<String>,
    /// Whether it gives signs of life: without one for 30 s others count its containers as gone.
    pub live: bool,
    /// Since the store has confirmed last what this host claims, by this agent.
    pub since_confirmed_seconds: Option<f64>,
    /// Whether new addresses may be given out: the store has confirmed within half of `--subnet-ttl`.
    pub allocates: bool,
    /// The store has told nothing since the start: what is known is what was known before.
    pub remembered: bool,
    /// What somebody has to do something about, of all these but `overlays`.
    pub troubles: Vec<String>,
}

/// The cluster's store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Store {
    /// etcd's client URLs.
    pub endpoints: String,
    /// Whether it answered when it was asked last.
    pub reachable: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Since its last answer.
    pub since_answer_seconds: Option<f64>,
    /// Answers, and events of watches.
    pub answers: u64,
    /// Requests and watches that got no answer.
    pub failures: u64,
}

/// What keeps the kernel as it should be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reconcile {
    /// Why the host's own devices and rules are not as they should be.
    pub trouble: Option<String>,
    /// The latest look at everything.
    pub last: Option<LastRound>,
    /// How long the first one took after which all was well: with it all peers were connected.
    pub first_seconds: Option<f64>,
    /// Looks at everything after which all was well.
    pub rounds: u64,
    /// Looks at everything that failed.
    pub failed_rounds: u64,
    /// Changes that the kernel has taken.
    pub steps_applied: u64,
    /// Changes that it has refused, or that were left undone for one that was.
    pub steps_failed: u64,
    /// Events of the kernel that were heard.
    pub kernel_events: u64,
    /// How often events of the kernel were lost.
    pub kernel_events_lost: u64,
    /// How often the peers were listed anew, the first time too.
    pub resyncs: u64,
}

/// A look at everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LastRound {
    /// Whether all was well then.
    pub succeeded: bool,
    /// Since it ended.
    pub age_seconds: f64,
    /// From its beginning to its end.
    pub duration_seconds: f64,
}

/// The other hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Peers {
    /// How many there are.
    pub total: u64,
    /// How many are not connected.
    pub unconnected: u64,
    /// How many of these for which kind of reason.
    pub reasons: BTreeMap<String, u64>,
    /// How many count as there though the store has no lease of theirs.
    pub missing: u64,
    /// One of them, with its reason.
    pub example: Option<String>,
    /// How many have a subnet outside the network; they are connected.
    pub outside: u64,
    /// The subnet of one of them.
    pub outsider: Option<String>,
}
