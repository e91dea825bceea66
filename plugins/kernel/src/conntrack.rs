//! Forgets UDP flows: deletes conntrack entries by their original destination port.
//!
//! A UDP client that keeps sending from one port keeps its conntrack entry, and with it the
//! translation of a container that is gone, or none (plugins#123, plugins#1190). Which ports that
//! concerns is decided by others.
//!
//! The kernel has no index by port: every way is a walk over its one hash table, shared by all
//! namespaces. One message that deletes by filter skips empty buckets, a dump locks each of them:
//! in a table of 262,144 buckets 0.01 to 0.2 ms and 10 ms where there are few flows, 37 ms each
//! at 100,000 (Linux 6.18). So the dump is for what the message cannot do.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::Emitable;
use rustix::io::Errno;

use crate::error::{Error, Kind, Refusal};
use crate::netlink::wire::{Attrs, Writer};
use crate::netlink::{Batch, Protocol, Socket};

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET` and the like
/// (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`).
const GET: u16 = 0x101;
const DELETE: u16 = 0x102;
const GET_STATS: u16 = 0x105;

/// `CTA_TUPLE_ORIG`, `CTA_ID`, `CTA_ZONE`, `CTA_FILTER` (`enum ctattr_type`).
const TUPLE_ORIG: u16 = 1;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
/// `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO`.
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
/// `CTA_IP_V4_DST`, `CTA_IP_V6_DST`.
const V4_DST: u16 = 2;
const V6_DST: u16 = 4;
/// `CTA_PROTO_NUM`, `CTA_PROTO_DST_PORT`.
const PROTO_NUM: u16 = 1;
const PROTO_DST_PORT: u16 = 3;
/// `CTA_FILTER_ORIG_FLAGS`, and its `CTA_FILTER_F_CTA_*` (`net/netfilter/nf_internals.h`).
const FILTER_ORIG_FLAGS: u16 = 1;
const FILTER_IP_DST: u32 = 1 << 1;
const FILTER_PROTO_NUM: u32 = 1 << 3;
const FILTER_PROTO_DST_PORT: u32 = 1 << 5;
/// `CTA_STATS_GLOBAL_ENTRIES`.
const STATS_ENTRIES: u16 = 1;

/// `struct nfgenmsg`.
const GENERIC_HEADER: usize = 4;
const UDP: u8 = 17;

const DELETE_ALL: &str = "delete udp conntrack entries";

/// Ports from which one dump is cheaper than a filter each.
const MANY: usize = 32;
/// Entries remembered of one dump, and dumps: bounds on memory and time. More entries than the
/// product are not of one host.
const ENTRIES: usize = 8192;
const ROUNDS: usize = 256;
/// Deletions in one batch: the answers to all of them fit the socket's buffer.
const CHUNK: usize = 128;

/// A port as published on the host: at one address, or at all of the family.
pub type HostPort = (Option<IpAddr>, u16);

/// Deletes the conntrack entries of the calling thread's namespace that are of protocol UDP, of
/// that family, and whose original destination is `host_port` (and `host_ip`, where given and not
/// `0.0.0.0` or `::`), in all zones. Without conntrack in the kernel there is nothing to do.
///
/// # Errors
/// The kernel refused to list or to delete; what was deleted before stays deleted.
pub fn flush_udp(ipv4: bool, host_ip: Option<IpAddr>, host_port: u16) -> Result<(), Error> {
    flush_udp_ports(ipv4, &[(host_ip, host_port)])
}

/// Like [`flush_udp`], for several ports. Costs one walk over the kernel's table for each of them,
/// or a bounded number of walks where they are many.
///
/// # Errors
/// As [`flush_udp`].
pub fn flush_udp_ports(ipv4: bool, ports: &[HostPort]) -> Result<(), Error> {
    match Socket::open(Protocol::Netfilter) {
        Ok(mut socket) => flush_on(&mut socket, ipv4, ports),
        Err(Errno::PROTONOSUPPORT) => Ok(()),
        Err(e) => Err(Error::os("open a netfilter socket", e)),
    }
}

/// Like [`flush_udp_ports`], in the namespace of a netfilter socket that is open already. Closing
/// one waits where somebody has deleted nf_tables objects: have one, and close it last.
///
/// # Errors
/// As [`flush_udp`].
pub(crate) fn flush_on(socket: &mut Socket, ipv4: bool, ports: &[HostPort]) -> Result<(), Error> {
    let ports: BTreeSet<HostPort> =
        ports.iter().filter_map(|(ip, port)| Some((address(ipv4, *ip)?, *port))).collect();
    if ports.is_empty() || entries(socket)? == 0 {
        return Ok(());
    }
    let (simple, mut rest): (BTreeSet<_>, BTreeSet<_>) =
        ports.into_iter().partition(|(ip, _)| ipv4 || ip.is_none());
    if simple.len() < MANY && rest.is_empty() {
        for port in simple {
            if !flush_by_filter(socket, ipv4, port)? {
                rest.insert(port);
            }
        }
    } else {
        rest.extend(simple);
    }
    if rest.is_empty() { Ok(()) } else { flush_by_dump(socket, ipv4, &rest) }
}

/// What to look for; nothing where the address is of the other family.
fn address(ipv4: bool, ip: Option<IpAddr>) -> Option<Option<IpAddr>> {
    match ip {
        Some(ip) if ip.is_ipv4() != ipv4 => None,
        Some(ip) if ip.is_unspecified() => Some(None),
        ip => Some(ip),
    }
}

/// How many entries the namespace has; 0 where this kernel has no conntrack: nfnetlink answers
/// `EINVAL` for a subsystem it does not have (`nfnetlink_rcv_msg()`).
fn entries(socket: &mut Socket) -> Result<u32, Error> {
    let action = "count the conntrack entries";
    let mut batch = Batch::default();
    batch.push_with(GET_STATS, 0, |out| out.extend_from_slice(&[0; GENERIC_HEADER]));
    let replies = socket.exchange(batch, 0).map_err(|e| Error::os(action, e))?;
    match replies.first_refusal() {
        Some((_, r)) if r.is(Errno::INVAL) || r.is(Errno::OPNOTSUPP) => return Ok(0),
        Some((_, refusal)) => return Err(Error::refused(action, refusal.clone())),
        None => {}
    }
    let count = replies.data.first().and_then(|(_, _, body)| attributes(body).be32(STATS_ENTRIES));
    // Only 0 means anything here.
    Ok(count.unwrap_or(u32::MAX))
}

/// One message that deletes all that fit. False where this kernel does not know it: an older one
/// takes the tuple for a whole one, and refuses it since most of it is missing.
fn flush_by_filter(socket: &mut Socket, ipv4: bool, port: HostPort) -> Result<bool, Error> {
    let mut batch = Batch::default();
    batch.push_with(DELETE, 0, |out| write_filter(out, ipv4, Some(port)));
    let replies = socket.exchange(batch, 0).map_err(|e| Error::os(action(port), e))?;
    match replies.first_refusal() {
        None => Ok(true),
        Some((_, r)) if r.is(Errno::INVAL) || r.is(Errno::OPNOTSUPP) => Ok(false),
        Some((_, refusal)) => Err(Error::refused(action(port), refusal.clone())),
    }
}

/// Lists the entries and deletes those that fit, each by its tuple and its number.
fn flush_by_dump(socket: &mut Socket, ipv4: bool, ports: &BTreeSet<HostPort>) -> Result<(), Error> {
    for _ in 0..ROUNDS {
        let found = find(socket, ipv4, ports)
            .map_err(|refusal| Error::refused("list udp conntrack entries", refusal))?;
        for chunk in found.chunks(CHUNK) {
            delete(socket, ipv4, chunk)?;
        }
        if found.len() < ENTRIES {
            return Ok(());
        }
    }
    Err(Error::found(DELETE_ALL, Kind::Interrupted, "more come than are deleted"))
}

/// The attributes by which to delete what fits: at most [`ENTRIES`] of them.
fn find(
    socket: &mut Socket,
    ipv4: bool,
    ports: &BTreeSet<HostPort>,
) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut only = ports.iter();
    let single = only.next().filter(|_| only.next().is_none());
    // The filter saves time only: kernels before 5.8 ignore it, and for IPv6 addresses it finds
    // the opposite (`ctnetlink_filter_match_tuple()`), so they are left out of it.
    let wanted = single.map(|(ip, port)| (ip.filter(IpAddr::is_ipv4), *port));
    let mut request = Request(Vec::new());
    write_filter(&mut request.0, ipv4, wanted);
    socket.dump(GET, &request, |found: &mut Vec<Vec<u8>>, _, body| {
        let attrs = attributes(body);
        if found.len() < ENTRIES
            && let Some((ip, port)) = udp_destination(attrs)
            && (ports.contains(&(None, port)) || ports.contains(&(Some(ip), port)))
        {
            found.push(exact(attrs));
        }
    })
}

fn delete(socket: &mut Socket, ipv4: bool, entries: &[Vec<u8>]) -> Result<(), Error> {
    let mut batch = Batch::default();
    for entry in entries {
        batch.push_with(DELETE, 0, |out| {
            out.extend_from_slice(&header(ipv4));
            out.extend_from_slice(entry);
        });
    }
    let replies = socket.exchange(batch, 0).map_err(|e| Error::os(DELETE_ALL, e))?;
    // An entry that is gone, or that another has taken the place of, was not to be deleted.
    let refusal = replies.results.into_iter().filter_map(Result::err).find(|r| !r.is(Errno::NOENT));
    refusal.map_or(Ok(()), |refusal| Err(Error::refused(DELETE_ALL, refusal)))
}

/// A request about UDP flows to one port, or to all.
fn write_filter(out: &mut Vec<u8>, ipv4: bool, port: Option<HostPort>) {
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
fn exact(attrs: Attrs<'_>) -> Vec<u8> {
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
fn udp_destination(attrs: Attrs<'_>) -> Option<(IpAddr, u16)> {
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

/// The body of a request.
struct Request(Vec<u8>);

impl Emitable for Request {
    fn buffer_len(&self) -> usize {
        self.0.len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.0);
    }
}

fn attributes(body: &[u8]) -> Attrs<'_> {
    Attrs(body.get(GENERIC_HEADER..).unwrap_or_default())
}

/// `struct nfgenmsg` with `AF_INET` or `AF_INET6`.
fn header(ipv4: bool) -> [u8; GENERIC_HEADER] {
    [if ipv4 { 2 } else { 10 }, 0, 0, 0]
}

fn action((ip, port): HostPort) -> String {
    match ip {
        Some(ip) => format!("delete conntrack entries of udp {ip} port {port}"),
        None => format!("delete conntrack entries of udp port {port}"),
    }
}

#[cfg(test)]
mod tests;
