//! The attachments that the cache or a record knows of, each once.

use std::collections::BTreeMap;
use std::path::Path;

use attach::{Record, Store};
use cni::runtime::{AttachmentKey, CachedAttachment, Runtime};
use cni::{Code, Error};

/// An attachment, and who knows of it.
#[derive(Clone, Debug)]
pub struct Known {
    /// What names it.
    pub key: AttachmentKey,
    /// What libcni's cache has of it.
    pub cached: Option<CachedAttachment>,
    /// The records of this project's plugins, one for each that has a part in it.
    pub records: Vec<Record>,
}

impl Known {
    /// The path its namespace was given by.
    #[must_use]
    pub fn netns(&self) -> Option<&Path> {
        let cached = self.cached.as_ref().and_then(|c| c.container.netns.as_deref());
        let recorded = || self.records.iter().find_map(|r| r.netns.as_ref());
        cached.or_else(|| recorded().map(|namespace| namespace.path.as_path()))
    }

    /// What is known of it by now. Something broken counts as not there.
    pub(super) fn again(self, runtime: &Runtime, store: &Store) -> Self {
        let records = self.records.iter();
        let records = records.filter_map(|r| store.get(&r.owner, &r.plugin).ok().flatten());
        Self { cached: runtime.attachment(&self.key), records: records.collect(), key: self.key }
    }

    fn new(key: AttachmentKey) -> Self {
        Self { key, cached: None, records: Vec::new() }
    }
}

/// All known attachments of a network, or of all, in order of their names; and the records that
/// cannot be read.
///
/// # Errors
/// Code 5 where a directory cannot be read.
pub(super) fn known(
    runtime: &Runtime,
    store: &Store,
    network: Option<&str>,
) -> Result<(Vec<Known>, Vec<Error>), Error> {
    let failed = |error: attach::Error| Error::caused_by(Code::Io, &error);
    let mut all = BTreeMap::new();
    let mut unreadable = Vec::new();
    for record in store.list(network, None).map_err(failed)? {
        match record {
            Ok(record) => entry(&mut all, key(&record)).records.push(record),
            Err(error) => unreadable.push(failed(error)),
        }
    }
    for cached in runtime.attachments()? {
        if network.is_none_or(|name| name == cached.network) {
            let key = cached.key();
            entry(&mut all, key).cached = Some(cached);
        }
    }
    Ok((all.into_values().collect(), unreadable))
}

fn entry(all: &mut BTreeMap<AttachmentKey, Known>, key: AttachmentKey) -> &mut Known {
    all.entry(key.clone()).or_insert_with(|| Known::new(key))
}

fn key(record: &Record) -> AttachmentKey {
    AttachmentKey {
        network: record.owner.network.clone(),
        container_id: record.owner.container_id.clone(),
        ifname: record.owner.ifname.clone(),
    }
}
