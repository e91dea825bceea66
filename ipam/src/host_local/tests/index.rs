//! That the index is never trusted when it should not be: whatever happens, its answers are
//! those of the files.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::allocator::next_free;
use crate::host_local::directory::Directory;
pub(super) use crate::host_local::index::NAME;
use crate::host_local::ledger::Ledger;

fn open(net: &Fixture) -> Directory {
    Directory::open(&net.path("."), DEFAULT_LOCK_TIMEOUT).unwrap().unwrap()
}

#[test]
fn it_is_valid_after_our_operations_and_not_after_anyone_elses() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24"]);
    net.add(&sets, "one").unwrap();
    assert!(net.indexed());
    net.add(&sets, "two").unwrap();
    net.release("one");
    assert!(net.indexed());
    net.write("10.1.2.9", "other\r\neth0");
    assert!(!net.indexed());
    assert_eq!(net.release("other"), ips(&["10.1.2.9"]));
    assert!(net.indexed());
    fs::remove_file(net.path("10.1.2.3")).unwrap();
    assert!(!net.indexed());
    assert_eq!(net.store.holds(&owner("two")).unwrap(), ips(&[]));
    assert!(net.indexed());
}

#[test]
fn a_change_in_the_same_clock_tick_is_seen() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.0.0/16"]);
    for number in 0..500 {
        net.add(&sets, &format!("ours-{number}")).unwrap();
        // At once: before Linux 6.13 within the tick of our own change.
        fs::write(net.path(&format!("10.1.200.{}", number % 250)), "theirs\r\neth0").unwrap();
        assert!(!net.store.holds(&owner("theirs")).unwrap().is_empty(), "missed a change");
        net.release("theirs");
        net.release(&format!("ours-{number}"));
    }
}

#[test]
fn a_copy_a_damaged_one_and_one_of_another_boot_are_not_trusted() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24"]);
    net.add(&sets, "one").unwrap();
    let good = fs::read(net.path(NAME)).unwrap();
    // Same directory, same time, other bytes: magic, boot id, inode, time, capacity.
    for position in [0, 10, 44, 52, 60, 68, 69] {
        let mut bad = good.clone();
        bad[position] ^= 1;
        fs::write(net.path(NAME), bad).unwrap();
        assert!(!net.indexed(), "byte {position}");
    }
    for length in [0, 1, 80, 127] {
        fs::write(net.path(NAME), &good[..length]).unwrap();
        assert!(length > 84 || !net.indexed(), "{length} bytes");
        assert_eq!(net.store.holds(&owner("one")).unwrap(), ips(&["10.1.2.2"]), "{length} bytes");
    }
    fs::write(net.path(NAME), &good[..500]).unwrap();
    assert!(net.indexed(), "the header alone looks good");
    assert_eq!(net.store.holds(&owner("one")).unwrap(), ips(&["10.1.2.2"]));
    assert_eq!(net.release("one"), ips(&["10.1.2.2"]));
    assert!(net.indexed());
}

#[test]
fn an_index_that_cannot_be_written_costs_a_warning_and_nothing_else() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24"]);
    fs::create_dir_all(net.path(NAME)).unwrap();
    assert_eq!(net.add(&sets, "one").unwrap(), ["10.1.2.2/24"]);
    assert!(matches!(net.store.take_warnings()[..], [Warning::Index { .. }]));
    assert_eq!(net.add(&sets, "two").unwrap(), ["10.1.2.3/24"]);
    assert_eq!(net.release("one"), ips(&["10.1.2.2"]));
    assert_eq!(net.store.holds(&owner("two")).unwrap(), ips(&["10.1.2.3"]));
}

#[test]
fn the_remains_of_a_draft_are_removed_by_the_next_operation() {
    let mut net = Fixture::new();
    net.add(&sets(&["10.1.2.0/24"]), "one").unwrap();
    // Killed on a file system without unnamed files.
    net.write(".netd-draft", "two\r\neth0");
    assert_eq!(net.release("unknown"), ips(&[]));
    assert_eq!(net.names(), ["10.1.2.2"]);
}

#[derive(Clone, Debug)]
enum Step {
    Add(u8),
    Del(u8),
    /// The reference's ADD and DEL, as far as the directory sees them.
    TheirAdd(u8),
    TheirDel(u8),
    Check(u8),
    /// Killed between the change and the index: a file created, the index as it was.
    Killed(u8),
    Gc,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<u8>().prop_map(Step::Add),
        6 => any::<u8>().prop_map(Step::Del),
        2 => any::<u8>().prop_map(Step::TheirAdd),
        2 => any::<u8>().prop_map(Step::TheirDel),
        2 => any::<u8>().prop_map(Step::Check),
        1 => any::<u8>().prop_map(Step::Killed),
        1 => Just(Step::Gc),
    ]
}

/// What the directory should hold: container by address.
type Model = BTreeMap<IpAddr, u8>;

fn of(model: &Model, container: u8) -> Vec<IpAddr> {
    model.iter().filter(|(_, owner)| **owner == container).map(|(ip, _)| *ip).collect()
}

fn run(net: &mut Fixture, sets: &[RangeSet], model: &mut Model, step: &Step) {
    let marker = || {
        let text = fs::read_to_string(net.path("last_reserved_ip.0")).unwrap_or_default();
        text.parse::<IpAddr>().ok()
    };
    let Ok(next) =
        next_free(&sets[0], marker(), &mut model.keys().copied().collect::<BTreeSet<_>>());
    let next = next.map(|candidate| candidate.address);
    match *step {
        Step::Add(n) => {
            let given = net.store.allocate(sets, &owner(&n.to_string()), &[]);
            match (given, next) {
                (Err(Error::Duplicate { ip, .. }), _) => assert!(of(model, n).contains(&ip)),
                (Err(Error::Full { .. }), None) => {}
                (Ok(given), Some(next)) => {
                    assert_eq!(given[0].address.ip(), next);
                    assert!(of(model, n).is_empty());
                    model.insert(next, n);
                }
                (given, next) => panic!("{given:?}, expected {next:?}"),
            }
        }
        Step::Del(n) => {
            assert_eq!(net.release(&n.to_string()), of(model, n));
            model.retain(|_, owner| *owner != n);
        }
        Step::TheirAdd(n) | Step::Killed(n) => {
            if let Some(next) = next {
                net.write(&next.to_string(), &format!("{n}\r\neth0"));
                model.insert(next, n);
                if matches!(step, Step::TheirAdd(_)) {
                    net.write("last_reserved_ip.0", &next.to_string());
                }
            }
        }
        Step::TheirDel(n) => {
            for address in of(model, n) {
                fs::remove_file(net.path(&address.to_string())).unwrap();
                model.remove(&address);
            }
        }
        Step::Check(n) => {
            assert_eq!(net.store.holds(&owner(&n.to_string())).unwrap(), of(model, n));
        }
        Step::Gc => {
            let valid = (0..128).map(|n: u8| owner(&n.to_string())).collect();
            net.store.gc(&valid).unwrap();
            model.retain(|_, owner| *owner < 128);
        }
    }
}

/// The index, if valid, says what the files say.
fn compare(net: &Fixture, sets: &[RangeSet]) {
    let dir = open(net);
    let mut told = Ledger::open(&dir, &mut Vec::new()).unwrap();
    let mut read = Ledger::read(&dir, &mut Vec::new()).unwrap();
    let free = |ledger: &mut Ledger| {
        let mut free = Vec::new();
        while let Some(candidate) = next_free(&sets[0], None, ledger).unwrap() {
            free.push(candidate.address);
            ledger.add_unowned(candidate.address).unwrap();
        }
        free
    };
    assert_eq!(free(&mut told), free(&mut read));
    for n in 0..=255_u8 {
        let content = owner(&n.to_string()).content().unwrap();
        let sorted = |ledger: &mut Ledger| {
            let mut addresses = ledger.reserved_with(&content).unwrap();
            addresses.sort_unstable();
            addresses
        };
        assert_eq!(sorted(&mut told), sorted(&mut read), "container {n}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn with_anyone_changing_files_in_between_it_says_what_the_files_say(
        small: bool, steps in prop::collection::vec(step(), 1..250)
    ) {
        let mut net = Fixture::new();
        let sets = sets(&[if small { "10.1.2.0/27" } else { "10.1.0.0/22" }]);
        let mut model = Model::new();
        for step in &steps {
            run(&mut net, &sets, &mut model, step);
        }
        if net.path(".").exists() {
            compare(&net, &sets);
            let on_disk: Vec<IpAddr> = net.names().iter().map(|name| ip(name)).collect();
            let mut on_disk = on_disk;
            on_disk.sort_unstable();
            prop_assert_eq!(on_disk, model.keys().copied().collect::<Vec<_>>());
        }
    }
}
