//! Messages as bytes, of a size that the client takes.

use hickory_proto::ProtoError;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::serialize::binary::{BinEncodable as _, BinEncoder};

/// Bytes of an OPT record without options (RFC 6891, section 6.1.2).
const OPT: usize = 11;
/// Where a header counts the answers (RFC 1035, section 4.1.1).
const ANSWERS: std::ops::Range<usize> = 6..8;

/// The bytes of an answer, `most` at most. What is beside the answers is left out first; then as many
/// answers as are too much, and the client is told so: one that knows of no TCP has the others.
pub(super) fn within(mut message: Message, most: usize) -> Option<Vec<u8>> {
    match whole(&message) {
        Ok(bytes) if bytes.len() <= most => return Some(bytes),
        Ok(_) => {}
        Err(error) => {
            tracing::debug!(%error, "an answer cannot be written");
            message = failed(&message);
        }
    }
    message.additionals.clear();
    message.authorities.clear();
    let edns = message.edns.take();
    let room = most - edns.as_ref().map_or(0, |_| OPT);
    let fitting = answers(&message, room)?;
    message.metadata.truncation |= fitting < message.answers.len();
    message.answers.truncate(fitting);
    message.edns = edns;
    whole(&message).ok().filter(|bytes| bytes.len() <= most)
}

fn whole(message: &Message) -> Result<Vec<u8>, ProtoError> {
    let mut bytes = Vec::with_capacity(512);
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(u16::MAX);
    message.emit(&mut encoder)?;
    Ok(bytes)
}

/// How many answers fit.
fn answers(message: &Message, room: usize) -> Option<usize> {
    let mut bytes = Vec::with_capacity(room);
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(u16::try_from(room).unwrap_or(u16::MAX));
    message.emit(&mut encoder).ok()?;
    let count = bytes.get(ANSWERS)?.try_into().ok()?;
    Some(usize::from(u16::from_be_bytes(count)))
}

fn failed(message: &Message) -> Message {
    let mut failed = message.truncate();
    failed.metadata.truncation = false;
    failed.metadata.response_code = ResponseCode::ServFail;
    failed
}
