//! What `nft` wants to know of a set to print it, which the kernel only keeps: items of a byte of type,
//! a byte of length, and that many bytes (libnftnl `udata.h`).

use netstate::nft::{DataType, Set};

use super::expr::base;
use super::types::byte_order;

/// `enum nftnl_udata_set_types`.
const KEY_BYTE_ORDER: u8 = 0;
const DATA_BYTE_ORDER: u8 = 1;
const KEY_TYPEOF: u8 = 3;
/// `enum nftnl_udata_set_typeof_types`: which expression, and of what.
const EXPRESSION: u8 = 0;
const OF: u8 = 1;
/// `enum expr_types` (nft `expression.h`).
const PAYLOAD: u32 = 7;
const CONCAT: u32 = 13;

pub(super) fn set_data(set: &Set) -> Vec<u8> {
    let mut data = Vec::new();
    number(&mut data, KEY_BYTE_ORDER, byte_order(&set.key));
    if !set.data.is_empty() {
        number(&mut data, DATA_BYTE_ORDER, byte_order(&set.data));
    }
    if set.key.contains(&DataType::Vni) {
        type_of(&mut data, &set.key);
    }
    data
}

/// Of what has no type by name: what is looked up. Only together with addresses, and not of a map; else `nft`
/// shows a type that it cannot read.
fn type_of(out: &mut Vec<u8>, types: &[DataType]) {
    let payloads: Option<Vec<Vec<u8>>> = types.iter().map(|it| payload(*it)).collect();
    match payloads.as_deref() {
        Some([one]) => item(out, KEY_TYPEOF, one),
        Some(several) => {
            let mut parts = Vec::new();
            for (at, part) in (0..).zip(several) {
                item(&mut parts, at, part);
            }
            item(out, KEY_TYPEOF, &expression(CONCAT, &parts));
        }
        None => {}
    }
}

/// `payload_expr_build_udata()` (nft `payload.c`).
fn payload(data_type: DataType) -> Option<Vec<u8>> {
    const HEADER: u8 = 0;
    const FIELD: u8 = 1;
    const BASE: u8 = 2;
    const OFFSET: u8 = 3;
    const LENGTH: u8 = 4;
    // `enum proto_desc_id`, and the number of the source address among the header's fields.
    let (header, field) = match data_type {
        DataType::Ipv4Addr => (12, 11),
        DataType::Ipv6Addr => (13, 8),
        DataType::Vni => (0, 0),
        DataType::EtherAddr | DataType::InetProto | DataType::InetService | DataType::Ifname => {
            return None;
        }
    };
    let mut data = Vec::new();
    number(&mut data, HEADER, header);
    number(&mut data, FIELD, field);
    if data_type == DataType::Vni {
        // In bits; `nft` counts from the packet's metadata on.
        number(&mut data, BASE, base::TRANSPORT + 1);
        number(&mut data, OFFSET, 96);
        number(&mut data, LENGTH, 24);
    }
    Some(expression(PAYLOAD, &data))
}

fn expression(kind: u32, of: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    number(&mut out, EXPRESSION, kind);
    item(&mut out, OF, of);
    out
}

fn number(out: &mut Vec<u8>, kind: u8, number: u32) {
    item(out, kind, &number.to_ne_bytes());
}

fn item(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    // A concatenation has at most four parts.
    out.extend_from_slice(&[kind, u8::try_from(value.len()).unwrap_or(u8::MAX)]);
    out.extend_from_slice(value);
}
