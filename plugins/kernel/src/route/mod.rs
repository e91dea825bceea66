//! Links, addresses, routes, neighbours and rules as rtnetlink messages, both ways. Interface
//! indexes come in from outside: nothing here asks the kernel.

mod addr;
mod link;
mod link_read;
mod modes;
mod nexthop;
mod read;
mod uplink;
mod vlan;

pub(crate) use addr::{addr, addrs_of, fdb, neigh, neighs_of};
pub(crate) use link::{
    Birth, Changes, brief, by_index, by_name, create, group, ipv4_conf, nsid, vlans, without_parent,
};
pub(crate) use link_read::RawLink;
pub(crate) use nexthop::{
    local_query, match_query, route, routes_by, routes_in, routes_of, rule, rules_of,
};
pub(crate) use read::{
    read_addr, read_detection, read_fdb, read_neigh, read_nsid, read_oif, read_route, read_routes,
    read_rule,
};
pub(crate) use uplink::{read_destination, read_uplink_addr, read_way};
pub(crate) use vlan::{PortVlans, read_vlans};

/// Message types (`include/uapi/linux/rtnetlink.h`).
pub(crate) mod rtm {
    pub(crate) const NEWLINK: u16 = 16;
    pub(crate) const DELLINK: u16 = 17;
    pub(crate) const GETLINK: u16 = 18;
    pub(crate) const SETLINK: u16 = 19;
    pub(crate) const NEWADDR: u16 = 20;
    pub(crate) const DELADDR: u16 = 21;
    pub(crate) const GETADDR: u16 = 22;
    pub(crate) const NEWROUTE: u16 = 24;
    pub(crate) const DELROUTE: u16 = 25;
    pub(crate) const GETROUTE: u16 = 26;
    pub(crate) const NEWNEIGH: u16 = 28;
    pub(crate) const DELNEIGH: u16 = 29;
    pub(crate) const GETNEIGH: u16 = 30;
    pub(crate) const NEWNETCONF: u16 = 80;
    pub(crate) const NEWRULE: u16 = 32;
    pub(crate) const DELRULE: u16 = 33;
    pub(crate) const GETRULE: u16 = 34;
    pub(crate) const NEWNSID: u16 = 88;
    pub(crate) const DELNSID: u16 = 89;
    pub(crate) const GETNSID: u16 = 90;
    pub(crate) const GETVLAN: u16 = 114;
}

#[cfg(test)]
mod tests;
