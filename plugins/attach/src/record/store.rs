//! Where records are and how they get there.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use drivers::Owner;

use super::{ROOT, Record, wire};
use crate::Error;

/// How often a directory may be removed by others between its making and its use.
const ATTEMPTS: usize = 64;

/// The name of this run of the kernel (random(4)): 36 characters.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

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
        let boot_id = boot_id().map_err(file("read", Path::new(BOOT_ID)))?;
        Ok(Self::at(PathBuf::from(ROOT), boot_id))
    }

    /// The records below another directory, for another boot.
    #[must_use]
    pub fn at(root: PathBuf, boot_id: String) -> Self {
        Self { root, boot_id }
    }

    /// This run of the kernel.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.boot_id
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
            let _ = tidy(&path);
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
        tidy(&path)
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

    /// Whether there is any plugin's record of an attachment.
    #[must_use]
    pub fn has_any(&self, owner: &Owner) -> bool {
        let path = self.path(owner, "");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let there = path.parent().and_then(|dir| entries(dir).ok()).unwrap_or_default();
        there.iter().any(|entry| entry.file_name().to_string_lossy().starts_with(&name))
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
            remove_if_empty(&container.path())?;
        }
        remove_if_empty(&dir)
    }

    fn path(&self, owner: &Owner, plugin: &str) -> PathBuf {
        self.root
            .join(&owner.network)
            .join(&owner.container_id)
            .join(format!("{}:{plugin}", owner.ifname))
    }
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

/// Removes the directories of a record where they are empty. The upper one may be left of a killed
/// writer without the lower.
fn tidy(path: &Path) -> Result<(), Error> {
    path.ancestors().skip(1).take(2).try_for_each(remove_if_empty)
}

/// Not empty, gone already, or about to be used by another: all fine.
fn remove_if_empty(dir: &Path) -> Result<(), Error> {
    use io::ErrorKind::{DirectoryNotEmpty, NotADirectory, NotFound};
    match fs::remove_dir(dir) {
        Err(e) if !matches!(e.kind(), DirectoryNotEmpty | NotADirectory | NotFound) => {
            Err(file("remove", dir)(e))
        }
        _ => Ok(()),
    }
}

/// In three system calls: every call of a plugin asks for it.
fn boot_id() -> io::Result<String> {
    use rustix::fs::{Mode, OFlags, open};
    let file = open(BOOT_ID, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = [0; 64];
    let read = rustix::io::read(&file, &mut text)?;
    let text = String::from_utf8_lossy(text.get(..read).unwrap_or_default());
    Ok(text.trim().to_owned())
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
