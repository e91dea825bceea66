//! A client of firewalld: puts addresses in a zone and takes them out, by D-Bus.
//!
//! It decides what firewalld's answers mean: an address that is there already was added, one that
//! is in no zone was removed. It must not start firewalld, wait without bound, or cost a container
//! anything where no bus runs (two system calls). What it adds is runtime state only: firewalld
//! forgets it on reload and restart.
//!
//! The D-Bus part ([`bus`], [`wire`], [`address`]) is our own because the crate `rustbus` (0.19)
//! has no bound for the login and for the size of messages, spins for ever on a bus that hangs up
//! during the login and panics on one that sends no UTF-8 there (our panics abort, without a CNI
//! error), does not read `DBUS_SYSTEM_BUS_ADDRESS`, brings nix 0.26, thiserror 1 and syn 1, and
//! makes the program larger by 140 kB where this does by 60.

mod address;
mod bus;
mod wire;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use ipnetwork::IpNetwork;
use thiserror::Error;

use address::Address;
use bus::{Bus, BusError};
use wire::{Call, First};

/// firewalld's well-known name on the bus.
const SERVICE: &str = "org.fedoraproject.FirewallD1";
/// Longest wait for the login, and then for each answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where the bus listens when nobody says otherwise: what D-Bus calls `/var/run`, and is a link
/// to `/run` on most systems but not on all.
const DEFAULT_BUS: &[u8] =
    b"unix:path=/run/dbus/system_bus_socket;unix:path=/var/run/dbus/system_bus_socket";

/// Why firewalld could not be asked, or what it refused.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The environment names no bus that can be reached.
    #[error("read the bus address DBUS_SYSTEM_BUS_ADDRESS={list:?}: {why}")]
    Address { list: String, why: &'static str },
    /// There is a bus, but it does not talk to us.
    #[error("log in to the system bus at {address}")]
    Login {
        address: Address,
        #[source]
        source: BusError,
    },
    /// The call failed, or firewalld refused it.
    #[error("{action}")]
    Call {
        action: String,
        #[source]
        source: BusError,
    },
}

/// A connection to the system bus on which firewalld answers.
#[derive(Debug)]
pub(crate) struct Firewalld {
    bus: Bus,
}

impl Firewalld {
    /// Connects; `None` where no bus runs, or none that knows firewalld.
    ///
    /// The bus is `DBUS_SYSTEM_BUS_ADDRESS` as the D-Bus specification 0.43 has it ("Server
    /// Addresses"; only its `unix:path=` and `unix:abstract=`), else the system's.
    ///
    /// # Errors
    ///
    /// When the address cannot be read, or a bus is there and refuses us or breaks its protocol.
    pub(crate) fn connect() -> Result<Option<Self>, Error> {
        Self::connect_to(std::env::var_os("DBUS_SYSTEM_BUS_ADDRESS").as_deref(), PATIENCE)
    }

    fn connect_to(list: Option<&OsStr>, patience: Duration) -> Result<Option<Self>, Error> {
        let list = list.map_or(DEFAULT_BUS, |list| list.as_bytes());
        // Set but empty counts as unset, as in libdbus.
        let list = if list.is_empty() { DEFAULT_BUS } else { list };
        let addresses = address::parse(list).map_err(|why| Error::Address {
            list: String::from_utf8_lossy(list).into_owned(),
            why,
        })?;
        let mut failed = None;
        for address in addresses {
            match Bus::open(&address, patience) {
                Ok(Some(bus)) => return Self::where_it_runs(bus),
                Ok(None) => {}
                Err(source) => failed = failed.or(Some(Error::Login { address, source })),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    fn where_it_runs(mut bus: Bus) -> Result<Option<Self>, Error> {
        let owned = bus.call(&bus::method("NameHasOwner", &[SERVICE])).and_then(flag);
        let owned = owned.map_err(|source| Error::Call {
            action: format!("ask the system bus whether {SERVICE} runs"),
            source,
        })?;
        Ok(owned.then_some(Self { bus }))
    }

    /// Puts `net` in `zone`; nothing happens when it is there already.
    ///
    /// # Errors
    ///
    /// When there is no such zone, `net` is in another zone, or firewalld does not answer (then
    /// it may still add it later: remove it).
    pub(crate) fn add_source(&mut self, zone: &str, net: IpNetwork) -> Result<(), Error> {
        let done = self.call("addSource", zone, net).map(drop);
        unless(done, &["ZONE_ALREADY_SET"])
            .map_err(|e| e.doing(format!("add {net} to firewalld's zone {zone:?}")))
    }

    /// Takes `net` out of `zone`; nothing happens when it is not there, or firewalld has gone.
    ///
    /// # Errors
    ///
    /// When firewalld refuses it for another reason or does not answer.
    pub(crate) fn remove_source(&mut self, zone: &str, net: IpNetwork) -> Result<(), Error> {
        let done = self.call("removeSource", zone, net).map(drop);
        // In no zone; in another zone, which is not ours to change; no such zone.
        let done = unless(done, &["UNKNOWN_SOURCE", "ZONE_CONFLICT", "INVALID_ZONE"]);
        match done {
            Err(BusError::Fault { name, .. }) if GONE.contains(&name.as_str()) => Ok(()),
            done => {
                done.map_err(|e| e.doing(format!("remove {net} from firewalld's zone {zone:?}")))
            }
        }
    }

    /// Tells whether `net` is in `zone`.
    ///
    /// # Errors
    ///
    /// When there is no such zone or firewalld does not answer.
    pub(crate) fn query_source(&mut self, zone: &str, net: IpNetwork) -> Result<bool, Error> {
        let answer = self.call("querySource", zone, net).and_then(flag);
        answer.map_err(|e| e.doing(format!("ask whether {net} is in firewalld's zone {zone:?}")))
    }

    fn call(&mut self, member: &str, zone: &str, net: IpNetwork) -> Result<First, BusError> {
        self.bus.call(&Call {
            destination: SERVICE,
            path: "/org/fedoraproject/FirewallD1",
            interface: "org.fedoraproject.FirewallD1.zone",
            member,
            args: &[zone, &net.to_string()],
        })
    }
}

/// What the bus says of a service that ended, before or during the call. What it added went along.
const GONE: [&str; 3] = [
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.NoReply",
];

impl BusError {
    fn doing(self, action: String) -> Error {
        Error::Call { action, source: self }
    }
}

/// Success also where firewalld's error code is one of `codes`. Its errors all have one D-Bus
/// name; the code is the text's first word (firewalld `errors.py`, `FirewallError.get_code`).
fn unless(done: Result<(), BusError>, codes: &[&str]) -> Result<(), BusError> {
    match done {
        Err(BusError::Fault { name, text })
            if name.starts_with(SERVICE)
                && text.split(':').next().is_some_and(|code| codes.contains(&code.trim())) =>
        {
            Ok(())
        }
        done => done,
    }
}

fn flag(answer: First) -> Result<bool, BusError> {
    match answer {
        First::Flag(flag) => Ok(flag),
        First::Nothing | First::Text(_) | First::Other => {
            Err(BusError::Malformed("an answer that is not a boolean"))
        }
    }
}

#[cfg(test)]
mod tests;
