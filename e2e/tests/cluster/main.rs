//! Hosts that run the agent, a real etcd, and containers on them.
//!
//! ```text
//!   internet 203.0.113.10:80, etcd 192.0.2.1:2379 --- br0 --+-- eth0 192.0.2.10  host1 --- cni0 --- containers
//!                                                           +-- eth0 192.0.2.11  host2 --- ...
//!                                                           +-- eth0 192.0.2.12  host3 --- ...
//! ```

#![expect(clippy::indexing_slicing, reason = "an index out of range fails the test")]

mod anew;
mod bad_input;
mod checksums;
mod configure;
mod conflict;
mod docker;
mod extension;
mod files;
mod flap;
mod foreign;
mod heal;
mod join;
mod kills;
mod lags;
mod leave;
mod levels;
mod lost;
mod mtu;
mod networks;
mod operate;
mod options;
mod outage;
mod overlay;
mod packets;
mod reach;
mod repair;
mod restart;
mod routes;
mod scale;
mod several;
mod site;
mod steady;
mod store;
mod subnets;
mod takeover;
mod traffic;
mod udp;
mod unheard;
mod uplink;
mod wgkey;
