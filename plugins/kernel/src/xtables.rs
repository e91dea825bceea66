//! Reads one thing of iptables-legacy (ip_tables, ip6_tables): whether its FORWARD chain drops.
//!
//! It changes nothing there, and looking must not make the kernel load a module or register a
//! table.

use crate::error::{Error, Kind};

/// Whether the filter table of iptables-legacy (ip6tables-legacy) of the calling thread's
/// namespace exists and its chain FORWARD has the policy DROP.
///
/// # Errors
/// The table is there and could not be read.
pub fn legacy_forward_drops(ipv4: bool) -> Result<bool, Error> {
    let names = if ipv4 { "/proc/net/ip_tables_names" } else { "/proc/net/ip6_tables_names" };
    Err(Error::found(format!("read {names}"), Kind::Unsupported, "being written"))
}
