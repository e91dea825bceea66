//! What an attachment has in a zone of firewalld, and how its record tells of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;

use attach::Record;
use cni::{Code, Error, Request};
use ipnetwork::IpNetwork;

use super::conf::{Backend, Conf};
use super::firewalld::Firewalld;

/// Notes in the record: the zone, and the addresses that were put in it.
const ZONE: &str = "firewalldZone";
const SOURCES: &str = "firewalldSources";

/// The firewalld to use, if any is.
pub(super) fn firewalld(backend: Backend) -> Result<Option<Firewalld>, Error> {
    match backend {
        Backend::Tables => Ok(None),
        // A bus that cannot be used is as good as none, unless firewalld was asked for.
        Backend::Auto => Ok(connect().unwrap_or_else(|e| {
            let _ = writeln!(std::io::stderr(), "firewall: firewalld is passed over: {e}");
            None
        })),
        Backend::Firewalld => connect()?
            .map(Some)
            .ok_or_else(|| Error::config("backend is \"firewalld\", and firewalld does not run")),
    }
}

/// Whether firewalld runs, and talks to us.
pub(super) fn connect() -> Result<Option<Firewalld>, Error> {
    Firewalld::connect().map_err(|e| Error::caused_by(Code::Internal, &e))
}

/// Notes for the record, of addresses that are about to be put in the zone.
pub(super) fn notes(zone: &str, addrs: &[IpAddr]) -> BTreeMap<String, String> {
    let sources: Vec<String> = addrs.iter().map(ToString::to_string).collect();
    BTreeMap::from([(ZONE.to_owned(), zone.to_owned()), (SOURCES.to_owned(), sources.join(" "))])
}

/// Puts addresses in the zone.
pub(super) fn enter(firewalld: &mut Firewalld, zone: &str, addrs: &[IpAddr]) -> Result<(), Error> {
    for addr in addrs {
        let added = firewalld.add_source(zone, IpNetwork::from(*addr));
        added.map_err(|e| Error::caused_by(Code::Internal, &e))?;
    }
    Ok(())
}

/// Whether all addresses are in the zone; an error names the first that is not.
pub(super) fn check(firewalld: &mut Firewalld, zone: &str, addrs: &[IpAddr]) -> Result<(), Error> {
    for addr in addrs {
        let there = firewalld.query_source(zone, IpNetwork::from(*addr));
        if !there.map_err(|e| Error::caused_by(Code::Internal, &e))? {
            let text = format!("firewalld's zone {zone:?} has no source {addr}");
            return Err(Error::internal(text));
        }
    }
    Ok(())
}

/// Takes out what a record tells of.
pub(super) fn leave_own(record: &Record) -> Result<(), Error> {
    leave(sources_of(record))
}

/// Takes out what the reference would have put there, for an attachment that it made.
pub(super) fn leave_of_result(request: &Request) -> Result<(), Error> {
    leave(sources_of_result(request))
}

fn sources_of(record: &Record) -> Option<(String, Vec<IpAddr>)> {
    let zone = record.notes.get(ZONE)?.clone();
    let sources = record.notes.get(SOURCES)?;
    Some((zone, sources.split(' ').filter_map(|s| s.parse().ok()).collect()))
}

fn sources_of_result(request: &Request) -> Option<(String, Vec<IpAddr>)> {
    let conf = Conf::of(request).ok()?;
    let prev = request.prev_result.as_ref()?;
    let in_zone = conf.backend != Backend::Tables;
    in_zone.then(|| (conf.zone, prev.ips.iter().map(|ip| ip.address.addr).collect()))
}

fn leave(sources: Option<(String, Vec<IpAddr>)>) -> Result<(), Error> {
    let Some((zone, sources)) = sources else { return Ok(()) };
    // Without firewalld there is no zone either.
    let Some(mut firewalld) = connect()? else { return Ok(()) };
    let mut left = Ok(());
    for addr in sources {
        if let Err(e) = firewalld.remove_source(&zone, IpNetwork::from(addr)) {
            left = Err(Error::caused_by(Code::Internal, &e));
        }
    }
    left
}
