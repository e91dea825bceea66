//! The file, which is made as a whole, and opened again where the disk has failed.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use netd_api::file::draft;
use redb::Database;

use super::Failure;
use super::feed::Feed;
use super::tables::Writing;

/// The file, and what is known without reading it.
pub(super) struct State {
    /// `None` where it is to be opened first: the disk has failed.
    database: Option<Database>,
    pub(super) feed: Feed,
}

impl State {
    /// Opens the file, or makes it: one that a killed process had half made would pass for damaged.
    pub(super) fn open(path: &Path) -> Result<Self, redb::Error> {
        if !path.try_exists()? {
            make(path)?;
        }
        let database = database(path)?;
        let feed = begin(&database)?;
        Ok(Self { database: Some(database), feed })
    }

    pub(super) fn is_to_be_opened(&self) -> bool {
        self.database.is_none()
    }

    /// Does something with the file. After an error of the disk redb does nothing more until the file
    /// is opened anew.
    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&Database, &mut Feed) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(database) = self.database.take() else {
            return Err(redb::Error::DatabaseClosed.into());
        };
        let done = work(&database, &mut self.feed);
        if !matches!(done, Err(Failure::File(redb::Error::Io(_) | redb::Error::PreviousIo))) {
            self.database = Some(database);
        }
        done
    }
}

/// Under the name of a draft, which the next process overwrites.
fn make(path: &Path) -> Result<(), redb::Error> {
    let draft = draft(path);
    remove(&draft)?;
    let made = fill(&draft).and_then(|()| Ok(std::fs::rename(&draft, path)?));
    if made.is_err() {
        // The first error is the one to tell.
        let _ = remove(&draft);
    }
    made?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    Ok(File::open(dir.unwrap_or(Path::new(".")))?.sync_all()?)
}

fn fill(path: &Path) -> Result<(), redb::Error> {
    let database = database(path)?;
    begin(&database)?;
    Ok(database.close()?)
}

/// Makes the tables where they are not there.
fn begin(database: &Database) -> Result<Feed, redb::Error> {
    let mut writing = Writing::begin(database)?;
    let history = writing.history()?;
    let (revision, next) = writing.state()?;
    writing.commit()?;
    Ok(Feed::new(history, revision, next))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Every page is looked at: of a damaged one redb would make a panic later, which ends the process.
fn database(path: &Path) -> Result<Database, redb::DatabaseError> {
    let mut builder = Database::builder();
    builder.set_check_integrity_on_open(true);
    #[cfg(feature = "inject")]
    return builder.create_with_backend(crate::store::inject::InjectedFile::new(open(path)?)?);
    #[cfg(not(feature = "inject"))]
    builder.create_with_backend(redb::backends::FileBackend::new(open(path)?)?)
}

/// Labels and options are nobody's but root's.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
