//! A block of a table, in memory and in its file.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::retry_on_intr;

use super::Record;

/// Where blocks come from that are not loaded yet; without it they are empty.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: Rc<OwnedFd>,
    pub(super) offset: u64,
}

/// Records that are read and written as a whole.
#[derive(Debug)]
pub(super) struct Block<R> {
    pub(super) records: Vec<R>,
    pub(super) dirty: bool,
}

impl<R: Record> Block<R> {
    /// Reads one from its file.
    pub(super) fn read(source: &Source, number: u64) -> io::Result<Self> {
        let start = block_offset::<R>(source.offset, number);
        let mut bytes = vec![0; block_bytes::<R>()];
        let mut filled = 0;
        while filled < bytes.len() {
            let rest = bytes.get_mut(filled..).ok_or_else(damaged)?;
            let at = start.saturating_add(as_u64(filled));
            match retry_on_intr(|| rustix::io::pread(&*source.file, &mut *rest, at))? {
                0 => return Err(damaged()),
                count => filled += count,
            }
        }
        let records = bytes.chunks_exact(R::BYTES).map(R::decode).collect::<Option<_>>();
        Ok(Self { records: records.ok_or_else(damaged)?, dirty: false })
    }
}

/// Writes all of `bytes` at `offset` of `file`.
pub(in super::super) fn write_all_at(
    file: &OwnedFd,
    mut bytes: &[u8],
    mut offset: u64,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = retry_on_intr(|| rustix::io::pwrite(file, bytes, offset))?;
        bytes = bytes.get(count..).unwrap_or_default();
        offset = offset.saturating_add(as_u64(count));
    }
    Ok(())
}

/// The file does not hold what its header says.
pub(in super::super) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the index is damaged")
}

pub(super) fn block_bytes<R: Record>() -> usize {
    R::BYTES * R::PER_BLOCK
}

pub(super) fn block_offset<R: Record>(table: u64, number: u64) -> u64 {
    table.saturating_add(number.saturating_mul(as_u64(block_bytes::<R>())))
}

pub(super) fn as_u64(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
