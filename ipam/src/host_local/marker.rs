//! `last_reserved_ip.<range set>`: where round robin goes on.

use std::net::IpAddr;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::directory::Directory;
use super::error::{Error, Warning};

impl Directory {
    /// The address reserved last for a range set. A marker that is missing, empty (the
    /// reference truncates before it writes) or unreadable only loses the place of round robin.
    pub(super) fn last_reserved(&self, range_set: usize) -> Result<Option<IpAddr>, Warning> {
        let name = name(range_set);
        let warn = |reason: String| Warning::Marker { path: self.join(&name), reason };
        match self.read_small(&name) {
            Ok(content) if content.trim_ascii().is_empty() => Ok(None),
            Ok(content) => {
                match std::str::from_utf8(&content).ok().and_then(|text| text.trim().parse().ok()) {
                    Some(address) => Ok(Some(address)),
                    None => Err(warn("is not an address".to_owned())),
                }
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(warn(std::io::Error::from(errno).to_string())),
        }
    }

    /// Records the address reserved last. Written over the old text, not beside it: killed
    /// half-way it names another address, from which round robin goes on as well.
    pub(super) fn set_last_reserved(&self, range_set: usize, address: IpAddr) -> Result<(), Error> {
        let name = name(range_set);
        let text = address.to_string();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        self.open_at(&name, flags, Mode::from_raw_mode(0o600))
            .and_then(|file| {
                let old = rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))?;
                let new = u64::try_from(text.len()).unwrap_or(u64::MAX);
                if old > new {
                    rustix::fs::ftruncate(&file, new)?;
                }
                rustix::io::pwrite(&file, text.as_bytes(), 0).map(|_| ())
            })
            .map_err(|errno| Error::io("record last reserved address in", &self.join(&name), errno))
    }
}

fn name(range_set: usize) -> String {
    format!("last_reserved_ip.{range_set}")
}
