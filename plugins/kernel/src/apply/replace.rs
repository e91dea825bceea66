//! A route in place of the one that is there.

use netstate::{Route, Step};

use super::{Work, ensure};
use crate::error::Error;
use crate::netlink::{Batch, flag};
use crate::route::{self, rtm};

/// `RTPROT_BOOT` (`include/uapi/linux/rtnetlink.h`).
const BOOT: u8 = 3;

/// Puts a route in place of the one of its key, if that is by the same protocol or by nobody in
/// particular; false where it is that route already.
///
/// # Errors
/// Of kind [`Kind::Exists`](crate::Kind::Exists), naming what is there, where it is somebody else's.
pub(super) fn route(work: &mut Work<'_>, step: &Step, wanted: &Route) -> Result<bool, Error> {
    let there = work.kernel.routes_at(&step.ns, wanted)?;
    if there.contains(wanted) {
        return Ok(false);
    }
    let is_free = |there: &Route| [wanted.protocol, BOOT].contains(&there.protocol);
    if there.is_empty() || !there.iter().all(is_free) {
        return Err(ensure::route_in_the_way(step, &there));
    }
    let index = match &wanted.dev {
        Some(dev) => work.kernel.index(&step.ns, dev)?,
        None => None,
    };
    let mut batch = Batch::default();
    batch.push(rtm::NEWROUTE, flag::CREATE | flag::REPLACE, &route::route(index, wanted));
    let sent = work.kernel.route(&step.ns)?.exchange(batch, 0);
    let replies = sent.map_err(|e| Error::os(step.to_string(), e))?;
    match replies.first_refusal() {
        Some((_, refusal)) => Err(Error::refused(step.to_string(), refusal.clone())),
        None => Ok(true),
    }
}
