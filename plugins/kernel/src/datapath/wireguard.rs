//! WireGuard's devices, by generic netlink.

use std::time::{Duration, SystemTime};

use netstate::{LinkName, Ns};

use super::Kernel;
use crate::error::{Error, Kind};
use crate::netlink::{Batch, flag};
use crate::wireguard::{CONTROLLER, Device, get_device, get_family, read_device, read_family};

impl Kernel {
    /// The number of WireGuard's family; the kernel loads its module.
    ///
    /// # Errors
    /// Where this kernel has none.
    pub(crate) fn wireguard_family(&mut self, ns: &Ns) -> Result<u16, Error> {
        if let Some(number) = self.wireguard {
            return Ok(number);
        }
        let action = || "look for WireGuard in the kernel";
        let mut batch = Batch::default();
        batch.push_with(CONTROLLER, 0, get_family);
        let replies = self.generic(ns)?.ask(batch).map_err(|e| Error::os(action(), e))?;
        if let Some((_, refusal)) = replies.first_refusal() {
            return Err(Error::refused(action(), refusal.clone()));
        }
        let number = replies.data.iter().find_map(|(_, _, body)| read_family(body));
        self.wireguard = number;
        number.ok_or_else(|| Error::found(action(), Kind::Unsupported, "it has none"))
    }

    /// A WireGuard device with its peers.
    ///
    /// # Errors
    /// Where it is no WireGuard link, or is gone.
    pub(crate) fn wireguard_device(&mut self, ns: &Ns, link: &LinkName) -> Result<Device, Error> {
        let family = self.wireguard_family(ns)?;
        let mut batch = Batch::default();
        batch.push_with(family, flag::DUMP, |out| get_device(link, out));
        // A clock before 1970 makes all peers dead: their endpoints are set anew.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::MAX);
        let dumped = self.generic(ns)?.dump_batch(batch, |device: &mut Device, _, body| {
            read_device(link, body, now, device);
        });
        dumped.map_err(|refusal| Error::refused(format!("read WireGuard device {link}"), refusal))
    }
}
