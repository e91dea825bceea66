//! Pure model of Linux network state: what is wanted, what is there, and the operations between.
//!
//! Everything here is a value. Nothing reads a clock, a file, the environment or the kernel, and
//! no value holds an interface index: names are resolved where the kernel is touched (crate
//! `kernel`). Policy (which bridge, which rule) is decided in crate `drivers`.
//!
//! * [`State`] is the content of one or more network namespaces; [`Desired`] and [`Observed`] say
//!   which side of a comparison it is.
//! * [`Op`] is one change, and prints as the command it stands for (`ip link add ...`).
//! * [`Plan`] is an ordered list of [`Step`]s; [`Plan::between`] computes it.
//! * [`Report`] is what a [`Datapath`] did of a plan; [`Report::undo`] is the plan that takes it
//!   back.

mod addr;
mod cascade;
mod datapath;
mod ipvlan;
mod link;
mod name;
pub mod nft;
mod op;
mod plan;
mod report;
mod route;
mod scope;
pub mod sim;
mod state;
#[cfg(test)]
mod tests;
mod text;
mod tunnel;
mod vlan;
mod wireguard;

pub use addr::{Addr, Fdb, Neigh};
pub use datapath::Datapath;
pub use ipvlan::{IpVlan, IpVlanFlag, IpVlanMode};
pub use link::{BridgePort, Link, LinkChange, LinkKind, LinkRef, MacVlanMode, PeerInit, VlanRange};
pub use name::{LinkName, Mac, NameError, Ns, SysctlKey};
pub use op::{Mode, Op, Step};
pub use plan::Plan;
pub use report::{Done, LinkFacts, Report};
pub use route::{IPV6_METRIC, Route, RouteKind, RouteScope, Rule, TABLE_MAIN};
pub use scope::Scope;
pub use state::{Desired, NetState, Observed, State};
pub use text::NsNames;
pub use tunnel::{Ipip, Vxlan};
pub use wireguard::{KEY_BYTES, NotAKey, PublicKey, Secret, WgPeer, WireGuard};
