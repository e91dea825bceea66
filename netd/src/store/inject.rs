//! Stores of which a write can be made to fail, or the process to die at it, for the kill-safety
//! tests. Compiled in with feature `inject` only, which no release is built with.

use std::future::Future;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use kernel::inject::{Kind, next};
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::{
    Entry, Error, Event, Fault, Listing, Outcome, Position, Session, Store, TimeToLive, Txn,
};

/// No space left on device, which stands for a store that is full.
const ENOSPC: i32 = 28;

/// A store whose writes have a place before they are sent, and one before the answer is read.
#[derive(Debug)]
pub(crate) struct Injected(pub(crate) Arc<dyn Store>);

async fn write<T>(
    action: impl Fn() -> String,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    if let Some(errno) = next(Kind::Request, false) {
        return Err(Error::new(action(), fault(errno)));
    }
    let done = call.await?;
    match next(Kind::Answer, false) {
        Some(errno) => Err(Error::new(action(), fault(errno))),
        None => Ok(done),
    }
}

fn fault(errno: i32) -> Fault {
    let text = "injected failure".to_owned();
    if errno == ENOSPC { Fault::Refused(text) } else { Fault::Unreachable(text) }
}

#[async_trait]
impl Store for Injected {
    async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        self.0.list(prefix).await
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.0.get(key).await
    }

    async fn txn(&self, txn: Txn) -> Result<Outcome, Error> {
        let action = txn.action();
        write(|| action.clone(), self.0.txn(txn)).await
    }

    fn watch(&self, prefix: &str, after: Position) -> BoxStream<'static, Result<Event, Error>> {
        self.0.watch(prefix, after)
    }

    async fn grant(&self, time_to_live: Duration) -> Result<Session, Error> {
        write(|| "begin a lease".to_owned(), self.0.grant(time_to_live)).await
    }

    async fn keep_alive(&self, session: Session) -> Result<(), Error> {
        write(|| format!("keep lease {session} alive"), self.0.keep_alive(session)).await
    }

    async fn time_to_live(&self, session: Session) -> Result<Option<TimeToLive>, Error> {
        self.0.time_to_live(session).await
    }

    async fn revoke(&self, session: Session) -> Result<(), Error> {
        write(|| format!("end lease {session}"), self.0.revoke(session)).await
    }

    fn reconnect(&self) {
        self.0.reconnect();
    }
}

/// The file of a host's own store. Each write of bytes or of the length, and each wait for the
/// disk, is a place.
#[derive(Debug)]
pub(crate) struct InjectedFile(FileBackend);

impl InjectedFile {
    /// On an open file.
    pub(crate) fn new(file: std::fs::File) -> Result<Self, redb::DatabaseError> {
        FileBackend::new(file).map(Self)
    }
}

/// What is written counts once it is waited for: before, redb has what it had.
fn disk(is_sync: bool) -> io::Result<()> {
    next(Kind::Disk, !is_sync).map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
}

impl StorageBackend for InjectedFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        disk(false)?;
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        disk(true)?;
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        disk(false)?;
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}
