//! Features of a device as messages of ethtool's generic netlink family, both ways
//! (`include/uapi/linux/ethtool_netlink.h`, `net/ethtool/features.c`, since 5.7). Nothing here asks
//! the kernel.

use netstate::LinkName;

use crate::generic::{HEADER, header};
use crate::netlink::wire::{Attrs, Writer, text};

/// The family's name.
pub(crate) const FAMILY: &str = "ethtool";

/// `NETIF_F_HW_CSUM` by ethtool's word (`net/ethtool/common.c`).
const TX_CHECKSUM: &str = "tx-checksum-ip-generic";

/// `ETHTOOL_MSG_FEATURES_GET` and `_SET`.
const GET_FEATURES: u8 = 11;
const SET_FEATURES: u8 = 12;

/// `ETHTOOL_A_FEATURES_*`.
mod features {
    pub(super) const HEADER: u16 = 1;
    pub(super) const WANTED: u16 = 3;
    pub(super) const ACTIVE: u16 = 4;
}

/// `ETHTOOL_A_HEADER_*`.
mod head {
    pub(super) const NAME: u16 = 2;
    pub(super) const FLAGS: u16 = 3;
    /// `ETHTOOL_FLAG_OMIT_REPLY`.
    pub(super) const OMIT_REPLY: u32 = 2;
}

/// `ETHTOOL_A_BITSET_*`, `ETHTOOL_A_BITSET_BITS_*` and `ETHTOOL_A_BITSET_BIT_*`.
mod bits {
    pub(super) const LIST: u16 = 3;
    pub(super) const BIT: u16 = 1;
    pub(super) const NAME: u16 = 2;
    pub(super) const VALUE: u16 = 3;
}

/// Asks for the features of a link, by their names.
pub(crate) fn get_features(link: &LinkName, out: &mut Vec<u8>) {
    header(out, GET_FEATURES);
    Writer(out).nest(features::HEADER, |inner| {
        inner.str(head::NAME, link.as_str());
    });
}

/// Turns checksums on sending on or off.
pub(crate) fn set_tx_checksum(link: &LinkName, on: bool, out: &mut Vec<u8>) {
    header(out, SET_FEATURES);
    let mut writer = Writer(out);
    writer.nest(features::HEADER, |inner| {
        inner.str(head::NAME, link.as_str()).ne32(head::FLAGS, head::OMIT_REPLY);
    });
    writer.nest(features::WANTED, |set| {
        set.nest(bits::LIST, |list| {
            list.nest(bits::BIT, |bit| {
                bit.str(bits::NAME, TX_CHECKSUM);
                if on {
                    bit.bytes(bits::VALUE, &[]);
                }
            });
        });
    });
}

/// Whether checksums on sending are on, of an answer that tells features.
pub(crate) fn read_tx_checksum(body: &[u8]) -> Option<bool> {
    let active = Attrs(body.get(HEADER..)?).get(features::ACTIVE)?;
    let mut set = Attrs(active).nested(bits::LIST);
    let name = |bit: &[u8]| Attrs(bit).get(bits::NAME).map(text);
    Some(set.any(|(_, bit)| name(bit).as_deref() == Some(TX_CHECKSUM)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_survive_any_input() {
        corpus::survive("netlink", |bytes| {
            let _ = read_tx_checksum(bytes);
        });
    }
}
