//! Hosts that run the agent, a real etcd, and containers on them.
//!
//! ```text
//!   internet 203.0.113.10:80, etcd 192.0.2.1:2379 --- br0 --+-- eth0 192.0.2.10  host1 --- cni0 --- containers
//!                                                           +-- eth0 192.0.2.11  host2 --- ...
//!                                                           +-- eth0 192.0.2.12  host3 --- ...
//! ```

mod anew;
mod bad_input;
mod configure;
mod docker;
mod extension;
mod files;
mod foreign;
mod heal;
mod join;
mod kills;
mod lost;
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
mod site;
mod steady;
mod store;
mod subnets;
mod takeover;
mod traffic;
mod udp;
mod uplink;
