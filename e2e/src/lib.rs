//! End-to-end tests: hosts made of network namespaces, with real programs in them.
//!
//! A test makes a [`Lab`], adds [`Host`]s, wires them, and puts [`Container`]s on them; [`Cni`]
//! calls plugins as a runtime would, [`runtimes`] are real ones. Probes ([`probe`]) and captures
//! ([`Capture`]) tell what a user would see. Nothing here touches the machine's own network, and
//! nothing here uses the code under test: this crate knows CNI only by its specification. One thing
//! does: [`load::floor`] is netlink without plugins, to measure them against.

pub mod attach_socket;
pub mod bins;
mod capture;
mod cni;
mod command;
pub mod cut;
pub mod damage;
mod dump;
mod etcd;
pub mod firewalld;
pub mod guest;
mod host;
pub mod image;
mod internet;
mod lab;
pub mod load;
pub mod names;
pub mod networks;
pub mod news;
pub mod nft;
mod node;
mod place;
mod plugin_set;
pub mod points;
pub mod probe;
mod process;
mod random;
pub mod record;
mod require;
pub mod rtnetlink;
pub mod runtimes;
pub mod scale;
pub mod snapshot;
pub mod vm;
mod wait;

pub use capture::{Capture, Packet};
pub use cni::{Chain, Cni, Reply, address};
pub use command::{Command, Output};
pub use etcd::{ELECTION, Etcd, FOREIGN, Follower, PREFIX, Stored};
pub use host::{Container, Host};
pub use internet::{Internet, Uplink};
pub use lab::{Lab, Port};
pub use node::{Member, NETD, Node, SUBNET_ENV};
pub use place::Place;
pub use plugin_set::{CNI_BIN, PluginSet, REFERENCE_BIN, install_all, lend_reference};
pub use probe::{Proto, Seen};
pub use process::Process;
pub use random::Random;
pub use require::{program, require, require_programs};
pub use wait::{PATIENCE, wait_for, wait_until};
