//! The store under processes that run at the same time, that are killed, and whose system calls
//! fail. Needs strace.
//!
//! Called with `worker` as its first argument this program is one of those processes.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test program"
)]

mod churn;
mod syscalls;
mod worker;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use ipam::{HostLocal, Owner, RangeSet, RangeSpec, parse_cidr, range_sets};

/// Tests by name; further arguments choose those whose names hold one of them.
const TESTS: &[(&str, fn())] = &[
    ("churn::processes_at_the_same_time_never_share_an_address", churn::many_at_once),
    ("churn::killed_processes_leave_nothing_that_gc_does_not_find", churn::killed_at_random),
    ("syscalls::killed_at_any_system_call_del_or_gc_leaves_nothing", syscalls::killed_anywhere),
    (
        "syscalls::without_unnamed_files_it_works_and_leaves_no_draft",
        syscalls::without_unnamed_files,
    ),
    ("syscalls::a_failing_system_call_leaves_nothing_behind", syscalls::failing_anywhere),
    ("syscalls::their_number_does_not_grow_with_reservations", syscalls::constant_number),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "worker") {
        std::process::exit(worker::run(&arguments[1..]));
    }
    let filters: Vec<&String> = arguments.iter().filter(|one| !one.starts_with('-')).collect();
    for (name, test) in TESTS {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())) {
            println!("test {name} ...");
            test();
            println!("test {name} ... ok");
        }
    }
}

/// The network of all tests.
const NETWORK: &str = "net";

fn store(data: &Path) -> HostLocal {
    HostLocal::open(data, NETWORK).unwrap()
}

fn owner(container: &str) -> Owner {
    Owner::new(container, "eth0")
}

fn sets(subnets: &[&str]) -> Vec<RangeSet> {
    let spec = |subnet: &&str| vec![RangeSpec::of(parse_cidr(subnet).unwrap())];
    range_sets(&subnets.iter().map(spec).collect::<Vec<_>>()).unwrap()
}

/// All names in the network's directory but those that stay for ever.
fn names(data: &Path) -> BTreeSet<String> {
    std::fs::read_dir(data.join(NETWORK))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "lock" && name != ".netd-index" && !name.starts_with("last_"))
        .collect()
}

/// Every name is an address, and every file names an owner in full.
fn assert_sound(data: &Path, context: &str) {
    for name in names(data) {
        assert!(name.parse::<IpAddr>().is_ok(), "{context}: {name} left behind");
        let content = std::fs::read_to_string(data.join(NETWORK).join(&name)).unwrap();
        assert!(content.ends_with("\r\neth0"), "{context}: {name} holds {content:?}");
    }
}
