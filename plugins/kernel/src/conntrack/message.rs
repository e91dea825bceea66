//! Messages about conntrack entries: attributes of ctnetlink
//! (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::HostPort;
use crate::netlink::wire::{Attrs, Writer};

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET` and the like
/// (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`).
pub(super) const GET: u16 = 0x101;
pub(super) const DELETE: u16 = 0x102;
pub(super) const GET_STATS: u16 = 0x105;

/// `CTA_TUPLE_ORIG`, `CTA_ID`, `CTA_ZONE`, `CTA_FILTER` (`enum ctattr_type`).
pub(super) const TUPLE_ORIG: u16 = 1;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
/// `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO`.
const TUPLE_IP: u16 = 1;
pub(super) const TUPLE_PROTO: u16 = 2;
/// `CTA_IP_V4_DST`, `CTA_IP_V6_DST`.
const V4_DST: u16 = 2;
const V6_DST: u16 = 4;
/// `CTA_PROTO_NUM`, `CTA_PROTO_DST_PORT`.
const PROTO_NUM: u16 = 1;
pub(super) const PROTO_DST_PORT: u16 = 3;
/// `CTA_FILTER_ORIG_FLAGS`, and its `CTA_FILTER_F_CTA_*` (`net/netfilter/nf_internals.h`).
const FILTER_ORIG_FLAGS: u16 = 1;
const FILTER_IP_DST: u32 = 1 << 1;
const FILTER_PROTO_NUM: u32 = 1 << 3;
const FILTER_PROTO_DST_PORT: u32 = 1 << 5;
/// `CTA_STATS_GLOBAL_ENTRIES`.
pub(super) const STATS_ENTRIES: u16 = 1;

/// `struct nfgenmsg`.
const GENERIC_HEADER: usize = 4;
const UDP: u8 = 17;

/// A request about UDP flows to one port, or to all.
pub(super) fn write_filter(out: &mut Vec<u8>, ipv4: bool, port: Option<HostPort>) {
    out.extend_from_slice(&header(ipv4));
    let mut flags = FILTER_PROTO_NUM;
    let (ip, port) = (port.and_then(|p| p.0), port.map(|p| p.1));
    let mut out = Writer(out);
    out.nest(TUPLE_ORIG, |tuple| {
        if let Some(ip) = ip {
            flags |= FILTER_IP_DST;
            tuple.nest(TUPLE_IP, |inner| {
                match ip {
                    IpAddr::V4(ip) => inner.bytes(V4_DST, &ip.octets()),
                    IpAddr::V6(ip) => inner.bytes(V6_DST, &ip.octets()),
                };
            });
        }
        tuple.nest(TUPLE_PROTO, |proto| {
            proto.bytes(PROTO_NUM, &[UDP]);
            if let Some(port) = port {
                flags |= FILTER_PROTO_DST_PORT;
                proto.bytes(PROTO_DST_PORT, &port.to_be_bytes());
            }
        });
    });
    // In the machine's byte order, unlike all else here.
    out.nest(FILTER, |filter| {
        filter.ne32(FILTER_ORIG_FLAGS, flags);
    });
}

/// What names one entry and no other: its original tuple, its zone and its number.
pub(super) fn exact(attrs: Attrs<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut out = Writer(&mut bytes);
    for kind in [TUPLE_ORIG, ZONE, ID] {
        if let Some(value) = attrs.get(kind) {
            if kind == TUPLE_ORIG {
                out.nest(kind, |tuple| tuple.0.extend_from_slice(value));
            } else {
                out.bytes(kind, value);
            }
        }
    }
    bytes
}

/// Original destination, where the protocol is UDP.
pub(super) fn udp_destination(attrs: Attrs<'_>) -> Option<(IpAddr, u16)> {
    let tuple = attrs.nested(TUPLE_ORIG);
    let (ip, proto) = (tuple.nested(TUPLE_IP), tuple.nested(TUPLE_PROTO));
    if proto.get(PROTO_NUM)? != [UDP] {
        return None;
    }
    let port = u16::from_be_bytes(proto.get(PROTO_DST_PORT)?.try_into().ok()?);
    let v4 = || Some(Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(V4_DST)?).ok()?).into());
    let v6 = || Some(Ipv6Addr::from(<[u8; 16]>::try_from(ip.get(V6_DST)?).ok()?).into());
    Some((v4().or_else(v6)?, port))
}

pub(super) fn attributes(body: &[u8]) -> Attrs<'_> {
    Attrs(body.get(GENERIC_HEADER..).unwrap_or_default())
}

/// `struct nfgenmsg` with `AF_INET` or `AF_INET6`.
pub(super) fn header(ipv4: bool) -> [u8; GENERIC_HEADER] {
    [if ipv4 { 2 } else { 10 }, 0, 0, 0]
}
