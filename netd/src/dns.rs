//! Names of containers on the networks of this host, and the host's own resolvers for all other names.
//!
//! A server listens on the host's addresses on each bridge (RFC 1035, UDP and TCP), also where that is in
//! an overlay's namespace, so a container asks its gateway, and nothing of it is in any container's namespace. [`zone`] is pure: who may know which
//! name. [`forward`] asks others. [`Server`] is the seam to the agent: it is told what there is, and
//! each answer that is given after a call returns is by what the call told.

mod cache;
mod encode;
mod forward;
mod key;
mod listeners;
mod names;
mod places;
mod query;
mod race;
mod resolvers;
mod serve;
mod server;
mod service;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod turns;
mod upstream;
mod zone;

pub(crate) use key::of_id as names_of;
pub use names::{Endpoint, EndpointKey, Gateway, Names, Network};
pub use server::{Config, Server, StartError, Trouble};
