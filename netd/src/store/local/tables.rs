//! The tables of the file.

use std::time::Duration;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use crate::store::random;
use crate::store::{Change, Condition, Entry, Expected, Revision, Session, Target, Write};

/// By key: revision of creation, of the last change, session or 0, value.
type Stored<'a> = (i64, i64, i64, &'a [u8]);
const ENTRIES: TableDefinition<'_, &str, Stored<'_>> = TableDefinition::new("entries");
/// By number: time to live and end, in milliseconds, the end since 1970.
const SESSIONS: TableDefinition<'_, i64, (u64, u64)> = TableDefinition::new("sessions");
/// The store's revision, and the number of the last session.
const COUNTERS: TableDefinition<'_, &str, i64> = TableDefinition::new("counters");
const REVISION: &str = "revision";
const SESSION: &str = "session";
const HISTORY: &str = "history";

/// A write transaction; dropped without a commit it did nothing.
pub(super) struct Writing {
    txn: WriteTransaction,
    /// The revision of what is written here, once something is.
    revision: Option<Revision>,
    changes: Vec<Change>,
}

impl Writing {
    pub(super) fn begin(database: &Database) -> Result<Self, redb::Error> {
        let txn = database.begin_write()?;
        txn.open_table(ENTRIES)?;
        txn.open_table(SESSIONS)?;
        txn.open_table(COUNTERS)?;
        Ok(Self { txn, revision: None, changes: Vec::new() })
    }

    /// Makes it last; what changed.
    pub(super) fn commit(self) -> Result<Vec<Change>, redb::Error> {
        self.txn.commit()?;
        Ok(self.changes)
    }

    /// The store's revision, and when the next session ends.
    pub(super) fn state(&self) -> Result<(Revision, Option<Duration>), redb::Error> {
        let revision = self.counter(REVISION)?;
        let mut next: Option<u64> = None;
        for session in self.txn.open_table(SESSIONS)?.iter()? {
            let (_, end) = session?.1.value();
            next = Some(next.map_or(end, |next| next.min(end)));
        }
        Ok((revision, next.map(Duration::from_millis)))
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<Entry>, redb::Error> {
        listed(&self.txn.open_table(ENTRIES)?, prefix)
    }

    pub(super) fn holds(&self, conditions: &[Condition]) -> Result<bool, redb::Error> {
        let table = self.txn.open_table(ENTRIES)?;
        for Condition { target, expected } in conditions {
            let entries = match target {
                Target::Key(key) => found(&table, key)?.into_iter().collect(),
                Target::Prefix(prefix) => listed(&table, prefix)?,
            };
            let holds = match expected {
                Expected::Absent => entries.is_empty(),
                Expected::ChangedBy(revision) => {
                    let by = |entry: &Entry| entry.mod_revision == *revision;
                    !entries.is_empty() && entries.iter().all(by)
                }
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn apply(&mut self, writes: &[Write]) -> Result<(), redb::Error> {
        for write in writes {
            match write {
                Write::Put { key, value, session } => self.put(key, value, *session)?,
                Write::Delete(key) => self.delete(key)?,
            }
        }
        Ok(())
    }

    /// Time to live and end of a session.
    pub(super) fn session(
        &self,
        session: Session,
    ) -> Result<Option<(Duration, Duration)>, redb::Error> {
        living(&self.txn.open_table(SESSIONS)?, session)
    }

    pub(super) fn grant(
        &mut self,
        time_to_live: Duration,
        now: Duration,
    ) -> Result<Session, redb::Error> {
        let number = self.counter(SESSION)? + 1;
        self.txn.open_table(COUNTERS)?.insert(SESSION, number)?;
        let life = (millis(time_to_live), millis(now.saturating_add(time_to_live)));
        self.txn.open_table(SESSIONS)?.insert(number, life)?;
        Ok(Session(number))
    }

    /// Whether there was such a session.
    pub(super) fn keep_alive(
        &mut self,
        session: Session,
        now: Duration,
    ) -> Result<bool, redb::Error> {
        let Some((granted, _)) = self.session(session)? else { return Ok(false) };
        let life = (millis(granted), millis(now.saturating_add(granted)));
        self.txn.open_table(SESSIONS)?.insert(session.0, life)?;
        Ok(true)
    }

    /// Ends a session and deletes its keys.
    pub(super) fn end(&mut self, session: Session) -> Result<(), redb::Error> {
        self.txn.open_table(SESSIONS)?.remove(session.0)?;
        let all = self.list("")?;
        for entry in all.iter().filter(|entry| entry.session == Some(session)) {
            self.delete(&entry.key)?;
        }
        Ok(())
    }

    /// Ends the sessions whose end has come.
    pub(super) fn expire(&mut self, now: Duration) -> Result<(), redb::Error> {
        let mut over = Vec::new();
        for session in self.txn.open_table(SESSIONS)?.iter()? {
            let (number, life) = session?;
            if life.value().1 <= millis(now) {
                over.push(Session(number.value()));
            }
        }
        over.into_iter().try_for_each(|session| self.end(session))
    }

    fn put(
        &mut self,
        key: &str,
        value: &[u8],
        session: Option<Session>,
    ) -> Result<(), redb::Error> {
        let revision = self.next_revision()?;
        let mut table = self.txn.open_table(ENTRIES)?;
        let create_revision = found(&table, key)?.map_or(revision, |entry| entry.create_revision);
        let number = session.map_or(0, |session| session.0);
        table.insert(key, (create_revision, revision, number, value))?;
        self.changes.push(Change::Put(Entry {
            key: key.to_owned(),
            value: value.to_owned(),
            create_revision,
            mod_revision: revision,
            session,
        }));
        Ok(())
    }

    fn delete(&mut self, key: &str) -> Result<(), redb::Error> {
        if found(&self.txn.open_table(ENTRIES)?, key)?.is_none() {
            return Ok(());
        }
        let revision = self.next_revision()?;
        self.txn.open_table(ENTRIES)?.remove(key)?;
        self.changes.push(Change::Deleted { key: key.to_owned(), revision });
        Ok(())
    }

    /// One for the whole transaction.
    fn next_revision(&mut self) -> Result<Revision, redb::Error> {
        if let Some(revision) = self.revision {
            return Ok(revision);
        }
        let revision = self.counter(REVISION)? + 1;
        self.txn.open_table(COUNTERS)?.insert(REVISION, revision)?;
        self.revision = Some(revision);
        Ok(revision)
    }

    /// Which history this is, chosen when the file is made.
    pub(super) fn history(&mut self) -> Result<u64, redb::Error> {
        let mut history = self.counter(HISTORY)?.cast_unsigned();
        if history == 0 {
            history = random().max(1);
            self.txn.open_table(COUNTERS)?.insert(HISTORY, history.cast_signed())?;
        }
        Ok(history)
    }

    fn counter(&self, name: &str) -> Result<i64, redb::Error> {
        Ok(self.txn.open_table(COUNTERS)?.get(name)?.map_or(0, |number| number.value()))
    }
}

pub(super) fn list(database: &Database, prefix: &str) -> Result<Vec<Entry>, redb::Error> {
    listed(&database.begin_read()?.open_table(ENTRIES)?, prefix)
}

pub(super) fn get(database: &Database, key: &str) -> Result<Option<Entry>, redb::Error> {
    found(&database.begin_read()?.open_table(ENTRIES)?, key)
}

/// Time to live and end of a session.
pub(super) fn life(
    database: &Database,
    session: Session,
) -> Result<Option<(Duration, Duration)>, redb::Error> {
    living(&database.begin_read()?.open_table(SESSIONS)?, session)
}

fn listed(
    table: &impl ReadableTable<&'static str, Stored<'static>>,
    prefix: &str,
) -> Result<Vec<Entry>, redb::Error> {
    let mut entries = Vec::new();
    for item in table.range(prefix..)? {
        let (key, stored) = item?;
        if !key.value().starts_with(prefix) {
            break;
        }
        entries.push(entry(key.value(), stored.value()));
    }
    Ok(entries)
}

fn found(
    table: &impl ReadableTable<&'static str, Stored<'static>>,
    key: &str,
) -> Result<Option<Entry>, redb::Error> {
    Ok(table.get(key)?.map(|stored| entry(key, stored.value())))
}

fn living(
    table: &impl ReadableTable<i64, (u64, u64)>,
    session: Session,
) -> Result<Option<(Duration, Duration)>, redb::Error> {
    let life = table.get(session.0)?.map(|life| life.value());
    Ok(life.map(|(granted, end)| (Duration::from_millis(granted), Duration::from_millis(end))))
}

fn entry(key: &str, (create_revision, mod_revision, session, value): Stored<'_>) -> Entry {
    Entry {
        key: key.to_owned(),
        value: value.to_owned(),
        create_revision,
        mod_revision,
        session: Some(Session(session)).filter(|session| session.0 != 0),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
