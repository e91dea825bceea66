//! The ends of tunnels between hosts.

use std::net::{IpAddr, Ipv4Addr};

use crate::link::LinkRef;

/// A VXLAN tunnel end (RFC 7348; `drivers/net/vxlan/vxlan_core.c`).
///
/// [`Vxlan::local`], [`Vxlan::parent`], [`Vxlan::learning`] and [`Vxlan::tx_checksum`] can be changed
/// while all that is on the link stays; anything else is for life (`vxlan_nl2conf()`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vxlan {
    /// VXLAN network identifier, 24 bits.
    pub id: u32,
    /// UDP port, both of this end and of the others; the kernel's default is 8472.
    pub port: Option<u16>,
    /// The link that outer packets leave by, which may be in another namespace; or whichever the
    /// routes say.
    pub parent: Option<LinkRef>,
    /// Source address of outer packets.
    pub local: Option<IpAddr>,
    /// Forwarding entries are learnt from what comes in.
    pub learning: bool,
    /// The group policy extension; cannot be changed.
    pub gbp: bool,
    /// Who asks for a neighbour by ARP or neighbour discovery is answered from the link's permanent
    /// ones, and the question goes no further (`arp_reduce()`); cannot be changed.
    pub proxy: bool,
    /// Feature `tx-checksum-ip-generic`: checksums of inner packets are left to what sends the outer
    /// ones, and are finished before encapsulation without it. On at birth (`vxlan_setup()`).
    pub tx_checksum: Option<bool>,
}

/// The end of a tunnel of IPv4 in IPv4 (RFC 2003; `net/ipv4/ipip.c`). Time to live, service and
/// "don't fragment" are the kernel's defaults: inherited, inherited, set.
///
/// [`Ipip::local`] can be changed while all that is on the link stays. Whether there is a far end is
/// for life (`ip_tunnel_changelink()`, `net/ipv4/ip_tunnel.c`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipip {
    /// Source address of outer packets.
    pub local: Option<Ipv4Addr>,
    /// The one far end; without, the next hop of a packet is its outer destination.
    pub remote: Option<Ipv4Addr>,
}
