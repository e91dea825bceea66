//! Desired state of each network driver, as pure functions.
//!
//! This is where policy is decided: which links, addresses, routes and nf_tables elements stand
//! for a container's attachment to a network. The plugins and the agent both call these
//! functions, so nothing is wired in two ways. Nothing here talks to the kernel or reads a file:
//! what is wanted comes in as a value, and a [`netstate::Desired`] or a [`netstate::Plan`] goes
//! out.
//!
//! Per-container and per-port state is *elements* of the sets in [`ruleset`], never rules or
//! chains, so the price of an attachment and of a packet does not grow with their number.

pub mod bridge;
pub mod conditions;
pub mod container;
mod devices;
pub mod direct;
pub mod encryption;
pub mod firewall;
pub mod host_gw;
pub mod ipip;
pub mod macvlan;
pub mod masquerade;
pub mod overlay;
mod owner;
pub mod ports;
pub mod ruleset;
pub mod spoofing;
pub mod traffic;
pub mod udp;
pub mod vxlan;
pub mod wireguard;

pub use owner::Owner;

/// Whether a link of an MTU in bytes has IPv6: below 1280 (RFC 8200, section 5) the kernel has none on it, and
/// none of its keys in `net.ipv6.conf` (`IPV6_MIN_MTU`).
pub(crate) fn carries_ipv6(mtu: Option<u32>) -> bool {
    mtu.is_none_or(|mtu| mtu >= 1280)
}
