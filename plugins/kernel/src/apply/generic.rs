//! Settings of links that protocols of generic netlink take.

use netstate::{LinkChange, LinkName, Ns, Step};

use super::Work;
use crate::error::Error;
use crate::netlink::{Batch, Replies};
use crate::{ethtool, wireguard};

/// Sets a link, which completes a step; gives whether that worked, and tells where it did not.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other changes are another family's")]
pub(super) fn set(
    work: &mut Work<'_>,
    ns: &Ns,
    step: &Step,
    name: &LinkName,
    changes: &[LinkChange],
) -> bool {
    let checksums = changes.iter().find_map(|change| match change {
        LinkChange::TxChecksum(on) => Some(*on),
        _ => None,
    });
    let sent = match checksums {
        Some(on) => exchange(work, ns, ethtool::FAMILY, |family, batch| {
            batch.push_with(family, 0, |out| ethtool::set_tx_checksum(name, on, out));
        }),
        None => exchange(work, ns, wireguard::FAMILY, |family, batch| {
            batch.push_with(family, 0, |out| wireguard::set_device(name, changes, out));
        }),
    };
    let refused = match sent {
        Ok(replies) => {
            replies.first_refusal().map(|(_, r)| Error::refused(step.to_string(), r.clone()))
        }
        Err(error) => Some(error),
    };
    let worked = refused.is_none();
    if let Some(error) = refused {
        work.fail(step, error);
    }
    worked
}

/// Sends messages to a family.
pub(super) fn exchange(
    work: &mut Work<'_>,
    ns: &Ns,
    name: &'static str,
    fill: impl FnOnce(u16, &mut Batch),
) -> Result<Replies, Error> {
    let family = work.kernel.generic_family(ns, name)?;
    let mut batch = Batch::default();
    fill(family, &mut batch);
    let sent = work.kernel.generic(ns)?.exchange(batch, 0);
    sent.map_err(|e| Error::os(format!("send to netlink family {name}"), e))
}
