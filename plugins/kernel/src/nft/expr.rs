//! The expressions of the kernel's virtual machine that rules are made of.

use super::{LIST_ELEM, put_data};
use crate::netlink::wire::Writer;

/// `NFT_META_*`.
pub(super) mod meta {
    pub(crate) const PROTOCOL: u32 = 1;
    pub(crate) const MARK: u32 = 3;
    pub(crate) const IIFNAME: u32 = 6;
    pub(crate) const OIFNAME: u32 = 7;
    pub(crate) const IIFTYPE: u32 = 8;
    pub(crate) const NFPROTO: u32 = 15;
    pub(crate) const L4PROTO: u32 = 16;
}

/// `NFT_PAYLOAD_*`.
pub(super) mod base {
    pub(crate) const LINK: u32 = 0;
    pub(crate) const NETWORK: u32 = 1;
    pub(crate) const TRANSPORT: u32 = 2;
}

/// `NFT_CT_*`.
pub(super) mod ct {
    pub(crate) const STATE: u32 = 0;
    pub(crate) const STATUS: u32 = 2;
}

/// The register that everything is compared in (`NFT_REG_1`), of 16 bytes, followed by three more.
pub(super) const FIRST: u32 = 1;

/// The register at so many bytes after the start of the first: those of 16 bytes have numbers of
/// their own, the rest is counted in 4 bytes (`enum nft_registers`).
pub(super) fn register(offset: usize) -> u32 {
    const WORDS: u32 = 8; // NFT_REG32_00
    let words = u32::try_from(offset / 4).unwrap_or(u32::MAX);
    if words.is_multiple_of(4) { FIRST + words / 4 } else { WORDS + words }
}

/// `==` or `!=` (`NFT_CMP_EQ`, `NFT_CMP_NEQ`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cmp {
    Equal,
    Different,
}

/// Verdicts (`NF_*`, `NFT_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    Accept,
    Drop,
    Return,
    Jump(&'a str),
}

pub(super) fn meta(list: &mut Writer<'_>, key: u32, to: u32) {
    const DREG: u16 = 1;
    const KEY: u16 = 2;
    expression(list, "meta", |w| {
        w.be32(KEY, key).be32(DREG, to);
    });
}

pub(super) fn payload(list: &mut Writer<'_>, base: u32, offset: u32, length: u32, to: u32) {
    const DREG: u16 = 1;
    const BASE: u16 = 2;
    const OFFSET: u16 = 3;
    const LEN: u16 = 4;
    expression(list, "payload", |w| {
        w.be32(DREG, to).be32(BASE, base).be32(OFFSET, offset).be32(LEN, length);
    });
}

pub(super) fn cmp(list: &mut Writer<'_>, op: Cmp, value: &[u8]) {
    const SREG: u16 = 1;
    const OP: u16 = 2;
    const DATA: u16 = 3;
    expression(list, "cmp", |w| {
        w.be32(SREG, FIRST).be32(OP, u32::from(op == Cmp::Different));
        put_data(w, DATA, value);
    });
}

/// `register = register & mask`.
pub(super) fn mask(list: &mut Writer<'_>, mask: &[u8]) {
    const SREG: u16 = 1;
    const DREG: u16 = 2;
    const LEN: u16 = 3;
    const MASK: u16 = 4;
    const XOR: u16 = 5;
    expression(list, "bitwise", |w| {
        w.be32(SREG, FIRST).be32(DREG, FIRST);
        w.be32(LEN, u32::try_from(mask.len()).unwrap_or(u32::MAX));
        put_data(w, MASK, mask);
        put_data(w, XOR, &vec![0; mask.len()]);
    });
}

/// Looks the key up that begins in the first register; a map's data is put there.
pub(super) fn lookup(list: &mut Writer<'_>, set: &str, to: Option<u32>, invert: bool) {
    const SET: u16 = 1;
    const SREG: u16 = 2;
    const DREG: u16 = 3;
    const FLAGS: u16 = 5;
    expression(list, "lookup", |w| {
        w.str(SET, set).be32(SREG, FIRST);
        if let Some(to) = to {
            w.be32(DREG, to);
        }
        if invert {
            w.be32(FLAGS, 1);
        }
    });
}

pub(super) fn ct(list: &mut Writer<'_>, key: u32) {
    const DREG: u16 = 1;
    const KEY: u16 = 2;
    expression(list, "ct", |w| {
        w.be32(KEY, key).be32(DREG, FIRST);
    });
}

/// The type of the destination address (`RTN_*`).
pub(super) fn fib_daddr_type(list: &mut Writer<'_>) {
    const DREG: u16 = 1;
    const RESULT: u16 = 2;
    const FLAGS: u16 = 3;
    const DADDR: u32 = 2; // NFTA_FIB_F_DADDR
    const ADDRTYPE: u32 = 3; // NFT_FIB_RESULT_ADDRTYPE
    expression(list, "fib", |w| {
        w.be32(FLAGS, DADDR).be32(RESULT, ADDRTYPE).be32(DREG, FIRST);
    });
}

/// Destination translation to the address in the first register and the port in another.
pub(super) fn dnat(list: &mut Writer<'_>, family: u8, port: u32) {
    const DNAT: u32 = 1; // NFT_NAT_DNAT
    nat(list, DNAT, family, Some(port));
}

/// Source translation to the address in the first register.
pub(super) fn snat(list: &mut Writer<'_>, family: u8) {
    const SNAT: u32 = 0; // NFT_NAT_SNAT
    nat(list, SNAT, family, None);
}

fn nat(list: &mut Writer<'_>, kind: u32, family: u8, port: Option<u32>) {
    const TYPE: u16 = 1;
    const FAMILY: u16 = 2;
    const REG_ADDR_MIN: u16 = 3;
    const REG_PROTO_MIN: u16 = 5;
    expression(list, "nat", |w| {
        w.be32(TYPE, kind).be32(FAMILY, family.into()).be32(REG_ADDR_MIN, FIRST);
        if let Some(port) = port {
            w.be32(REG_PROTO_MIN, port);
        }
    });
}

pub(super) fn masquerade(list: &mut Writer<'_>, fully_random: bool) {
    const FLAGS: u16 = 1;
    const PROTO_RANDOM_FULLY: u32 = 1 << 4; // NF_NAT_RANGE_PROTO_RANDOM_FULLY
    expression(list, "masq", |w| {
        if fully_random {
            w.be32(FLAGS, PROTO_RANDOM_FULLY);
        }
    });
}

pub(super) fn counter(list: &mut Writer<'_>) {
    const BYTES: u16 = 1;
    const PACKETS: u16 = 2;
    expression(list, "counter", |w| {
        w.be64(BYTES, 0).be64(PACKETS, 0);
    });
}

pub(super) fn verdict(list: &mut Writer<'_>, verdict: Verdict<'_>) {
    const DREG: u16 = 1;
    const DATA: u16 = 2;
    const DATA_VERDICT: u16 = 2;
    const CODE: u16 = 1;
    const CHAIN: u16 = 2;
    let (code, chain) = match verdict {
        Verdict::Drop => (0_i32, None),
        Verdict::Accept => (1, None),
        Verdict::Jump(chain) => (-3, Some(chain)),
        Verdict::Return => (-5, None),
    };
    expression(list, "immediate", |w| {
        w.be32(DREG, 0).nest(DATA, |w| {
            w.nest(DATA_VERDICT, |w| {
                w.bytes(CODE, &code.to_be_bytes());
                if let Some(chain) = chain {
                    w.str(CHAIN, chain);
                }
            });
        });
    });
}

fn expression(list: &mut Writer<'_>, name: &str, write: impl FnOnce(&mut Writer<'_>)) {
    const NAME: u16 = 1;
    const DATA: u16 = 2;
    list.nest(LIST_ELEM, |w| {
        w.str(NAME, name).nest(DATA, |w| write(w));
    });
}
