//! Who we are.

use std::fs;
use std::io;

/// Who this host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The machine id, 32 hexadecimal digits (machine-id(5)). No two hosts of a cluster may have
    /// the same.
    pub machine_id: String,
    /// The kernel's boot id: it tells two hosts with one machine id apart.
    pub boot_id: String,
    /// Its name, for people.
    pub name: String,
}

/// Who this host is cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum UnknownHost {
    /// A file of the system is missing.
    #[error("read {path}")]
    Unreadable {
        /// The file.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// As in an image that has not been booted.
    #[error("/etc/machine-id holds {text:?}, which is no machine id: run systemd-machine-id-setup")]
    NoMachineId {
        /// What it holds.
        text: String,
    },
}

impl Host {
    /// This host, by `/etc/machine-id`, the kernel's boot id and its name.
    ///
    /// # Errors
    /// Where it has no machine id.
    pub fn this() -> Result<Self, UnknownHost> {
        let machine_id = read("/etc/machine-id")?;
        if machine_id.len() != 32 || !machine_id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(UnknownHost::NoMachineId { text: machine_id });
        }
        let boot_id = read("/proc/sys/kernel/random/boot_id")?;
        Ok(Self { machine_id, boot_id, name: read("/proc/sys/kernel/hostname")? })
    }
}

fn read(path: &'static str) -> Result<String, UnknownHost> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|source| UnknownHost::Unreadable { path, source })?;
    Ok(text.trim().to_owned())
}
