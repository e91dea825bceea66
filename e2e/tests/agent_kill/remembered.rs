//! What the agent keeps on its host, read from its file by redb itself.

use std::path::Path;

use anyhow::{Context as _, Result};
use redb::backends::InMemoryBackend;
use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, StorageBackend as _, TableDefinition,
};

/// By key: revision of creation, of the last change, session or 0, value.
const ENTRIES: TableDefinition<'_, &str, (i64, i64, i64, &[u8])> = TableDefinition::new("entries");

/// Keys and values, in order; none where there is no such file.
///
/// # Errors
///
/// Where a part of it is old and another new, because an agent writes it meanwhile.
pub(crate) fn read(file: &Path) -> Result<Vec<(String, String)>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    // A copy: opened, it is put in order.
    let copy = InMemoryBackend::new();
    let bytes = std::fs::read(file)?;
    copy.set_len(u64::try_from(bytes.len())?)?;
    copy.write(0, &bytes)?;
    let mut builder = Database::builder();
    builder.set_check_integrity_on_open(true);
    let database = builder.create_with_backend(copy).context("the agent's file")?;
    let mut entries = Vec::new();
    for entry in database.begin_read()?.open_table(ENTRIES)?.iter()? {
        let (key, stored) = entry?;
        let value = String::from_utf8_lossy(stored.value().3).into_owned();
        entries.push((key.value().to_owned(), value));
    }
    Ok(entries)
}
