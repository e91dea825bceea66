//! CNI plugins: one program that acts by the name it is called by.
//!
//! It is installed as separate files (`bridge`, `portmap`, ...), because installers of others
//! copy over files in the plugin directory, which would go through links.
//!
//! One module is one plugin, each with the same files: `mod` (the verbs), `conf` (its keys,
//! decoded and validated), `tests`. Copying a sibling and adding a line to [`registry`] is how a
//! plugin is added. What all of them share is in [`callee`] and [`addressing`] (other plugins, IPAM),
//! [`attachment`] (whose it is, namespaces, records) and [`convert`] (CNI's types and ours);
//! [`subnet`] is what `flannel` and `overlay` share, and [`reference`](mod@reference) what DEL takes away after the
//! reference plugins.

mod addressing;
mod attachment;
mod bridge;
mod callee;
mod convert;
mod firewall;
mod flannel;
mod host;
mod host_local;
mod loopback;
mod mac;
mod macvlan;
mod netd;
mod none;
mod overlay;
mod portmap;
mod program;
mod reference;
mod registry;
mod removal;
mod static_ipam;
mod subnet;
#[cfg(test)]
mod testing;

pub use program::run;
