//! Families of generic netlink, and what ethtool's tells of a link.

use netstate::{LinkName, Ns};
use rustix::io::Errno;

use super::Kernel;
use crate::error::{Error, Kind};
use crate::ethtool;
use crate::generic::{CONTROLLER, get_family, read_family};
use crate::netlink::Batch;
use crate::wireguard;

impl Kernel {
    /// The number of a family; the kernel loads its module.
    ///
    /// # Errors
    /// Where this kernel has none.
    pub(crate) fn generic_family(&mut self, ns: &Ns, name: &'static str) -> Result<u16, Error> {
        if let Some(number) = self.families.get(name) {
            return Ok(*number);
        }
        let action = || format!("look for netlink family {name} in the kernel");
        let mut batch = Batch::default();
        batch.push_with(CONTROLLER, 0, |out| get_family(name, out));
        let replies = self.generic(ns)?.ask(batch).map_err(|e| Error::os(action(), e))?;
        if let Some((_, refusal)) = replies.first_refusal() {
            return Err(Error::refused(action(), refusal.clone()));
        }
        let number = replies.data.iter().find_map(|(_, _, body)| read_family(body));
        let number =
            number.ok_or_else(|| Error::found(action(), Kind::Unsupported, "it has none"))?;
        self.families.insert(name, number);
        Ok(number)
    }

    /// Whether there is WireGuard. Its module is loaded where there is one.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn has_wireguard(&mut self, ns: &Ns) -> Result<bool, Error> {
        match self.generic_family(ns, wireguard::FAMILY) {
            Ok(_) => Ok(true),
            // `ctrl_getfamily()` (net/netlink/genetlink.c).
            Err(error) if error.errno() == Some(Errno::NOENT.raw_os_error()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a link leaves checksums to what sends for it; `None` where the kernel does not tell.
    pub(crate) fn tx_checksum(&mut self, ns: &Ns, link: &LinkName) -> Option<bool> {
        let family = self.generic_family(ns, ethtool::FAMILY).ok()?;
        let mut batch = Batch::default();
        batch.push_with(family, 0, |out| ethtool::get_features(link, out));
        let replies = self.generic(ns).ok()?.ask(batch).ok()?;
        replies.data.iter().find_map(|(_, _, body)| ethtool::read_tx_checksum(body))
    }
}
