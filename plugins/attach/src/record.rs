//! Records of attachments, one file for each plugin that has a part in one.
//!
//! The files are `<root>/<network>/<container>/<ifname>:<plugin>` (an interface name cannot hold
//! a colon). A file is written aside and renamed into place, so it is whole or not there; what a
//! killed writer left aside is removed with the record. The root is on a tmpfs: after a reboot
//! there is nothing to undo, and records of another boot are void where it is not.

mod wire;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use drivers::Owner;
use netstate::nft::{Element, SetId};
use netstate::{Desired, LinkName, Ns};

use crate::Error;

/// Where records are kept.
pub const ROOT: &str = "/run/netd/attachments";

/// How often a directory may be removed by others between its making and its use.
const ATTEMPTS: usize = 64;

/// What one plugin is about to make, or has made, for an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub owner: Owner,
    /// The plugin's name.
    pub plugin: String,
    /// `/proc/sys/kernel/random/boot_id` when it was written.
    pub boot_id: String,
    /// The container's namespace.
    pub netns: Option<Namespace>,
    /// Links on the host that go with the attachment.
    pub links: Vec<LinkName>,
    /// Elements that go with the attachment.
    pub elements: Vec<(SetId, Element)>,
    /// Elements it needs and shares with others: they stay, and are restored with it.
    pub shared: Vec<(SetId, Element)>,
    /// What else the plugin wants to know when it takes the attachment away or restores it.
    pub notes: std::collections::BTreeMap<String, String>,
}

/// A network namespace: the path it was given by, and what was behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// The path.
    pub path: PathBuf,
    /// Device of the namespace file system.
    pub dev: u64,
    /// Inode: the namespace's number.
    pub ino: u64,
}

impl Record {
    /// The attachment's own part of the host, for removal, check and repair.
    #[must_use]
    pub fn elements_desired(&self) -> Desired {
        elements(&self.elements)
    }

    /// What it shares with others.
    #[must_use]
    pub fn shared_desired(&self) -> Desired {
        elements(&self.shared)
    }

    /// Takes up the elements of a desired state as the attachment's own.
    #[must_use]
    pub fn with_elements(mut self, desired: &Desired) -> Self {
        self.elements = elements_of(desired);
        self
    }

    /// Takes up the elements of a desired state as shared with others.
    #[must_use]
    pub fn with_shared(mut self, desired: &Desired) -> Self {
        self.shared = elements_of(desired);
        self
    }
}

/// The records on this host.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    boot_id: String,
}

impl Store {
    /// The records below [`ROOT`].
    ///
    /// # Errors
    /// Where the boot id cannot be read.
    pub fn open() -> Result<Self, Error> {
        let path = Path::new("/proc/sys/kernel/random/boot_id");
        let boot_id = fs::read_to_string(path).map_err(file("read", path))?;
        Ok(Self::at(PathBuf::from(ROOT), boot_id.trim().to_owned()))
    }

    /// The records below another directory, for another boot.
    #[must_use]
    pub fn at(root: PathBuf, boot_id: String) -> Self {
        Self { root, boot_id }
    }

    /// A record with nothing in it yet.
    #[must_use]
    pub fn record(&self, owner: &Owner, plugin: &str) -> Record {
        Record {
            owner: owner.clone(),
            plugin: plugin.to_owned(),
            boot_id: self.boot_id.clone(),
            netns: None,
            links: Vec::new(),
            elements: Vec::new(),
            shared: Vec::new(),
            notes: std::collections::BTreeMap::new(),
        }
    }

    /// Writes a record that must not be there.
    ///
    /// # Errors
    /// [`Error::Attached`] where it is; [`Error::File`]. Nothing is left behind.
    pub fn claim(&self, record: &Record) -> Result<(), Error> {
        let path = self.path(&record.owner, &record.plugin);
        let text = wire::encode(record);
        let aside = aside(&path);
        let written = write_aside(&aside, &text).and_then(|()| {
            rustix::fs::renameat_with(
                rustix::fs::CWD,
                &aside,
                rustix::fs::CWD,
                &path,
                rustix::fs::RenameFlags::NOREPLACE,
            )
            .map_err(io::Error::from)
        });
        written.map_err(|e| {
            let _ = fs::remove_file(&aside);
            tidy(&path);
            if e.kind() == io::ErrorKind::AlreadyExists {
                Error::Attached { owner: record.owner.clone() }
            } else {
                Error::File { action: "write", path, source: e }
            }
        })
    }

    /// Writes a record over the one that is there.
    ///
    /// # Errors
    /// [`Error::File`]; then the old one stands.
    pub fn replace(&self, record: &Record) -> Result<(), Error> {
        let path = self.path(&record.owner, &record.plugin);
        let aside = aside(&path);
        let text = wire::encode(record);
        write_aside(&aside, &text).and_then(|()| fs::rename(&aside, &path)).map_err(|e| {
            let _ = fs::remove_file(&aside);
            file("write", &path)(e)
        })
    }

    /// Reads a record; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Record`].
    pub fn get(&self, owner: &Owner, plugin: &str) -> Result<Option<Record>, Error> {
        let path = self.path(owner, plugin);
        match fs::read(&path) {
            Ok(bytes) => wire::decode(&bytes).map(Some).map_err(not_a_record(&path)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(file("read", &path)(e)),
        }
    }

    /// Removes a record, what a killed writer left beside it, and directories that are empty
    /// then. Gone already is fine.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove(&self, owner: &Owner, plugin: &str) -> Result<(), Error> {
        let path = self.path(owner, plugin);
        remove_file(&path)?;
        let Some(dir) = path.parent() else { return Ok(()) };
        let aside = aside_prefix(&path);
        for entry in entries(dir)? {
            if entry.file_name().to_string_lossy().starts_with(&aside) {
                remove_file(&entry.path())?;
            }
        }
        tidy(&path);
        Ok(())
    }

    /// Whether a record was written since this host started.
    #[must_use]
    pub fn is_of_this_boot(&self, record: &Record) -> bool {
        record.boot_id == self.boot_id
    }

    /// The records of a network, or of all, and of a plugin, or of all; in order. What cannot be
    /// read is given as an error in its place.
    ///
    /// # Errors
    /// [`Error::File`] where a directory cannot be read.
    pub fn list(
        &self,
        network: Option<&str>,
        plugin: Option<&str>,
    ) -> Result<Vec<Result<Record, Error>>, Error> {
        let mut records = Vec::new();
        for network in entries(&self.root)?.iter().filter(|e| is(network, &e.file_name())) {
            for container in entries(&network.path())? {
                for entry in entries(&container.path())? {
                    let name = entry.file_name();
                    let name = name.to_string_lossy();
                    let of = name.rsplit_once(':').map(|(_, of)| of);
                    if name.starts_with('.') || plugin.is_some_and(|p| of != Some(p)) {
                        continue;
                    }
                    let path = entry.path();
                    records.push(match fs::read(&path) {
                        Ok(bytes) => wire::decode(&bytes).map_err(not_a_record(&path)),
                        Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                        Err(e) => Err(file("read", &path)(e)),
                    });
                }
            }
        }
        Ok(records)
    }

    /// Whose a record is that could not be read, by the place it was in.
    #[must_use]
    pub fn owner_of_unreadable(&self, error: &Error) -> Option<Owner> {
        let Error::Record { path, .. } = error else { return None };
        let mut names = path.strip_prefix(&self.root).ok()?.iter().map(|name| name.to_str());
        let (network, container_id, file) = (names.next()??, names.next()??, names.next()??);
        let (ifname, _) = file.rsplit_once(':')?;
        Some(Owner {
            network: network.to_owned(),
            container_id: container_id.to_owned(),
            ifname: ifname.to_owned(),
        })
    }

    /// Removes what killed writers left aside below a network, and empty directories.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn sweep(&self, network: &str, plugin: &str) -> Result<(), Error> {
        let dir = self.root.join(network);
        let end = format!(":{plugin}");
        for container in entries(&dir)? {
            for entry in entries(&container.path())? {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.starts_with('.')
                    && name.rsplit_once('.').is_some_and(|(s, _)| s.ends_with(&end))
                {
                    remove_file(&entry.path())?;
                }
            }
            let _ = fs::remove_dir(container.path());
        }
        let _ = fs::remove_dir(dir);
        Ok(())
    }

    fn path(&self, owner: &Owner, plugin: &str) -> PathBuf {
        self.root
            .join(&owner.network)
            .join(&owner.container_id)
            .join(format!("{}:{plugin}", owner.ifname))
    }
}

/// Records of this boot whose namespace is the one they were written for. Unreadable ones are not.
///
/// # Errors
/// [`Error::File`] where a directory cannot be read.
pub fn live(store: &Store) -> Result<Vec<Record>, Error> {
    let records = store.list(None, None)?.into_iter().flatten();
    Ok(records.filter(|r| store.is_of_this_boot(r) && is_there(r.netns.as_ref())).collect())
}

/// Whether a namespace is still behind its path.
#[must_use]
pub fn is_there(namespace: Option<&Namespace>) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Some(namespace) = namespace else { return false };
    fs::metadata(&namespace.path)
        .is_ok_and(|m| (m.dev(), m.ino()) == (namespace.dev, namespace.ino))
}

fn elements(of: &[(SetId, Element)]) -> Desired {
    let mut desired = Desired::default();
    for (set, element) in of {
        desired.0.ns_mut(Ns::Host).add_element(set.clone(), element.clone());
    }
    desired
}

fn elements_of(desired: &Desired) -> Vec<(SetId, Element)> {
    let host = desired.0.ns(&Ns::Host);
    let sets = host.into_iter().flat_map(|h| &h.elements);
    sets.flat_map(|(set, of)| of.iter().map(|e| (set.clone(), e.clone()))).collect()
}

fn is(wanted: Option<&str>, name: &OsStr) -> bool {
    wanted.is_none_or(|w| name == OsStr::new(w))
}

/// `.<name>.<pid>`: a name of its own for each writer.
fn aside(path: &Path) -> PathBuf {
    path.with_file_name(format!("{}{}", aside_prefix(path), std::process::id()))
}

fn aside_prefix(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes the directories of a record where they are empty. Not empty, gone already, or about to
/// be used by another: all fine. The upper one may be left of a killed writer without the lower.
fn tidy(path: &Path) {
    for dir in path.ancestors().skip(1).take(2) {
        let _ = fs::remove_dir(dir);
    }
}

/// Writes a new file, and makes its directory only where it is missing.
fn write_aside(path: &Path, text: &[u8]) -> io::Result<()> {
    let create = || fs::OpenOptions::new().write(true).create(true).truncate(true).open(path);
    let mut made = create();
    for _ in 0..ATTEMPTS {
        // Others may remove a directory that they leave empty before it is used here.
        let Err(e) = &made else { break };
        let (io::ErrorKind::NotFound, Some(dir)) = (e.kind(), path.parent()) else { break };
        match fs::create_dir_all(dir) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => made = create(),
        }
    }
    made?.write_all(text)
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(file("remove", path)(e)),
        _ => Ok(()),
    }
}

/// The entries of a directory in order of name; none where it is not there.
fn entries(dir: &Path) -> Result<Vec<fs::DirEntry>, Error> {
    let found = match fs::read_dir(dir) {
        Ok(found) => found.collect::<io::Result<Vec<_>>>().map_err(file("read", dir))?,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Vec::new()
        }
        Err(e) => return Err(file("read", dir)(e)),
    };
    let mut found = found;
    found.sort_by_key(fs::DirEntry::file_name);
    Ok(found)
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}

fn not_a_record(path: &Path) -> impl FnOnce(serde_json::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Record { path, source }
}

#[cfg(test)]
mod tests;
