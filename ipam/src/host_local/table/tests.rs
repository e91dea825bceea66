use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const OFFSET: u64 = 128;

/// A record whose home is its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    key: u64,
    value: u64,
}

impl Record for Pair {
    const BYTES: usize = 16;
    const PER_BLOCK: usize = 4;
    const MIN_BLOCKS: u64 = 2;
    const EMPTY: Self = Self { key: 0, value: 0 };

    fn home(&self) -> u64 {
        self.key
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.key.to_le_bytes());
        bytes.extend(self.value.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk()?;
        let (value, _) = rest.split_first_chunk()?;
        Some(Self { key: u64::from_le_bytes(*key), value: u64::from_le_bytes(*value) })
    }
}

fn pair(key: u64, value: u64) -> Pair {
    Pair { key, value }
}

fn file() -> Rc<OwnedFd> {
    Rc::new(tempfile::tempfile().unwrap().into())
}

fn reload(table: &Table<Pair>, file: &Rc<OwnedFd>) -> Table<Pair> {
    if table.source().is_none() {
        rustix::fs::ftruncate(&**file, 0).unwrap();
        rustix::fs::ftruncate(&**file, OFFSET + table.bytes()).unwrap();
    }
    table.write(file, OFFSET).unwrap();
    Table::load(Rc::clone(file), OFFSET, table.blocks(), table.used()).unwrap()
}

fn contents(table: &mut Table<Pair>) -> BTreeSet<Pair> {
    (0..table.places())
        .map(|place| table.get(place).unwrap())
        .filter(|record| *record != Pair::EMPTY)
        .collect()
}

fn values(table: &mut Table<Pair>, key: u64) -> BTreeSet<u64> {
    let found = table.find(key, |pair| pair.key == key).unwrap();
    found.into_iter().map(|pair| pair.value).collect()
}

#[test]
fn a_table_grows_and_is_the_same_when_read_back() {
    let file = file();
    let mut table = Table::new();
    for number in 1..=5000 {
        table.insert(pair(number, number + 1)).unwrap();
    }
    assert_eq!((table.used(), table.blocks()), (5000, 4096));
    let mut loaded = reload(&table, &file);
    assert_eq!(contents(&mut loaded), contents(&mut table));
    assert_eq!(values(&mut loaded, 4999), BTreeSet::from([5000]));
    assert_eq!(values(&mut loaded, 1 << 40), BTreeSet::new());
}

#[test]
fn an_operation_on_a_large_table_touches_its_home_block() {
    let file = file();
    let mut table = Table::new();
    for number in 1..=60_000 {
        table.insert(pair(number, 1)).unwrap();
    }
    let mut loaded = reload(&table, &file);
    loaded.insert(pair((1 << 40) + 7, 1)).unwrap();
    loaded.remove(&pair(7, 1)).unwrap();
    assert_eq!(loaded.loaded.len(), 1);
    loaded.remove(&pair(8, 1)).unwrap();
    assert_eq!(loaded.loaded.len(), 2);
}

#[test]
fn a_table_can_move_within_its_file() {
    let file = file();
    let mut table = reload(&Table::new(), &file);
    table.insert(pair(3, 4)).unwrap();
    let mut table = reload(&table, &file);
    table.detach().unwrap();
    let elsewhere = OFFSET + 4096;
    table.write(&file, elsewhere).unwrap();
    let mut moved = Table::<Pair>::load(file, elsewhere, table.blocks(), table.used()).unwrap();
    assert_eq!(contents(&mut moved), BTreeSet::from([pair(3, 4)]));
}

#[test]
fn a_file_that_is_too_short_is_damaged() {
    let mut table = Table::load(file(), OFFSET, 2, 0).unwrap();
    let error = table.insert(pair(1, 1)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_table_without_an_empty_place_is_damaged_and_not_searched_for_ever() {
    let file = file();
    write_all_at(&file, &[1; 128], OFFSET).unwrap();
    let mut table = Table::load(file, OFFSET, 2, 0).unwrap();
    let error = table.find(1, |pair: &Pair| pair.key == 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn impossible_sizes_are_refused() {
    for (blocks, used) in [(0, 0), (1, 0), (3, 0), (2, 5), (u64::MAX, 0)] {
        assert!(Table::<Pair>::load(file(), OFFSET, blocks, used).is_none(), "{blocks} {used}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u64),
    Remove(u64, u64),
    Replace(u64, u64, u64),
    Reload,
}

/// Few homes, so that they overflow into each other.
fn step() -> impl Strategy<Value = Step> {
    let key = prop_oneof![1u64..20, 1u64..200];
    let value = 0u64..4;
    prop_oneof![
        6 => (key.clone(), value.clone()).prop_map(|(key, value)| Step::Insert(key, value)),
        5 => (key.clone(), value.clone()).prop_map(|(key, value)| Step::Remove(key, value)),
        2 => (key, value, 4u64..8).prop_map(|(key, old, new)| Step::Replace(key, old, new)),
        1 => Just(Step::Reload),
    ]
}

proptest! {
    #[test]
    fn a_table_behaves_as_a_set_of_records(steps in prop::collection::vec(step(), 0..500)) {
        let file = file();
        let mut table = Table::new();
        let mut model = BTreeSet::new();
        for step in steps {
            match step {
                Step::Insert(key, value) => {
                    table.insert(pair(key, value)).unwrap();
                    model.insert(pair(key, value));
                }
                Step::Remove(key, value) => {
                    table.remove(&pair(key, value)).unwrap();
                    model.remove(&pair(key, value));
                }
                Step::Replace(key, old, new) => {
                    // Callers replace by what is not there yet.
                    if !model.contains(&pair(key, new)) {
                        table.replace(&pair(key, old), pair(key, new)).unwrap();
                        if model.remove(&pair(key, old)) {
                            model.insert(pair(key, new));
                        }
                    }
                }
                Step::Reload => table = reload(&table, &file),
            }
            prop_assert_eq!(usize::try_from(table.used()).unwrap(), model.len());
        }
        prop_assert_eq!(contents(&mut table), model.clone());
        for key in 1..200 {
            let wanted = model.iter().filter(|pair| pair.key == key).map(|pair| pair.value);
            prop_assert_eq!(values(&mut table, key), wanted.collect::<BTreeSet<_>>());
        }
    }
}
