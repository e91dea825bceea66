//! Networks of the whole cluster: made on one host, and there on every one. Hosts share an etcd, in which there
//! is nothing of flannel's unless a test puts it there.
//!
//! ```text
//!   internet 203.0.113.10:80, etcd 192.0.2.1:2379 --- br0 --+-- eth0 192.0.2.10  host1 --- containers
//!                                                           +-- eth0 192.0.2.11  host2 --- ...
//!                                                           +-- eth0 192.0.2.12  host3 --- ...
//! ```

#![expect(clippy::indexing_slicing, reason = "an index out of range fails the test")]

mod across;
mod attach;
mod churn;
mod cut;
mod deaths;
mod direct;
mod encrypted;
mod family;
mod guest;
mod hosts;
mod life;
mod names;
mod objects;
mod outage;
mod path;
mod refused;
mod runtimes;
mod segments;
mod sieve;
mod site;
mod soon;
mod split;
mod store;
mod trouble;
mod uplink;
