//! This host's private key for WireGuard, which outlives restarts and reboots: peers know its public
//! half. flannel's file has it, and a copy that survives a reboot is in the state directory.

use std::io;
use std::path::Path;

use kernel::Kernel;
use netd_api::file::{Modes, replace};
use netstate::{LinkKind, LinkName, Ns, Secret};
use rustix::rand::{GetRandomFlags, getrandom};

use super::AgentError;

/// The copy, below the state directory.
pub(super) const COPY: &str = "wgkey";

/// The key by which overlays are encrypted, below the state directory: another one, so that either can be made anew.
pub(super) const OF_OVERLAYS: &str = "overlay-wgkey";

/// Only root reads it; flannel makes its own 0400, and the directory 0755.
const MODES: Modes = Modes { file: 0o600, dir: 0o755 };

/// The key of the file; without one, that of a device that is there, or the copy, or a new one. It is
/// in both files then.
///
/// # Errors
/// Where a file holds something else, or cannot be written.
pub(super) fn choose(
    kernel: &mut Kernel,
    file: &Path,
    copy: &Path,
    devices: &[LinkName],
) -> Result<Secret, AgentError> {
    let in_file = read(file)?;
    let key = match &in_file {
        Some(key) => key.clone(),
        None => match of_device(kernel, devices).map_or_else(|| read(copy), |key| Ok(Some(key)))? {
            Some(key) => key,
            None => random(file)?,
        },
    };
    for (path, there) in [(file, in_file), (copy, read(copy)?)] {
        if there.as_ref() != Some(&key) {
            write(path, &key)?;
        }
    }
    Ok(key)
}

/// The key of a file of netd's own, which is made where it is not there.
///
/// # Errors
/// Where the file holds something else, or cannot be written.
pub(super) fn own(file: &Path) -> Result<Secret, AgentError> {
    if let Some(key) = read(file)? {
        return Ok(key);
    }
    let key = random(file)?;
    write(file, &key)?;
    Ok(key)
}

fn of_device(kernel: &mut Kernel, devices: &[LinkName]) -> Option<Secret> {
    devices.iter().find_map(|name| {
        let there = kernel.link_by_name(&Ns::Host, name).ok().flatten()?;
        if let LinkKind::WireGuard(own) = there.link.kind { own.key } else { None }
    })
}

fn read(path: &Path) -> Result<Option<Secret>, AgentError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, error)),
    };
    let key: Secret = text
        .parse()
        .map_err(|wrong| failed(path, io::Error::new(io::ErrorKind::InvalidData, wrong)))?;
    Ok(Some(clamped(key)))
}

/// As `wg genkey` and flannel do, without a line's end.
fn write(path: &Path, key: &Secret) -> Result<(), AgentError> {
    replace(path, key.to_base64().as_bytes(), MODES).map_err(|error| failed(path, error))
}

fn random(file: &Path) -> Result<Secret, AgentError> {
    let mut key = Secret([0; netstate::KEY_BYTES]);
    // 32 bytes are never given in part (getrandom(2)).
    getrandom(&mut key.0, GetRandomFlags::empty()).map_err(|e| failed(file, e.into()))?;
    Ok(clamped(key))
}

/// As the kernel keeps it (RFC 7748, section 5): what is read back must be what was written.
fn clamped(Secret(mut bytes): Secret) -> Secret {
    let [first, .., last] = &mut bytes;
    *first &= 248;
    *last = *last & 127 | 64;
    Secret(bytes)
}

fn failed(path: &Path, source: io::Error) -> AgentError {
    AgentError::Key { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_outlives_either_file() {
        let dir = tempfile::tempdir().unwrap();
        let (file, copy) = (dir.path().join("run/wgkey"), dir.path().join("lib/wgkey"));
        let chosen = || choose(&mut Kernel::open(None), &file, &copy, &[]).unwrap();
        let first = chosen();
        assert_eq!((first.0[0] & 7, first.0[31] & 0xc0), (0, 0x40), "clamped");
        for path in [&file, &copy] {
            assert_eq!(std::fs::read_to_string(path).unwrap().len(), 44);
            let mode = std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
            std::fs::remove_file(path).unwrap();
            assert_eq!(chosen(), first);
        }
    }

    #[test]
    fn the_key_of_overlays_is_made_once_and_anew_where_its_file_was_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lib/overlay-wgkey");
        let first = own(&file).unwrap();
        assert_eq!(own(&file).unwrap(), first);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        std::fs::remove_file(&file).unwrap();
        assert_ne!(own(&file).unwrap(), first);
        std::fs::write(&file, "not a key").unwrap();
        assert!(own(&file).unwrap_err().to_string().contains("overlay-wgkey"));
    }

    #[test]
    fn flannel_s_key_is_taken_and_what_is_none_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (file, copy) = (dir.path().join("wgkey"), dir.path().join("copy"));
        let key = clamped(Secret([5; 32]));
        std::fs::write(&file, key.to_base64()).unwrap();
        assert_eq!(choose(&mut Kernel::open(None), &file, &copy, &[]).unwrap(), key);
        std::fs::write(&file, "not a key").unwrap();
        let refused = choose(&mut Kernel::open(None), &file, &copy, &[]).unwrap_err();
        assert!(refused.to_string().contains("wgkey"), "{refused}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a key");
    }
}
