//! A subnet that a host cannot give up, though another has it. Pure.

use super::choose::Choice;
use super::leased::{Lease, Leased};
use super::{AcquireError, Wanted};
use crate::config::network::NetworkConfig;

/// Why a host's subnet is not to be given up for the one that was chosen: containers have addresses
/// of it. Where the network does not give it out any more, that is what an administrator wants.
pub(super) fn taken(
    config: &NetworkConfig,
    wanted: &Wanted,
    leased: &Leased,
    choice: &Choice<'_>,
) -> Option<AcquireError> {
    let subnet = wanted.used(config)?;
    let own = match choice {
        Choice::Keep(_) => return None,
        Choice::Create { instead_of, .. } => instead_of.map(|own| &own.entry.key),
        Choice::Exhausted(_) => None,
    };
    let is_rival = |l: &&Lease| Some(&l.entry.key) != own && l.subnet.overlaps(&subnet);
    let rival = leased.leases.iter().find(is_rival)?;
    Some(AcquireError::Taken { subnet, by: rival.has(&subnet) })
}
