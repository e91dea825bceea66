//! Generic netlink: families have a number at run time, which its controller tells
//! (`include/uapi/linux/genetlink.h`). Nothing here asks the kernel.

use crate::netlink::wire::{Attrs, Writer, number};

/// `GENL_ID_CTRL`.
pub(crate) const CONTROLLER: u16 = 16;
/// `struct genlmsghdr`.
pub(crate) const HEADER: usize = 4;

/// `CTRL_CMD_GETFAMILY`.
const GET_FAMILY: u8 = 3;
/// `CTRL_ATTR_FAMILY_ID`.
const FAMILY_ID: u16 = 1;
/// `CTRL_ATTR_FAMILY_NAME`.
const FAMILY_NAME: u16 = 2;

/// `struct genlmsghdr`, version 1.
pub(crate) fn header(out: &mut Vec<u8>, command: u8) {
    out.extend_from_slice(&[command, 1, 0, 0]);
}

/// Asks the controller for the number of a family.
pub(crate) fn get_family(name: &str, out: &mut Vec<u8>) {
    header(out, GET_FAMILY);
    Writer(out).str(FAMILY_NAME, name);
}

/// The number of a family, of the controller's answer.
pub(crate) fn read_family(body: &[u8]) -> Option<u16> {
    number(Attrs(body.get(HEADER..)?).get(FAMILY_ID)?, 0)
}
