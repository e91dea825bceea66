//! WireGuard's devices, by generic netlink.

use std::time::{Duration, SystemTime};

use netstate::{LinkName, Ns};

use super::Kernel;
use crate::error::Error;
use crate::netlink::{Batch, flag};
use crate::wireguard::{Device, FAMILY, get_device, read_device};

impl Kernel {
    /// A WireGuard device with its peers.
    ///
    /// # Errors
    /// Where it is no WireGuard link, or is gone.
    pub(crate) fn wireguard_device(&mut self, ns: &Ns, link: &LinkName) -> Result<Device, Error> {
        let family = self.generic_family(ns, FAMILY)?;
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
