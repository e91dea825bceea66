//! Points in a store's history, and what tells one history from another.

use super::{Change, Entry, Listing, Revision};

/// A point in a store's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// What changed after it is of higher revisions.
    pub revision: Revision,
    /// Which history it is, as the store numbers them. 0 stands for any.
    pub history: u64,
    /// What tells it from another history of the same number; without one, nothing does.
    pub witness: Option<Witness>,
}

/// An entry that was there at a revision: a store which has had another one then, or none, has
/// another history.
///
/// The number alone does not tell. etcd's is made of its members' URLs: an etcd that is built anew
/// with the same flags has it again, and its revision gets to where the old one was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The entry.
    pub entry: Entry,
    /// The last revision at which it was there, where it was deleted since.
    pub until: Option<Revision>,
}

impl From<Revision> for Position {
    fn from(revision: Revision) -> Self {
        Self { revision, ..Self::default() }
    }
}

impl From<Entry> for Witness {
    fn from(entry: Entry) -> Self {
        Self { entry, until: None }
    }
}

impl Position {
    /// That of a listing. Of its entries the newest is the witness: a store that was restored from a
    /// backup does not have it, if it is younger.
    #[must_use]
    pub fn of(listing: &Listing) -> Self {
        let Listing { revision, history, entries } = listing;
        let known = entries.iter().filter(|entry| is_known(entry));
        let newest = known.max_by_key(|entry| (is_unique(entry), entry.mod_revision));
        let witness = newest.cloned().map(Witness::from);
        Self { revision: *revision, history: *history, witness }
    }

    /// It goes on to a revision, with these changes on the way.
    pub(super) fn pass(&mut self, revision: Revision, changes: &[Change]) {
        self.revision = self.revision.max(revision);
        for change in changes {
            match (change, &mut self.witness) {
                (Change::Put(entry), Some(witness))
                    if is_unique(&witness.entry)
                        && !is_unique(entry)
                        && witness.entry.key != entry.key => {}
                (Change::Put(entry), _) if !is_known(entry) => {}
                (Change::Put(entry), witness) => *witness = Some(entry.clone().into()),
                (Change::Deleted { key, revision }, Some(witness))
                    if witness.entry.key == *key && witness.until.is_none() =>
                {
                    witness.until = Some(revision.saturating_sub(1));
                }
                (Change::Deleted { .. }, _) => {}
            }
        }
    }

    /// What the store is to be asked before it is believed to have this history: whether it had this
    /// entry at this revision.
    pub(super) fn question(&self) -> Option<(&Entry, Revision)> {
        let Witness { entry, until } = self.witness.as_ref()?;
        Some((entry, until.unwrap_or(self.revision)))
    }

    /// Why the store of a listing that comes after this point has another history, where its numbers
    /// tell.
    pub(super) fn contradiction(&self, revision: Revision, history: u64) -> Option<String> {
        let Self { revision: after, history: before, .. } = *self;
        if revision < after {
            return Some(format!("the revision of the store went back from {after} to {revision}"));
        }
        let differs = before != 0 && history != before;
        differs.then(|| format!("the store is another one: {history:x} in place of {before:x}"))
    }
}

/// Whether it can be asked for: of a foreign key the bytes may be lost ([`Entry::key`]).
fn is_known(entry: &Entry) -> bool {
    !entry.key.contains(char::REPLACEMENT_CHARACTER)
}

/// Whether nobody writes the same again in another history: no two sessions are alike.
fn is_unique(entry: &Entry) -> bool {
    entry.session.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Session;

    fn entry(key: &str, revision: Revision, session: Option<i64>) -> Entry {
        Entry {
            key: key.to_owned(),
            value: Vec::new(),
            create_revision: revision,
            mod_revision: revision,
            session: session.map(Session),
        }
    }

    fn listed(entries: Vec<Entry>) -> Position {
        Position::of(&Listing { revision: 9, history: 7, entries })
    }

    fn asked(position: &Position) -> Option<(&str, Revision)> {
        position.question().map(|(entry, at)| (entry.key.as_str(), at))
    }

    #[test]
    fn the_newest_entry_that_nobody_writes_twice_is_the_witness() {
        let reserved = entry("/reserved", 8, None);
        let two =
            listed(vec![entry("/old", 3, Some(1)), entry("/new", 5, Some(2)), reserved.clone()]);
        assert_eq!(asked(&two), Some(("/new", 9)));
        assert_eq!(asked(&listed(vec![reserved])), Some(("/reserved", 9)));
        assert_eq!(asked(&listed(Vec::new())), None);
        let mut foreign = listed(vec![entry("/\u{fffd}", 5, Some(1))]);
        foreign.pass(10, &[Change::Put(entry("/\u{fffd}", 10, Some(1)))]);
        assert_eq!(asked(&foreign), None, "nobody can ask for it");
    }

    #[test]
    fn what_is_put_later_takes_its_place_and_what_is_deleted_was_there_until_then() {
        let mut position = listed(vec![entry("/a", 5, Some(1))]);
        position.pass(12, &[]);
        assert_eq!(asked(&position), Some(("/a", 12)));
        let gone = |key: &str, revision| Change::Deleted { key: key.to_owned(), revision };
        position.pass(14, &[Change::Put(entry("/reserved", 13, None)), gone("/other", 14)]);
        assert_eq!(asked(&position), Some(("/a", 14)));
        position.pass(20, &[gone("/a", 16)]);
        assert_eq!(asked(&position), Some(("/a", 15)));
        position.pass(21, &[Change::Put(entry("/b", 21, Some(2)))]);
        assert_eq!(asked(&position), Some(("/b", 21)));
        // A lease that becomes a reservation.
        position.pass(22, &[Change::Put(entry("/b", 22, None))]);
        assert_eq!(position.question().map(|(entry, _)| entry.session), Some(None));
    }

    #[test]
    fn a_revision_that_goes_back_and_another_number_contradict() {
        let position = listed(Vec::new());
        assert_eq!(position.contradiction(9, 7), None);
        assert!(position.contradiction(8, 7).is_some());
        assert!(position.contradiction(10, 8).is_some());
        assert_eq!(Position::from(9).contradiction(10, 8), None, "0 stands for any");
    }
}
