//! Types and values of keys and data as nf_tables holds them.

use std::net::{Ipv4Addr, Ipv6Addr};

use netstate::nft::{DataType, Set, Value};
use netstate::{LinkName, Mac};

use crate::netlink::wire::{append, text};

/// Bits that one type takes in the number of a concatenation (`TYPE_BITS`, nft `datatype.h`).
const TYPE_BITS: u32 = 6;
/// `IFNAMSIZ`.
pub(super) const IFNAME_LENGTH: usize = 16;

/// Type number (`enum datatypes`, nft `datatype.h`; the kernel only keeps it) and length in bytes.
fn traits(data_type: DataType) -> (u32, usize) {
    match data_type {
        DataType::Ipv4Addr => (7, 4),
        DataType::Ipv6Addr => (8, 16),
        DataType::EtherAddr => (9, 6),
        DataType::InetProto => (12, 1),
        DataType::InetService => (13, 2),
        DataType::Ifname => (41, IFNAME_LENGTH),
        // `integer`: of whichever length.
        DataType::Vni => (4, 3),
    }
}

/// What a set is made of, as the kernel keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetShape {
    pub(crate) key_type: u32,
    pub(crate) key_length: u32,
    /// Absent from sets that are no maps.
    pub(crate) data: Option<(u32, u32)>,
}

impl SetShape {
    /// Of a set of the model.
    pub(crate) fn of(set: &Set) -> Self {
        let (key_type, key_length) = shape(&set.key);
        let data = (!set.data.is_empty()).then(|| shape(&set.data));
        Self { key_type, key_length, data }
    }
}

/// The types that a number and a length in bytes stand for; `None` where the model lacks one.
pub(super) fn types(mut number: u32, length: u32) -> Option<Vec<DataType>> {
    let mut types = Vec::new();
    while number != 0 {
        let low = number & ((1 << TYPE_BITS) - 1);
        let known = KNOWN.into_iter().find(|t| traits(*t).0 == low)?;
        types.insert(0, known);
        number >>= TYPE_BITS;
    }
    (shape(&types).1 == length).then_some(types)
}

/// `enum byteorder` (nft `datatype.h`): of one type its own, of a concatenation none.
pub(super) fn byte_order(types: &[DataType]) -> u32 {
    const HOST: u32 = 1;
    const BIG: u32 = 2;
    match types {
        [DataType::Ifname] => HOST,
        [_] => BIG,
        _ => 0,
    }
}

/// A key, or data: parts of a concatenation each begin at a multiple of 4 bytes.
pub(crate) fn encode(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_at_end(&mut bytes, values);
    bytes
}

/// The same at the end of what is there.
pub(super) fn encode_at_end(out: &mut Vec<u8>, values: &[Value]) {
    let start = out.len();
    for value in values {
        plain(out, value);
        if values.len() > 1 {
            while !(out.len() - start).is_multiple_of(4) {
                out.push(0);
            }
        }
    }
}

/// The values in a key, or data; `None` where they cannot be these types.
pub(super) fn decode(types: &[DataType], bytes: &[u8]) -> Option<Vec<Value>> {
    let mut rest = bytes;
    let mut values = Vec::new();
    for data_type in types {
        let (_, length) = traits(*data_type);
        values.push(value(*data_type, rest.get(..length)?)?);
        let taken = if types.len() > 1 { length.next_multiple_of(4) } else { length };
        rest = rest.get(taken..)?;
    }
    Some(values)
}

/// One value without padding.
fn plain(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Ipv4(ip) => append(out, ip.octets()),
        Value::Ipv6(ip) => out.extend_from_slice(&ip.octets()),
        Value::Mac(mac) => append(out, mac.0),
        Value::Proto(number) => out.push(*number),
        Value::Port(number) => append(out, number.to_be_bytes()),
        Value::Vni(number) => {
            let [_, bytes @ ..] = number.to_be_bytes();
            append(out, bytes);
        }
        Value::Ifname(name) => {
            let end = out.len() + IFNAME_LENGTH;
            out.extend_from_slice(name.as_str().as_bytes());
            out.resize(end, 0);
        }
    }
}

/// Bytes that a field or type takes in a register or key.
pub(super) fn length(data_type: DataType) -> usize {
    traits(data_type).1
}

const KNOWN: [DataType; 7] = [
    DataType::Ipv4Addr,
    DataType::Ipv6Addr,
    DataType::EtherAddr,
    DataType::InetProto,
    DataType::InetService,
    DataType::Ifname,
    DataType::Vni,
];

fn shape(types: &[DataType]) -> (u32, u32) {
    let mut number = 0;
    let mut total = 0;
    for data_type in types {
        let (own, length) = traits(*data_type);
        number = (number << TYPE_BITS) | own;
        total += if types.len() > 1 { length.next_multiple_of(4) } else { length };
    }
    (number, u32::try_from(total).unwrap_or(u32::MAX))
}

fn value(data_type: DataType, bytes: &[u8]) -> Option<Value> {
    Some(match data_type {
        DataType::Ipv4Addr => Value::Ipv4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        DataType::Ipv6Addr => Value::Ipv6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        DataType::EtherAddr => Value::Mac(Mac(bytes.try_into().ok()?)),
        DataType::InetProto => Value::Proto(*bytes.first()?),
        DataType::InetService => Value::Port(u16::from_be_bytes(bytes.try_into().ok()?)),
        DataType::Ifname => Value::Ifname(LinkName::new(text(bytes)).ok()?),
        DataType::Vni => {
            let [a, b, c] = bytes.try_into().ok()?;
            Value::Vni(u32::from_be_bytes([0, a, b, c]))
        }
    })
}
