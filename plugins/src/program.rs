//! From the name the program is called by to a plugin.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;

use crate::registry;

/// Acts as the plugin named by the last part of the first argument.
///
/// Called by another name it lists the plugins on stderr and exits with 2.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let called = args.into_iter().next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(plugin) = registry::find(&name) {
        return cni::skel::run(plugin);
    }
    let names: Vec<&str> = registry::PLUGINS.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(
        std::io::stderr(),
        "{name:?} is not a plugin: install this program under the name of one of: {}",
        names.join(", ")
    );
    ExitCode::from(2)
}

/// How much of a program is looked at: headers and notes are at its beginning.
const HEAD: usize = 1024;

/// Whether a file is this very program: a whole one with the same build id (the linker's digest over
/// the program, in an ELF note). Then it can be called without a process.
pub(crate) fn is_this(path: &Path) -> bool {
    let Ok(other) = File::open(path) else { return false };
    let Ok(metadata) = other.metadata() else { return false };
    let mut head = [0u8; HEAD];
    let Ok(len) = other.read_at(&mut head, 0) else { return false };
    let head = head.get(..len).unwrap_or_default();
    size(head) == Some(metadata.len())
        && matches!((build_id(own_head()), build_id(head)), (Some(a), Some(b)) if a == b)
}

/// Of this program as it runs, without a way through `/proc`.
fn own_head() -> &'static [u8] {
    #[expect(unsafe_code, reason = "the linker's symbol has no safe name")]
    // SAFETY: GNU ld and lld put `__ehdr_start` where the file's beginning is loaded, if it is; it is
    // loaded read-only and in whole pages.
    unsafe {
        unsafe extern "C" {
            static __ehdr_start: [u8; HEAD];
        }
        &__ehdr_start
    }
}

/// The size of a whole ELF file, whose last part is its table of sections.
fn size(head: &[u8]) -> Option<u64> {
    number(head, 40, 8)?.checked_add(number(head, 58, 2)? * number(head, 60, 2)?)
}

/// The NT_GNU_BUILD_ID note of a 64-bit little-endian ELF file, where it lies in its head.
fn build_id(head: &[u8]) -> Option<&[u8]> {
    if head.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let at = usize::try_from(number(head, 32, 8)?).ok()?;
    let size = usize::try_from(number(head, 54, 2)?).ok()?;
    let count = usize::try_from(number(head, 56, 2)?).ok()?;
    (0..count).find_map(|i| {
        let entry = head.get(at + i * size..)?;
        const PT_NOTE: u64 = 4;
        if number(entry, 0, 4)? != PT_NOTE {
            return None;
        }
        let start = usize::try_from(number(entry, 8, 8)?).ok()?;
        let len = usize::try_from(number(entry, 32, 8)?).ok()?;
        gnu_note(head.get(start..start.checked_add(len)?)?)
    })
}

fn gnu_note(mut notes: &[u8]) -> Option<&[u8]> {
    const NT_GNU_BUILD_ID: u64 = 3;
    loop {
        let name_len = usize::try_from(number(notes, 0, 4)?).ok()?;
        let id_len = usize::try_from(number(notes, 4, 4)?).ok()?;
        let kind = number(notes, 8, 4)?;
        let id_at = 12 + name_len.next_multiple_of(4);
        if kind == NT_GNU_BUILD_ID && notes.get(12..12 + name_len)? == b"GNU\0" {
            return notes.get(id_at..id_at + id_len);
        }
        notes = notes.get(id_at + id_len.next_multiple_of(4)..)?;
    }
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + len)?;
    Some(bytes.iter().rev().fold(0, |n, b| (n << 8) | u64::from(*b)))
}

#[cfg(test)]
mod tests;
