//! Sets of VLAN ids of a bridge port, kept as ranges in order that cannot be joined further.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::link::VlanRange;

/// What a port does with the frames of one VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flags {
    pvid: bool,
    untagged: bool,
}

type Ids = BTreeMap<u16, Flags>;

/// The ids with a range added: flags of ids that are there change, and there is one PVID at most
/// (`__vlan_add_pvid()`, `net/bridge/br_vlan.c`).
pub(crate) fn with(ranges: &[VlanRange], add: &VlanRange) -> Vec<VlanRange> {
    let mut ids = ids_of(ranges);
    if add.pvid {
        ids.values_mut().for_each(|flags| flags.pvid = false);
    }
    ids.extend(ids_of(std::slice::from_ref(add)));
    ranges_of(&ids)
}

/// The ids without those of a range.
pub(crate) fn without(ranges: &[VlanRange], del: &VlanRange) -> Vec<VlanRange> {
    let mut ids = ids_of(ranges);
    ids.retain(|id, _| !(del.first..=del.last).contains(id));
    ranges_of(&ids)
}

/// What is wanted and not there, or there with other flags.
pub(crate) fn missing(have: &[VlanRange], want: &[VlanRange]) -> Vec<VlanRange> {
    let have = ids_of(have);
    let mut ids = ids_of(want);
    ids.retain(|id, flags| have.get(id) != Some(flags));
    ranges_of(&ids)
}

/// What is there and not wanted.
pub(crate) fn extra(have: &[VlanRange], want: &[VlanRange]) -> Vec<VlanRange> {
    let want = ids_of(want);
    let mut ids = ids_of(have);
    ids.retain(|id, _| !want.contains_key(id));
    ranges_of(&ids)
}

fn ids_of(ranges: &[VlanRange]) -> Ids {
    let flags = |r: &VlanRange| Flags { pvid: r.pvid, untagged: r.untagged };
    ranges.iter().flat_map(|r| (r.first..=r.last).map(move |id| (id, flags(r)))).collect()
}

fn ranges_of(ids: &Ids) -> Vec<VlanRange> {
    let mut ranges: Vec<VlanRange> = Vec::new();
    for (&id, &Flags { pvid, untagged }) in ids {
        match ranges.last_mut() {
            Some(last)
                if last.last.checked_add(1) == Some(id)
                    && !pvid
                    && !last.pvid
                    && last.untagged == untagged =>
            {
                last.last = id;
            }
            _ => ranges.push(VlanRange { first: id, last: id, pvid, untagged }),
        }
    }
    ranges
}
