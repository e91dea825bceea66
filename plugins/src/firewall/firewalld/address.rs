//! Addresses of buses, as in the D-Bus specification 0.43, "Server Addresses".
//!
//! It decides which entries of a list we can use. It must not look whether anybody listens there.

use std::fmt;

use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

/// Where a bus listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A socket in the file system.
    Path(Vec<u8>),
    /// A socket in Linux' abstract namespace, which is per network namespace.
    Abstract(Vec<u8>),
}

/// Reads `transport:key=value,key=value;...`. Transports other than unix sockets are passed over
/// as long as one entry is left.
///
/// # Errors
///
/// Why the list cannot be read.
pub(super) fn parse(list: &[u8]) -> Result<Vec<Address>, &'static str> {
    let mut addresses = Vec::new();
    for entry in list.split(|b| *b == b';').filter(|entry| !entry.is_empty()) {
        addresses.extend(one(entry)?);
    }
    if addresses.is_empty() {
        return Err("none of it is unix:path=... or unix:abstract=...");
    }
    Ok(addresses)
}

impl Address {
    /// The address for the kernel.
    ///
    /// # Errors
    ///
    /// `ENAMETOOLONG` past 107 bytes, `EINVAL` for a path with a zero byte.
    pub(super) fn socket(&self) -> Result<SocketAddrUnix, Errno> {
        match self {
            Self::Path(path) => SocketAddrUnix::new(path.as_slice()),
            Self::Abstract(name) => SocketAddrUnix::new_abstract_name(name),
        }
    }
}

/// As D-Bus writes it, without escapes.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, value) = match self {
            Self::Path(path) => ("path", path),
            Self::Abstract(name) => ("abstract", name),
        };
        write!(f, "unix:{key}={}", String::from_utf8_lossy(value).escape_debug())
    }
}

/// One entry; `None` for a transport, or a kind of unix socket, that is not for clients like us.
fn one(entry: &[u8]) -> Result<Option<Address>, &'static str> {
    let (transport, keys) = split(entry, b':').ok_or("an entry has no ':'")?;
    let mut address = None;
    for pair in keys.split(|b| *b == b',').filter(|pair| !pair.is_empty()) {
        let (key, value) = split(pair, b'=').ok_or("a key has no '='")?;
        let value = unescape(value).ok_or("an escape is not % and two hex digits")?;
        let found = match key {
            b"path" => Address::Path(value),
            b"abstract" => Address::Abstract(value),
            // `guid` changes nothing; `dir`, `tmpdir` and `runtime` are for servers.
            _ => continue,
        };
        if address.replace(found).is_some() {
            return Err("an entry has more than one path");
        }
    }
    Ok(address.filter(|_| transport == b"unix"))
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|b| *b == at)?;
    let (before, after) = text.split_at_checked(place)?;
    Some((before, after.get(1..)?))
}

fn unescape(value: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => hex(*bytes.next()?)? << 4 | hex(*bytes.next()?)?,
            byte => *byte,
        });
    }
    Some(plain)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}
