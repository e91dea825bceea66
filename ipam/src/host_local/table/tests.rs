use std::collections::BTreeSet;
use std::fs::File;

use proptest::prelude::*;

use super::*;

const OFFSET: u64 = 128;

fn file() -> OwnedFd {
    tempfile::tempfile().unwrap().into()
}

fn reload(table: &Table, file: &OwnedFd) -> Table {
    table.write(file, OFFSET).unwrap();
    Table::load(file.try_clone().unwrap(), OFFSET, table.capacity(), table.used()).unwrap()
}

fn contents(table: &mut Table) -> BTreeSet<(u64, u128, u128)> {
    (0..table.capacity())
        .map(|position| table.get(position).unwrap())
        .filter(|slot| slot.kind != 0)
        .map(|slot| (slot.kind, slot.key, slot.value))
        .collect()
}

fn slot(key: u128, value: u128) -> Slot {
    Slot { kind: 1, key, value }
}

#[test]
fn a_table_grows_and_is_the_same_when_read_back() {
    let file = file();
    let mut table = Table::new();
    for number in 0..5000 {
        table.insert(slot(number, number + 1)).unwrap();
    }
    assert_eq!((table.used(), table.capacity()), (5000, 16384));
    let mut loaded = reload(&table, &file);
    assert_eq!(contents(&mut loaded), contents(&mut table));
    assert_eq!(loaded.values(1, 4999).unwrap(), [5000]);
    assert_eq!(loaded.values(2, 4999).unwrap(), []);
}

#[test]
fn an_operation_on_a_large_table_touches_a_few_blocks() {
    let file = file();
    let mut table = Table::new();
    for number in 0..60_000 {
        table.insert(slot(number, 0)).unwrap();
    }
    let mut loaded = reload(&table, &file);
    loaded.insert(slot(1 << 80, 0)).unwrap();
    loaded.remove(slot(77, 0)).unwrap();
    assert!(loaded.blocks.len() <= 6, "{} blocks", loaded.blocks.len());
    let dirty = loaded.blocks.values().filter(|block| block.dirty).count();
    assert!(dirty <= 4, "{dirty} dirty blocks");
}

#[test]
fn a_file_that_is_too_short_is_damaged() {
    let file = file();
    let mut table = Table::load(file, OFFSET, MIN_CAPACITY, 0).unwrap();
    let error = table.insert(slot(1, 1)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_table_without_an_empty_slot_is_damaged_and_not_searched_for_ever() {
    let file = file();
    let full = vec![1; usize::try_from(MIN_CAPACITY).unwrap() * SLOT_BYTES];
    write_all_at(&file, &full, OFFSET).unwrap();
    let mut table = Table::load(file, OFFSET, MIN_CAPACITY, 0).unwrap();
    assert_eq!(table.values(1, 1).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn impossible_sizes_are_refused() {
    for (capacity, used) in [(0, 0), (128, 0), (257, 0), (256, 129), (u64::MAX, 0)] {
        assert!(Table::load(file(), OFFSET, capacity, used).is_none(), "{capacity} {used}");
    }
    let _: File = file().into();
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u128, u128),
    Remove(u128, u128),
    Replace(u128, u128, u128),
    Reload,
}

/// Few keys, so that they collide.
fn step() -> impl Strategy<Value = Step> {
    let key = 0u128..120;
    let value = 0u128..4;
    prop_oneof![
        6 => (key.clone(), value.clone()).prop_map(|(key, value)| Step::Insert(key, value)),
        5 => (key.clone(), value.clone()).prop_map(|(key, value)| Step::Remove(key, value)),
        2 => (key, value.clone(), 4u128..8).prop_map(|(key, old, new)| Step::Replace(key, old, new)),
        1 => Just(Step::Reload),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn a_table_behaves_as_a_set_of_entries(steps in prop::collection::vec(step(), 0..500)) {
        let file = file();
        let mut table = Table::new();
        let mut model = BTreeSet::new();
        for step in steps {
            match step {
                Step::Insert(key, value) => {
                    table.insert(slot(key, value)).unwrap();
                    model.insert((1, key, value));
                }
                Step::Remove(key, value) => {
                    table.remove(slot(key, value)).unwrap();
                    model.remove(&(1, key, value));
                }
                Step::Replace(key, old, new) => {
                    // The caller replaces only by values that are not there yet.
                    if model.contains(&(1, key, old)) && model.insert((1, key, new)) {
                        model.remove(&(1, key, old));
                        table.replace(slot(key, old), new).unwrap();
                    }
                }
                Step::Reload => table = reload(&table, &file),
            }
            prop_assert_eq!(usize::try_from(table.used()).unwrap(), model.len());
        }
        prop_assert_eq!(contents(&mut table), model.clone());
        for key in 0..120 {
            let found: BTreeSet<u128> = table.values(1, key).unwrap().into_iter().collect();
            let wanted = model.iter().filter(|entry| entry.1 == key).map(|entry| entry.2).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
