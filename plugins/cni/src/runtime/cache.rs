//! What is kept of an attachment between ADD and DEL, in libcni's format (`cniCacheV1`).
//!
//! A file appears whole or not at all: it is written beside the directory that libcni lists, and
//! moved there. DEL never fails because of what is in it.

use super::{AttachmentKey, Container, NetworkList, Runtime};
use crate::error::Error;
use crate::json::{self, Value};
use crate::result::AddResult;
use crate::version::Version;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

const KIND: &str = "cniCacheV1";

/// An attachment as the cache knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedAttachment {
    /// The network's name.
    pub network: String,
    /// The container as it was given to ADD.
    pub container: Container,
    /// The network list as it was at ADD.
    pub config: Vec<u8>,
    /// The chain's result, if it is there.
    pub result: Option<Value>,
}

impl CachedAttachment {
    /// What names it.
    #[must_use]
    pub fn key(&self) -> AttachmentKey {
        AttachmentKey::new(&self.network, &self.container)
    }
}

/// The file's content, in libcni's order of keys.
#[derive(Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    kind: String,
    container_id: String,
    config: String,
    if_name: String,
    network_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    netns: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cni_args: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capability_args: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
}

impl Runtime {
    /// Every attachment in the cache, of all networks, by file name. Files of another kind, and
    /// broken ones, are passed over.
    ///
    /// # Errors
    /// Code 5 when the directory cannot be read.
    pub fn attachments(&self) -> Result<Vec<CachedAttachment>, Error> {
        let dir = self.results_dir();
        let failed = |error: io::Error| Error::io(format!("read {}: {error}", dir.display()));
        let entries = match std::fs::read_dir(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut files = Vec::new();
        for entry in entries {
            files.push(entry.map_err(failed)?.path());
        }
        files.sort();
        let whole = files.iter().filter_map(|file| parse(&std::fs::read(file).ok()?));
        Ok(whole.filter(|found| !found.network.is_empty()).collect())
    }

    /// What the cache has of one attachment; `None` when there is nothing readable.
    #[must_use]
    pub fn attachment(&self, key: &AttachmentKey) -> Option<CachedAttachment> {
        parse(&std::fs::read(self.file(key)).ok()?)
    }

    /// Whether there is anything in the cache of an attachment, readable or not.
    pub(super) fn is_kept(&self, key: &AttachmentKey) -> bool {
        self.file(key).exists()
    }

    /// The result of an attachment's ADD, in a plain file of old libcni too.
    pub(super) fn cached_result(&self, key: &AttachmentKey, version: Version) -> Option<AddResult> {
        let bytes = std::fs::read(self.file(key)).ok()?;
        let result = match parse(&bytes) {
            Some(attachment) => attachment.result?,
            None => json::parse(&bytes).ok()?,
        };
        AddResult::decode(&result, version).ok()
    }

    /// Keeps an attachment.
    pub(super) fn keep(
        &self,
        list: &NetworkList,
        container: &Container,
        result: &Value,
    ) -> Result<(), Error> {
        let key = AttachmentKey::new(&list.name, container);
        let capability_args = Some(container.capability_args.clone().sorted());
        let wire = Wire {
            kind: KIND.to_owned(),
            container_id: key.container_id.clone(),
            config: STANDARD.encode(&list.bytes),
            if_name: key.ifname.clone(),
            network_name: key.network.clone(),
            netns: container.netns.as_ref().map(|p| p.display().to_string()).unwrap_or_default(),
            cni_args: container.args.clone(),
            capability_args: capability_args.filter(|args| !args.is_empty()).map(Value::Object),
            result: Some(sorted(result)),
        };
        let file = self.file(&key);
        let failed = |error: io::Error| Error::io(format!("write {}: {error}", file.display()));
        let text = serde_json::to_string(&wire).map_err(|error| failed(error.into()))?;
        self.write(&key, text.as_bytes()).map_err(failed)
    }

    fn write(&self, key: &AttachmentKey, bytes: &[u8]) -> io::Result<()> {
        make_dir(self.results_dir())?;
        let part = self.part_file(key);
        let mut open = OpenOptions::new();
        let written = open
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| std::fs::rename(&part, self.file(key)));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = std::fs::remove_file(&part);
        }
        written
    }

    /// Drops an attachment; one that is not there is fine.
    pub(super) fn forget(&self, key: &AttachmentKey) -> Result<(), Error> {
        for file in [self.part_file(key), self.file(key)] {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::io(format!("remove {}: {error}", file.display())));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Removes what writers that were killed left behind. Nobody may be writing.
    pub(super) fn remove_parts(&self, network: &str) {
        let entries = std::fs::read_dir(&self.cache_dir).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&format!(".{network}-")) && name.ends_with(PART) {
                // It is looked at again at the next GC.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    fn results_dir(&self) -> PathBuf {
        self.cache_dir.join("results")
    }

    fn file(&self, key: &AttachmentKey) -> PathBuf {
        self.results_dir().join(key.file_name())
    }

    fn part_file(&self, key: &AttachmentKey) -> PathBuf {
        self.cache_dir.join(format!(".{}{PART}", key.file_name()))
    }
}

/// The end of the names of files that are being written.
const PART: &str = ".part";

/// Makes a directory as libcni does: for its owner only.
pub(super) fn make_dir(dir: PathBuf) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Reads a file of the cache; `None` when it is of another kind.
pub(super) fn parse(bytes: &[u8]) -> Option<CachedAttachment> {
    let wire: Wire = json::decode(&json::parse(bytes).ok()?).ok()?;
    if wire.kind != KIND {
        return None;
    }
    let capability_args = wire.capability_args.as_ref().and_then(Value::as_object);
    let container = Container {
        id: wire.container_id,
        netns: Some(wire.netns).filter(|netns| !netns.is_empty()).map(PathBuf::from),
        ifname: wire.if_name,
        args: wire.cni_args,
        capability_args: capability_args.cloned().unwrap_or_default(),
    };
    // A broken configuration is none: the caller has the current one.
    let config = STANDARD.decode(wire.config).unwrap_or_default();
    Some(CachedAttachment { network: wire.network_name, container, config, result: wire.result })
}

/// libcni goes through a Go map, which sorts.
fn sorted(value: &Value) -> Value {
    value.as_object().map_or_else(|| value.clone(), |object| object.clone().sorted().into())
}
