//! Names: of links, namespaces and sysctls, and link-layer addresses.

use std::fmt;
use std::str::FromStr;

/// The longest interface name in bytes: `IFNAMSIZ` (16, `include/uapi/linux/if.h`) less the NUL.
pub(crate) const LINK_NAME_MAX: usize = 15;

/// Why a name or address is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a name that an interface can have.
    #[error(
        "interface name {0:?} is not valid: use 1 to {LINK_NAME_MAX} bytes, without '/', ':', '%' or \
         white space, and not \".\", \"..\", \"all\" or \"default\""
    )]
    Link(String),
    /// Not six hexadecimal bytes.
    #[error("MAC address {0:?} is not valid: write six bytes as in 02:42:ac:11:00:02")]
    Mac(String),
    /// Not a sysctl below `net/`.
    #[error("sysctl {0:?} is not valid: use a path below net/ without empty, '.' or '..' parts")]
    Sysctl(String),
}

/// The name of a network interface: 1 to 15 bytes. It is held in place, as keys of many elements have one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName {
    /// Zeros at the end, which no name has: so names are ordered as their texts are.
    bytes: [u8; LINK_NAME_MAX],
    length: u8,
}

impl LinkName {
    /// Checks a name by the kernel's rules: `dev_valid_name()` (`net/core/dev.c`), which leaves `%d` to
    /// be replaced by a number, and `sysctl_dev_name_is_allowed()` (`include/linux/inetdevice.h`).
    ///
    /// # Errors
    /// [`NameError::Link`] with the name given.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let bad = name.is_empty()
            || matches!(name.as_str(), "." | ".." | "all" | "default")
            || name.chars().any(|c| matches!(c, '/' | ':' | '%' | '\0') || c.is_whitespace());
        Self::held(&name).filter(|_| !bad).ok_or(NameError::Link(name))
    }

    /// `None` where it is too long.
    fn held(name: &str) -> Option<Self> {
        let (mut bytes, length) = ([0; LINK_NAME_MAX], u8::try_from(name.len()).ok()?);
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self { bytes, length })
    }

    /// A name known to be right when written; of one that is too long nothing.
    #[must_use]
    pub fn fixed(name: &'static str) -> Self {
        Self::held(name).unwrap_or(Self { bytes: [0; LINK_NAME_MAX], length: 0 })
    }

    /// The loopback interface, present in every namespace.
    #[must_use]
    pub fn lo() -> Self {
        Self::fixed("lo")
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        // It came from text.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl FromStr for LinkName {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        Self::new(s)
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A 48-bit link-layer address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        let err = || NameError::Mac(s.to_owned());
        let mut bytes = [0u8; 6];
        let mut parts = s.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(err)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(err());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| err())?;
        }
        if parts.next().is_some() { Err(err()) } else { Ok(Self(bytes)) }
    }
}

impl Mac {
    /// Of these bytes a locally administered unicast address (IEEE 802-2014, section 8.4.4.1).
    #[must_use]
    pub fn local(bytes: [u8; 6]) -> Self {
        let [first, rest @ ..] = bytes;
        let [a, b, c, d, e] = rest;
        Self([first & 0xfc | 0x02, a, b, c, d, e])
    }

    /// Whether an interface can have this address: not multicast, not all zero
    /// (`is_valid_ether_addr()`, `include/linux/etherdevice.h`).
    #[must_use]
    pub fn is_unicast(&self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which network namespace a thing is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ns {
    /// The namespace the program runs in.
    Host,
    /// The namespace of the overlay network in question, on this host.
    Overlay,
    /// The namespace of the container being attached.
    Container,
}

/// A sysctl below `/proc/sys`, as a path with slashes (interface names may hold dots):
/// `net/ipv4/conf/eth0.100/arp_notify`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SysctlKey(String);

impl SysctlKey {
    /// Checks the path: below `net/`, no empty part, no `.` or `..`.
    ///
    /// # Errors
    /// [`NameError::Sysctl`] with the path given.
    pub fn new(path: impl Into<String>) -> Result<Self, NameError> {
        let path = path.into();
        let bad = !path.starts_with("net/")
            || path.split('/').any(|p| p.is_empty() || p == "." || p == "..")
            || path.contains('\0');
        if bad { Err(NameError::Sysctl(path)) } else { Ok(Self(path)) }
    }

    /// `net/<family>/conf/<link>/<name>`.
    #[must_use]
    pub fn conf(family: &str, link: &LinkName, name: &str) -> Self {
        Self(format!("net/{family}/conf/{link}/{name}"))
    }

    /// A path known to be right when written.
    #[must_use]
    pub fn fixed(path: &'static str) -> Self {
        Self(path.to_owned())
    }

    /// The path, without a leading slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SysctlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
