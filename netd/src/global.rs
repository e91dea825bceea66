//! Networks of the whole cluster: made on one host, and there on every one.
//!
//! They are in etcd, below netd's own prefix ([`Keys`]), and flannel's keys are not needed for them. What is
//! decided is decided by pure functions over a [`View`]; [`Cluster`] asks the store and does as they say. A host
//! gives out addresses of blocks that are its own, and knows all that is in the store by a snapshot on its
//! disk: no container waits for etcd, but the first of a network on a host.

mod blocks;
mod claim;
mod cluster;
mod create;
mod elsewhere;
mod freed;
mod keys;
mod membership;
mod moves;
mod publish;
mod record;
mod remembered;
mod remove;
mod session;
mod snapshot;
#[cfg(test)]
mod tests;
mod view;

pub use blocks::Share;
pub use claim::{ClaimError, Claimed};
pub use cluster::{Cluster, Place};
pub use create::Commit;
pub use elsewhere::Elsewhere;
pub use freed::{FreeError, Lost};
pub use keys::Keys;
pub use membership::Membership;
pub use publish::{Spare, Unneeded, Wanted};
pub use record::{Claim, Encrypts, EndpointRecord, Freed, Live, Member};
pub use remove::RemoveError;
pub use session::{Confirmed, leave};
pub use view::{Kept, OfHost, OfNetwork, Touched, View};
