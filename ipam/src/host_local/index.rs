//! The index: a file from which an operation learns what it needs without reading all others.
//!
//! `.netd-index` is a header and two [`Table`]s. It is a copy of what the directory says, and may
//! be removed at any time. The reference knows nothing of it (to it, a file whose name is not an
//! address), so the question is when it may be trusted: when nobody has created or removed a
//! file since it was written. The directory's time of last change tells, but not by itself:
//! before Linux 6.13 that clock ticks every 1 to 10 ms, and a change of the reference within the
//! tick of ours would go unseen.
//!
//! So the time is not only read, it is set. The last step of every change, still under the
//! lock, sets the directory's time to [`PAST`] seconds ago, a full second, and the header holds
//! this same value. Any later change by anyone makes it the present again, which is not it: the
//! index is valid if and only if the directory's time is the header's. Granularity
//! does not matter, down to file systems that keep full seconds.
//!
//! * Killed at any point: the order is files, tables, header, time. From the first changed file
//!   on, the directory's time is the present, until the last step. A file that is rewritten
//!   while the time still fits is forestalled by [`distrust`].
//! * Power loss may keep the header and lose blocks of a table: the header holds the kernel's boot
//!   id.
//! * A directory that was copied or restored: the header holds its inode number.
//! * The time cannot be set (not our directory), no space, no `/proc`: the index is never valid,
//!   and every operation reads all files, as the reference does.
//! * Edited by hand, without a file created or removed: what the index says of an owner is
//!   checked against the one file it names, and an address is taken by creating its file.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::directory::{Directory, Stamp};
use super::ledger::Pointer;
use super::pages::Page;
use super::table::{Table, write_all_at};

/// The file's name.
pub(super) const NAME: &str = ".netd-index";

/// How far back, in seconds, the directory's time is set. More than the coarsest clock of a file
/// system, less than anyone would wonder about.
const PAST: u64 = 10;

/// First bytes of the header: format and version.
const MAGIC: [u8; 8] = *b"netdidx1";
/// Bytes of the header; the pages follow, and then the pointers.
const HEADER_BYTES: usize = 128;
const TABLES_OFFSET: u64 = 128;

/// A boot id's text, `/proc/sys/kernel/random/boot_id` without the line break.
type BootId = [u8; 36];

/// What the index holds.
#[derive(Debug)]
pub(super) struct Tables {
    /// Who has which addresses.
    pub(super) pointers: Table<Pointer>,
    /// Which addresses are taken.
    pub(super) pages: Table<Page>,
}

/// The tables, if they may be trusted.
pub(super) fn load(dir: &Directory) -> Option<Tables> {
    let file = dir.open_at(NAME, OFlags::RDWR | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    let mut bytes = [0; HEADER_BYTES];
    let count = rustix::io::pread(&file, &mut bytes, 0).ok()?;
    let header = Header::decode(bytes.get(..count)?)?;
    if header.stamp != dir.found() || header.boot != boot_id()? {
        return None;
    }
    let file = Rc::new(file);
    let [pages, pointers] = [header.pages, header.pointers];
    let pages = Table::load(Rc::clone(&file), TABLES_OFFSET, pages.blocks, pages.used)?;
    let offset = TABLES_OFFSET.checked_add(pages.bytes())?;
    let pointers = Table::load(file, offset, pointers.blocks, pointers.used)?;
    Some(Tables { pointers, pages })
}

/// Makes the index on disk invalid before it is rewritten without a change of the directory.
pub(super) fn distrust(dir: &Directory) -> io::Result<()> {
    Ok(dir.set_changed(None)?)
}

/// Writes the tables down as the truth about the directory as it is now.
///
/// # Errors
/// The index is not valid then.
pub(super) fn save(dir: &Directory, tables: &mut Tables) -> io::Result<()> {
    let boot = boot_id().ok_or(io::ErrorKind::Unsupported)?;
    let Tables { pointers, pages } = tables;
    let file = match (pages.source(), pointers.source()) {
        (Some(file), Some(_)) => file,
        (_, _) => {
            // One of them is new or has grown: both are written anew.
            pages.detach()?;
            pointers.detach()?;
            let file = create(dir)?;
            rustix::fs::ftruncate(&file, 0)?;
            let end = TABLES_OFFSET.saturating_add(pages.bytes()).saturating_add(pointers.bytes());
            rustix::fs::ftruncate(&file, end)?;
            Rc::new(file)
        }
    };
    pages.write(&file, TABLES_OFFSET)?;
    pointers.write(&file, TABLES_OFFSET.saturating_add(pages.bytes()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = i64::try_from(now.saturating_sub(PAST)).map_err(io::Error::other)?;
    let header = Header {
        boot,
        stamp: Stamp { inode: dir.found().inode, seconds, nanoseconds: 0 },
        pages: Size { blocks: pages.blocks(), used: pages.used() },
        pointers: Size { blocks: pointers.blocks(), used: pointers.used() },
    };
    write_all_at(&file, &header.encode(), 0)?;
    Ok(dir.set_changed(Some(seconds))?)
}

fn create(dir: &Directory) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW;
    dir.open_at(NAME, flags, Mode::from_raw_mode(0o600))
}

struct Header {
    boot: BootId,
    stamp: Stamp,
    pages: Size,
    pointers: Size,
}

struct Size {
    blocks: u64,
    used: u64,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(self.boot);
        bytes.extend(self.stamp.inode.to_le_bytes());
        bytes.extend(self.stamp.seconds.to_le_bytes());
        bytes.extend(self.stamp.nanoseconds.to_le_bytes());
        for number in [self.pages.blocks, self.pages.used, self.pointers.blocks, self.pointers.used]
        {
            bytes.extend(number.to_le_bytes());
        }
        bytes.resize(HEADER_BYTES, 0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let (boot, rest) = rest.split_first_chunk()?;
        let (inode, rest) = rest.split_first_chunk()?;
        let (seconds, rest) = rest.split_first_chunk()?;
        let (nanoseconds, rest) = rest.split_first_chunk()?;
        let (pages, rest) = Size::decode(rest)?;
        let (pointers, _) = Size::decode(rest)?;
        (*magic == MAGIC).then(|| Self {
            boot: *boot,
            stamp: Stamp {
                inode: u64::from_le_bytes(*inode),
                seconds: i64::from_le_bytes(*seconds),
                nanoseconds: u64::from_le_bytes(*nanoseconds),
            },
            pages,
            pointers,
        })
    }
}

impl Size {
    fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (blocks, rest) = bytes.split_first_chunk()?;
        let (used, rest) = rest.split_first_chunk()?;
        let size = Self { blocks: u64::from_le_bytes(*blocks), used: u64::from_le_bytes(*used) };
        Some((size, rest))
    }
}

/// The id of this boot of the kernel; read once.
fn boot_id() -> Option<BootId> {
    static ID: OnceLock<Option<BootId>> = OnceLock::new();
    *ID.get_or_init(|| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file =
            rustix::fs::open("/proc/sys/kernel/random/boot_id", flags, Mode::empty()).ok()?;
        let mut id = [0; 36];
        let count = rustix::io::read(&file, &mut id).ok()?;
        (count == id.len()).then_some(id)
    })
}
