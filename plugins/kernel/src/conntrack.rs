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

mod message;

use std::collections::BTreeSet;
use std::net::IpAddr;

use netstate::Ns;
use rustix::io::Errno;

use self::message::{
    DELETE, GET, GET_STATS, STATS_ENTRIES, attributes, exact, header, udp_destination, write_filter,
};
use crate::Kernel;
use crate::error::{Error, Kind, Refusal};
use crate::netlink::{Batch, Socket, flag};

/// Ports from which one dump is cheaper than a filter each.
const MANY: usize = 32;
/// Entries remembered of one dump, and dumps: bounds on memory and time. More entries than the
/// product are not of one host.
const ENTRIES: usize = 8192;
const ROUNDS: usize = 256;
/// Deletions in one batch: the answers to all of them fit the socket's buffer.
const CHUNK: usize = 128;

const DELETE_ALL: &str = "delete udp conntrack entries";

/// A port as published on the host: at one address, or at all of the family.
pub type HostPort = (Option<IpAddr>, u16);

impl Kernel {
    /// Deletes the conntrack entries of the host's namespace that are of protocol UDP, of that
    /// family, and whose original destination is one of the ports (and its address, where given
    /// and not `0.0.0.0` or `::`), in all zones. Costs one walk over the kernel's table for each,
    /// or a bounded number of walks where they are many. Without conntrack in the kernel there is
    /// nothing to do.
    ///
    /// # Errors
    /// The kernel refused to list or to delete; what was deleted before stays deleted.
    pub fn flush_udp_ports(&mut self, ipv4: bool, ports: &[HostPort]) -> Result<(), Error> {
        if ports.is_empty() {
            return Ok(());
        }
        flush_on(self.netfilter(&Ns::Host)?, ipv4, ports)
    }
}

fn flush_on(socket: &mut Socket, ipv4: bool, ports: &[HostPort]) -> Result<(), Error> {
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
    batch.push_with(GET_STATS, 0, |out| out.extend_from_slice(&header(true)));
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
    let mut request = Batch::default();
    request.push_with(GET, flag::DUMP, |out| write_filter(out, ipv4, wanted));
    socket.dump_batch(request, |found: &mut Vec<Vec<u8>>, _, body| {
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

fn action((ip, port): HostPort) -> String {
    match ip {
        Some(ip) => format!("delete conntrack entries of udp {ip} port {port}"),
        None => format!("delete conntrack entries of udp port {port}"),
    }
}

#[cfg(test)]
mod tests;
