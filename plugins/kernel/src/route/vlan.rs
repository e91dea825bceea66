//! VLANs of bridge ports: `RTM_GETVLAN` (`net/bridge/br_vlan.c`), which the message crate lacks.

use netlink_packet_core::Emitable;
use netstate::VlanRange;

use crate::netlink::wire::{Attrs, number, patch};

/// `AF_BRIDGE`.
const AF_BRIDGE: u8 = 7;
/// `BRIDGE_VLAN_INFO_PVID`, `BRIDGE_VLAN_INFO_UNTAGGED` (`include/uapi/linux/if_bridge.h`).
const PVID: u16 = 1 << 1;
const UNTAGGED: u16 = 1 << 2;

/// Asks for the VLANs of one port: `struct br_vlan_msg` with its index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PortVlans(pub(crate) u32);

impl Emitable for PortVlans {
    fn buffer_len(&self) -> usize {
        8
    }

    fn emit(&self, buffer: &mut [u8]) {
        let [a, b, c, d] = self.0.to_ne_bytes();
        patch(buffer, 0, [AF_BRIDGE, 0, 0, 0, a, b, c, d]);
    }
}

/// The VLANs in one message of the dump; each entry is an id or a range of alike ones.
pub(crate) fn read_vlans(body: &[u8]) -> Vec<VlanRange> {
    const ENTRY: u16 = 1; // BRIDGE_VLANDB_ENTRY
    let attributes = Attrs(body.get(8..).unwrap_or_default());
    attributes.filter(|(kind, _)| *kind == ENTRY).filter_map(|(_, entry)| read(entry)).collect()
}

fn read(entry: &[u8]) -> Option<VlanRange> {
    const INFO: u16 = 1; // BRIDGE_VLANDB_ENTRY_INFO: struct bridge_vlan_info
    const RANGE: u16 = 2; // BRIDGE_VLANDB_ENTRY_RANGE: the last id
    let info = Attrs(entry).get(INFO)?;
    let (flags, first) = (number(info, 0)?, number(info, 2)?);
    let last = Attrs(entry).get(RANGE).and_then(|range| number(range, 0)).unwrap_or(first);
    Some(VlanRange { first, last, pvid: flags & PVID != 0, untagged: flags & UNTAGGED != 0 })
}
