//! Subnets of hosts, leased from a store that flannel's hosts share.
//!
//! The keys and values below flannel's prefix are flannel's, byte for byte ([`SubnetKey`],
//! [`LeaseValue`]), and nothing else is ever written there: a flanneld that meets a key it cannot
//! read drops all its peers. What netd remembers beside them is below a prefix of its own
//! ([`Keyspace`]).
//!
//! [`Leases`] is where everything begins: [`Leases::acquire`], [`Leases::keep`],
//! [`Leases::watch`]. What is decided is decided by pure functions (`choose`, `view`,
//! `keep::standing`); the rest asks the store and does as they say.

mod acquire;
mod admin;
mod anew;
mod choose;
mod claims;
mod error;
mod extend;
mod held;
mod host;
mod keep;
mod key;
mod keyspace;
mod known;
mod leased;
mod leases;
mod leave;
mod sign;
mod taken;
mod telling;
mod value;
mod view;
mod watching;

pub use admin::{AdminError, Overview, Owner};
pub use anew::Missing;
pub use error::{AcquireError, ConfigError};
pub use held::Held;
pub use host::{Host, UnknownHost};
pub(crate) use keep::since_boot;
pub use keep::{Keeper, Status};
pub use key::{InvalidKey, SubnetKey};
pub use keyspace::{InvalidPrefix, Keyspace};
pub use known::{Known, StoreState};
pub use leased::{Lease, Leased};
pub use leases::{Configured, Leases, TIME_TO_LIVE, Wanted};
pub use value::{InvalidValue, LeaseValue};
pub use view::{ClusterEvent, ClusterView, Peer};
