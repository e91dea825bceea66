//! `last_reserved_ip.<range set>`: where round robin goes on.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::directory::Directory;
use super::error::{Error, Warning};
use super::table::write_all_at;

/// Longest text of an address.
const MAX_TEXT: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();

/// The marker of a range set, kept open between reading and writing.
#[derive(Debug)]
pub(super) struct Marker {
    name: String,
    file: Option<OwnedFd>,
    length: usize,
    /// The address reserved last.
    pub(super) address: Option<IpAddr>,
}

impl Marker {
    /// Reads the marker. One that is missing, empty (the reference truncates before it writes)
    /// or unusable only loses the place of round robin, with a warning in the last case.
    pub(super) fn open(dir: &Directory, range_set: usize, warnings: &mut Vec<Warning>) -> Self {
        let name = format!("last_reserved_ip.{range_set}");
        let mut marker = Self { name, file: None, length: 0, address: None };
        if let Err(reason) = marker.read(dir) {
            let path = dir.join(&marker.name);
            warnings.push(Warning::Marker { path, reason });
        }
        marker
    }

    /// Records the address reserved last. Written over the old text, not beside it: killed
    /// half-way it names another address, from which round robin goes on as well.
    pub(super) fn set(&mut self, dir: &Directory, address: IpAddr) -> Result<(), Error> {
        let text = address.to_string();
        self.write(dir, &text).map_err(|source| {
            Error::io("record last reserved address in", &dir.join(&self.name), source)
        })
    }

    fn read(&mut self, dir: &Directory) -> Result<(), String> {
        let text = |errno: Errno| io::Error::from(errno).to_string();
        let file = match dir.open_at(&self.name, OFlags::RDWR | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(text(errno)),
        };
        let mut bytes = [0; MAX_TEXT + 1];
        self.length = retry_on_intr(|| rustix::io::pread(&file, &mut bytes, 0)).map_err(text)?;
        self.file = Some(file);
        let content = bytes.get(..self.length).unwrap_or_default().trim_ascii();
        if !content.is_empty() {
            let address = std::str::from_utf8(content).ok().and_then(|text| text.parse().ok());
            self.address = Some(address.ok_or("does not hold an address")?);
        }
        Ok(())
    }

    fn write(&mut self, dir: &Directory, text: &str) -> io::Result<()> {
        let created;
        let file = match &self.file {
            Some(file) => file,
            None => {
                let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW;
                created = dir.open_at(&self.name, flags, Mode::from_raw_mode(0o600))?;
                &created
            }
        };
        if self.length > text.len() {
            rustix::fs::ftruncate(file, u64::try_from(text.len()).unwrap_or_default())?;
        }
        write_all_at(file, text.as_bytes(), 0)
    }
}
