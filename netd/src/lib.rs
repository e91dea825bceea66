//! The agent and its command line.
//!
//! [`cli`] reads arguments, prints, and decides exit statuses; what is decided about networks is
//! in the other modules, which never print.

pub mod agent;
pub mod api;
pub mod backend;
pub mod cli;
pub mod config;
pub mod container;
pub mod dns;
pub mod endpoint;
pub mod global;
pub mod lease;
pub mod limits;
pub mod network;
pub mod proxy;
pub mod publish;
pub mod reconcile;
pub mod registry;
pub mod stale;
pub mod store;
pub mod template;
pub mod udp;
pub mod underlay;
