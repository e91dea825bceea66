//! Load on one host: attachments made and removed as a runtime does, timed, one after the other or
//! many at once.
//!
//! The program `e2e-load` runs in a host of the lab, where starting a plugin costs no more than it
//! costs a runtime, and does what a test or `make bench` tells it through a [`Session`]: a line
//! with a command in, a line of JSON out.

pub mod child;
pub mod cni;
pub mod floor;
pub mod namespaces;
pub mod netavark;
pub mod netd;
mod session;
pub mod single;
pub mod trace;
pub mod work;

use anyhow::Result;

pub use child::Cost;
pub use session::Session;

/// Where the program `e2e-peak` is on a host.
const PEAK: &str = "/opt/e2e/peak";

/// Something that attaches containers to a network. Container `number` has its own namespace, see
/// [`namespaces`], and two published ports, see [`ports`].
pub trait Attach: Sync {
    /// Attaches a container; what each step cost, in the chain's order.
    ///
    /// # Errors
    ///
    /// When a step fails.
    fn add(&self, number: u32) -> Result<Vec<Cost>>;

    /// Detaches a container; what each step cost, in the chain's order.
    ///
    /// # Errors
    ///
    /// When a step fails.
    fn del(&self, number: u32) -> Result<Vec<Cost>>;
}

/// The host ports of a container; ports 80 and 443 of the container answer them.
#[must_use]
pub fn ports(number: u32) -> [u32; 2] {
    [20_000 + 2 * number, 20_001 + 2 * number]
}
