//! JSON as Go reads it, which is what every CNI configuration in the field was tested with.
//!
//! [`parse`] keeps a document as it was written; [`decode()`] turns it into a Rust type:
//!
//! * keys match the fields of a struct without regard to (ASCII) case; of several keys that match
//!   the same field the last one wins. Keys of maps are data and keep their case;
//! * `null` means "not set": the field is as if absent;
//! * keys without a field are ignored;
//! * everything else is strict: `1.0` and `"1"` are no integers. The error is code 6 and names the
//!   path and the value: `ipam.ranges[0][0].subnet: expected a string, got 7`.
//!
//! Two differences to Go are left: half of a surrogate pair (`"\ud800"`) is refused where Go reads
//! U+FFFD, and so is `-0` for an integer.
//!
//! `#[serde(flatten)]` makes serde ask for a map instead of a struct, so such types match keys
//! exactly; give optional fields `#[serde(default)]`.

mod decode;
mod fault;
mod inside;
mod object;
mod sink;
mod value;

pub use object::Object;
pub use value::Value;

use crate::error::Error;
use decode::{Decoder, Path};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sink::Sink;

/// Reads a document. Bytes that are no UTF-8 become U+FFFD.
///
/// # Errors
/// Code 6 when the text is no single JSON value, or is nested deeper than 127 levels.
pub fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let text = String::from_utf8_lossy(bytes);
    serde_json::from_str(&text).map_err(|error| Error::decoding(error.to_string()))
}

/// Turns a value into a Rust type by the rules above.
///
/// # Errors
/// Code 6, naming the path of the offending value and the value.
pub fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    decode_at("", value)
}

/// As [`decode()`], for a value that was found at `path` of a larger document; the path is only for
/// error texts.
///
/// # Errors
/// As [`decode()`].
pub fn decode_at<T: DeserializeOwned>(path: &str, value: &Value) -> Result<T, Error> {
    let root = Path::Root(path);
    T::deserialize(Decoder::new(value, &root))
        .map_err(|fault| Error::decoding(fault.at(&root, value).to_string()))
}

/// Decodes the member `key` (in any case) of `value`, the object found at `path`; `None` when it
/// is absent or null, or when `value` is no object.
///
/// # Errors
/// As [`decode()`].
pub fn decode_field<T: DeserializeOwned>(
    path: &str,
    value: &Value,
    key: &str,
) -> Result<Option<T>, Error> {
    let Some(member) = value.field(key) else { return Ok(None) };
    decode_at(&join(path, key), member).map(Some)
}

/// Writes a value as CNI prints it: indented by four spaces, no newline at the end.
pub fn pretty(value: &impl Serialize) -> String {
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    String::from_utf8(written(value, indent)).unwrap_or_default()
}

/// Writes a value for programs, without white space.
pub fn compact(value: &impl Serialize) -> Vec<u8> {
    written(value, serde_json::ser::CompactFormatter)
}

fn written(value: &impl Serialize, format: impl serde_json::ser::Formatter) -> Vec<u8> {
    let mut sink = Sink(Vec::with_capacity(512));
    let mut serializer = serde_json::Serializer::with_formatter(&mut sink, format);
    // Writing to memory cannot fail, and what is given here has only string keys.
    let written = value.serialize(&mut serializer);
    debug_assert!(written.is_ok(), "a value without a JSON form");
    sink.0
}

/// `path.key`, or `key` at the root.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests;
