//! Waits for duplicate address detection (RFC 4862 section 5.4).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use netlink_packet_route::AddressFamily;
use netstate::{LinkName, Ns};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Kernel;
use crate::error::{Error, Kind};
use crate::events;
use crate::route::{addrs_of, read_detection, rtm};

/// `RTNLGRP_IPV6_IFADDR` (`include/uapi/linux/rtnetlink.h`).
const GROUPS: [u32; 1] = [9];

/// What duplicate address detection has found out about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detection {
    /// It goes on.
    Tentative,
    /// Another host has the address.
    Duplicate,
    /// The address may be used.
    Passed,
}

impl Kernel {
    /// Waits until every IPv6 address of a link may be used, at most so long. Nothing is left
    /// behind.
    ///
    /// # Errors
    /// [`Kind::Exists`] where another host has one of them, [`Kind::Busy`] where it takes longer;
    /// or the link cannot be asked about.
    pub fn settle(&mut self, ns: &Ns, name: &LinkName, bound: Duration) -> Result<(), Error> {
        let action = || format!("wait for the addresses of {name}");
        let Some(index) = self.index(ns, name)? else {
            return Err(Error::found(action(), Kind::NoDevice, format!("there is no link {name}")));
        };
        let end = Instant::now() + bound;
        // Opened before the first look, so that nothing falls between.
        let news = self.inside(ns, || events::join(None, &GROUPS))?;
        let news = news.map_err(|e| Error::io(action(), e))?;
        let mut buffer = Vec::with_capacity(events::LARGEST);
        loop {
            let addresses = self.detections(ns, index, &action)?;
            let found = |state| addresses.iter().find(|(_, s)| *s == state).map(|(ip, _)| *ip);
            if let Some(ip) = found(Detection::Duplicate) {
                let why = format!("another host on the network has {ip}");
                return Err(Error::found(action(), Kind::Exists, why));
            }
            let Some(ip) = found(Detection::Tentative) else { return Ok(()) };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = format!("{ip} is still tentative after {} s", bound.as_secs());
                return Err(Error::found(action(), Kind::Busy, why));
            }
            let mut heard = [PollFd::new(&news, PollFlags::IN)];
            // An interrupted wait is over; then it is looked again.
            let _ = poll(&mut heard, Timespec::try_from(left).ok().as_ref());
            // What came is of no interest, nor that some was lost: all of it is looked at.
            while !matches!(events::receive(&news, &mut buffer), Ok(false)) {}
        }
    }

    fn detections(
        &mut self,
        ns: &Ns,
        index: u32,
        action: &dyn Fn() -> String,
    ) -> Result<Vec<(IpAddr, Detection)>, Error> {
        let query = addrs_of(index, AddressFamily::Inet6);
        self.listed(ns, rtm::GETADDR, &query, action, |body| {
            read_detection(body).filter(|(i, ..)| *i == index).map(|(_, ip, state)| (ip, state))
        })
    }
}

#[cfg(test)]
mod tests;
