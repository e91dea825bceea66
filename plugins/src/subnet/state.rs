//! What the delegate was told at ADD, on disk, until DEL.
//!
//! `<dataDir>/<container>:<network>:<interface>` is ours; no name has a colon in it. The reference
//! plugin has one file for each container, `<dataDir>/<container>`, with the same content, and
//! networks overwrite each other's. Its files are honoured; and the first of our files of a
//! container has that name as well (a link), so that the reference plugin would find it.
//!
//! Files come and go as a whole. None is forced to the disk: when power fails the containers are
//! gone too, and the reservation of an address is not forced either.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cni::{Attachment, Error, Request, json};

/// Where one attachment's file is.
pub(super) struct State {
    own: PathBuf,
    reference: PathBuf,
    network: String,
}

/// A file that was found.
pub(super) struct Kept {
    pub(super) bytes: Vec<u8>,
    pub(super) path: PathBuf,
    /// Whether the reference plugin has written it.
    pub(super) by_reference: bool,
}

impl State {
    pub(super) fn of(dir: &Path, request: &Request) -> Self {
        let Request { container_id, ifname, conf, .. } = request;
        Self {
            own: dir.join(format!("{container_id}:{}:{ifname}", conf.name)),
            reference: dir.join(container_id),
            network: conf.name.clone(),
        }
    }

    /// What is kept of the attachment, by us or by the reference plugin.
    pub(super) fn read(&self) -> Result<Option<Kept>, Error> {
        if let Some(bytes) = read(&self.own)? {
            return Ok(Some(Kept { bytes, path: self.own.clone(), by_reference: false }));
        }
        let kept = |bytes| Kept { bytes, path: self.reference.clone(), by_reference: true };
        Ok(self.read_reference()?.map(kept))
    }

    /// Keeps the delegate's configuration.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let failed = |e: io::Error| Error::io(format!("write {}: {e}", self.own.display()));
        self.unlink_from_reference()?;
        let draft = netd_api::file::draft(&self.own);
        let written = write(&draft, bytes).and_then(|()| fs::rename(&draft, &self.own));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_file(&draft);
        }
        written.map_err(failed)?;
        // It is the reference's name only: another network of the container may have it, and a
        // file system may have no links.
        let _ = fs::hard_link(&self.own, &self.reference);
        Ok(())
    }

    /// Puts back what was found before.
    pub(super) fn restore(&self, before: &Kept) -> Result<(), Error> {
        if before.by_reference { self.remove_own() } else { self.write(&before.bytes) }
    }

    /// Forgets the attachment.
    pub(super) fn remove(&self) -> Result<(), Error> {
        if metadata(&self.own)?.is_some() {
            return self.remove_own();
        }
        if self.read_reference()?.is_some() {
            remove(&self.reference)?;
        }
        remove(&netd_api::file::draft(&self.own))
    }

    /// Ours goes last: whoever finds it after a death finishes the work.
    fn remove_own(&self) -> Result<(), Error> {
        self.unlink_from_reference()?;
        remove(&netd_api::file::draft(&self.own))?;
        remove(&self.own)
    }

    /// The reference plugin's file, where it is of this network; one that cannot be read is of any.
    fn read_reference(&self) -> Result<Option<Vec<u8>>, Error> {
        if metadata(&self.reference)?.is_none_or(|found| !is_references(&found)) {
            return Ok(None);
        }
        let bytes = read(&self.reference)?;
        Ok(bytes.filter(|bytes| network_of(bytes).is_none_or(|name| name == self.network)))
    }

    /// Removes the reference's name for our file.
    fn unlink_from_reference(&self) -> Result<(), Error> {
        let (Some(own), Some(other)) = (metadata(&self.own)?, metadata(&self.reference)?) else {
            return Ok(());
        };
        if (own.dev(), own.ino()) == (other.dev(), other.ino()) {
            remove(&self.reference)?;
        }
        Ok(())
    }
}

/// The attachments to a network that are kept but not valid. Their drafts are removed.
///
/// Of the reference's files the interface is not known: a container's is valid while any of the
/// container's is, and else it is taken for `eth0`, as it is with every runtime.
pub(super) fn list(
    dir: &Path,
    network: &str,
    valid: &BTreeSet<&Attachment>,
) -> Result<Vec<Attachment>, Error> {
    let failed = |e: io::Error| Error::io(format!("read {}: {e}", dir.display()));
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let draft = name.strip_prefix('.').and_then(|name| name.strip_suffix(".new"));
        let parts: Vec<&str> = draft.unwrap_or(&name).split(':').collect();
        match parts.as_slice() {
            [id, of, ifname] if *of == network => {
                let of = Attachment { container_id: (*id).into(), ifname: (*ifname).into() };
                match draft {
                    _ if valid.contains(&of) => {}
                    // Its writer was killed before anything was made.
                    Some(_) => remove(&entry.path())?,
                    None => drop(found.insert(of)),
                }
            }
            [id] if !valid.iter().any(|valid| valid.container_id == *id)
                && is_references_of(&dir.join(id), network)? =>
            {
                found.insert(Attachment { container_id: (*id).into(), ifname: "eth0".into() });
            }
            _ => {}
        }
    }
    Ok(found.into_iter().collect())
}

fn is_references_of(path: &Path, network: &str) -> Result<bool, Error> {
    if metadata(path)?.is_none_or(|found| !is_references(&found)) {
        return Ok(false);
    }
    let name = read(path)?.and_then(|bytes| network_of(&bytes));
    Ok(name.is_some_and(|name| name == network))
}

/// Ours have two names.
fn is_references(found: &Metadata) -> bool {
    found.is_file() && found.nlink() == 1
}

fn network_of(bytes: &[u8]) -> Option<String> {
    let conf = json::parse(bytes).ok()?;
    Some(conf.field("name")?.as_str()?.to_owned())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let create =
        || OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = create();
    if let (Err(e), Some(dir)) = (&file, path.parent())
        && e.kind() == ErrorKind::NotFound
    {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        file = create();
    }
    file?.write_all(bytes)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    there(path, "read", fs::read(path))
}

fn metadata(path: &Path) -> Result<Option<Metadata>, Error> {
    there(path, "inspect", fs::symlink_metadata(path))
}

fn remove(path: &Path) -> Result<(), Error> {
    there(path, "remove", fs::remove_file(path)).map(drop)
}

/// What is not there is none.
fn there<T>(path: &Path, action: &str, done: io::Result<T>) -> Result<Option<T>, Error> {
    match done {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(format!("{action} {}: {e}", path.display()))),
    }
}
