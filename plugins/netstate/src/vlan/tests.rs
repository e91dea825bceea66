//! Sets of VLAN ids.

use super::{extra, missing, with, without};
use crate::VlanRange;

#[test]
fn neighbours_with_equal_flags_become_one_range() {
    let ids = with(&with(&[], &range(10, 12)), &range(13, 20));
    assert_eq!(ids, [range(10, 20)]);
}

#[test]
fn there_is_one_pvid_at_most() {
    let born = [VlanRange { pvid: true, untagged: true, ..range(1, 1) }];
    let ids = with(&born, &VlanRange { pvid: true, ..range(5, 5) });
    let pvids: Vec<u16> = ids.iter().filter(|r| r.pvid).map(|r| r.first).collect();
    assert_eq!(pvids, [5]);
}

#[test]
fn a_range_is_split_by_what_leaves_it() {
    assert_eq!(without(&[range(10, 14)], &range(12, 12)), [range(10, 11), range(13, 14)]);
}

#[test]
fn what_differs_in_flags_is_missing_and_not_extra() {
    let tagged = [range(10, 12)];
    let untagged = [VlanRange { untagged: true, ..range(11, 13) }];
    assert_eq!(missing(&tagged, &untagged), untagged);
    assert_eq!(extra(&tagged, &untagged), [range(10, 10)]);
}

#[test]
fn the_last_id_of_all_is_no_problem() {
    assert_eq!(with(&[range(65534, 65534)], &range(65535, 65535)), [range(65534, 65535)]);
}

fn range(first: u16, last: u16) -> VlanRange {
    VlanRange { first, last, pvid: false, untagged: false }
}
