//! Acknowledgements and errors: `struct nlmsgerr` and what follows it.

use rustix::io::Errno;

use super::batch::Received;
use super::flag;
use super::wire::{Attrs, text};
use crate::error::Refusal;

/// `NLMSGERR_ATTR_MSG`.
const ATTR_MSG: u16 = 1;
/// `struct nlmsghdr`.
const HEADER: usize = 16;

/// What an `NLMSG_ERROR` message says: acknowledged, or why not.
pub(crate) fn verdict(message: Received<'_>) -> Result<(), Refusal> {
    let Some(errno) = errno(message.body) else { return Err(Refusal::from(Errno::BADMSG)) };
    if errno == 0 {
        return Ok(());
    }
    Err(Refusal { errno, text: explanation(message).unwrap_or_default() })
}

/// The positive error number at the start of `NLMSG_ERROR` and `NLMSG_DONE`.
pub(crate) fn errno(body: &[u8]) -> Option<i32> {
    Some(i32::from_ne_bytes(body.get(..4)?.try_into().ok()?).saturating_neg())
}

/// The kernel's text at the end of a dump that failed, which stands after the error number.
pub(crate) fn dump_explanation(message: Received<'_>) -> String {
    if message.flags & flag::ACK_TLVS == 0 {
        return String::new();
    }
    Attrs(message.body.get(4..).unwrap_or_default()).text(ATTR_MSG).unwrap_or_default()
}

/// The kernel's text, which stands after the request: its header, or all of it.
fn explanation(message: Received<'_>) -> Option<String> {
    if message.flags & flag::ACK_TLVS == 0 {
        return None;
    }
    let request = message.body.get(4..)?;
    let whole = u32::from_ne_bytes(request.get(..4)?.try_into().ok()?);
    let length = if message.flags & flag::CAPPED == 0 {
        usize::try_from(whole).ok()?.next_multiple_of(4)
    } else {
        HEADER
    };
    Attrs(request.get(length..)?).get(ATTR_MSG).map(text)
}
