//! CNI plugins: one program that acts by the name it is called by.
//!
//! It is installed as separate files (`bridge`, `portmap`, ...), because installers of others
//! copy over files in the plugin directory, which would go through links.
//!
//! One module is one plugin, each with the same files: `mod` (the verbs), `conf` (its keys,
//! decoded and validated), `tests`. Copying a sibling and adding a line to [`registry`] is how a
//! plugin is added. What all of them share is in [`addressing`] (IPAM), [`attachment`] (whose it
//! is, namespaces, records) and [`convert`] (CNI's types and ours).

mod addressing;
mod attachment;
mod bridge;
mod convert;
mod firewall;
mod host;
mod host_local;
mod loopback;
mod mac;
mod macvlan;
mod none;
mod portmap;
mod program;
mod registry;
mod removal;
mod static_ipam;
#[cfg(test)]
mod testing;

pub use program::run;
