//! A route in place of the one that is there.

use netstate::{Route, Step};
use rustix::io::Errno;

use super::{Work, ensure};
use crate::error::{Error, Refusal};
use crate::netlink::{Batch, flag};
use crate::route::{self, rtm};

/// `RTPROT_BOOT` (`include/uapi/linux/rtnetlink.h`).
const BOOT: u8 = 3;

/// Puts a route in place of the one of its key, for which it was refused, if that is by the same
/// protocol or by nobody in particular; false where it is that route already.
///
/// # Errors
/// Of kind [`Kind::Exists`](crate::Kind::Exists), naming what is there, where it is somebody else's;
/// the refusal, where nothing is there.
pub(super) fn route(
    work: &mut Work<'_>,
    step: &Step,
    wanted: &Route,
    refusal: Refusal,
) -> Result<bool, Error> {
    let there = work.kernel.routes_at(&step.ns, wanted)?;
    if there.contains(wanted) {
        return Ok(false);
    }
    let is_led_away = is_led_away(&refusal);
    if is_led_away && there.is_empty() {
        return Err(Error::refused(step.to_string(), refusal));
    }
    let is_free = |there: &Route| [wanted.protocol, BOOT].contains(&there.protocol);
    if there.is_empty() || !there.iter().all(is_free) {
        return Err(ensure::route_in_the_way(step, &there));
    }
    let mut batch = Batch::default();
    for route in there.iter().filter(|_| is_led_away) {
        let index = index(work, step, route)?;
        batch.push(rtm::DELROUTE, 0, &route::route(index, route));
    }
    let index = index(work, step, wanted)?;
    batch.push(rtm::NEWROUTE, flag::CREATE | flag::REPLACE, &route::route(index, wanted));
    let sent = work.kernel.route(&step.ns)?.exchange(batch, 0);
    let replies = sent.map_err(|e| Error::os(step.to_string(), e))?;
    match replies.first_refusal() {
        Some((_, refusal)) => Err(Error::refused(step.to_string(), refusal.clone())),
        None => Ok(true),
    }
}

/// Whether a route may be refused for the one in its place: IPv6 looks by the routes there are where
/// its gateway is, though it is said to be on the link (`ip6_route_check_nh_onlink`, `net/ipv6/route.c`).
pub(super) fn is_led_away(refusal: &Refusal) -> bool {
    refusal.is(Errno::INVAL)
}

fn index(work: &mut Work<'_>, step: &Step, route: &Route) -> Result<Option<u32>, Error> {
    match &route.dev {
        Some(dev) => work.kernel.index(&step.ns, dev),
        None => Ok(None),
    }
}
