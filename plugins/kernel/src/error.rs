//! The one error of this crate: what was attempted, the kernel's number and the kernel's words.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// What musl has no words for. `add_del_if()` is all that gives it, at `BR_MAX_PORTS` (net/bridge/br_private.h).
const FULL: &str = "exchange full: a bridge has room for 1,023 interfaces; take another network";

/// Why an action failed. Displays as the action (a command, where it was a step of a plan) and
/// the kernel's own explanation where it gave one; the error number is the source.
#[derive(Debug)]
pub struct Error {
    action: String,
    text: String,
    kind: Kind,
    source: Option<io::Error>,
}

/// What a caller can do something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Something with that name or key is there already.
    Exists,
    /// The object is not there.
    NotFound,
    /// The link is not there.
    NoDevice,
    /// In use by another.
    Busy,
    /// Not allowed, or read-only.
    Permission,
    /// This kernel cannot do it.
    Unsupported,
    /// Others changed the state meanwhile; trying again may help.
    Interrupted,
    /// Anything else.
    Other,
}

impl Error {
    /// What was attempted, with its object.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// The kernel's explanation (extended acknowledgement), or ours; may be empty.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What a caller can do something about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The kernel's error number, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        self.source.as_ref().and_then(io::Error::raw_os_error)
    }

    /// A refusal by the kernel.
    pub(crate) fn refused(action: impl Into<String>, refusal: Refusal) -> Self {
        let text = match Errno::from_raw_os_error(refusal.errno) {
            Errno::XFULL if refusal.text.is_empty() => FULL.to_owned(),
            _ => refusal.text,
        };
        Self {
            action: action.into(),
            text,
            kind: Kind::of(refusal.errno),
            source: Some(io::Error::from_raw_os_error(refusal.errno)),
        }
    }

    /// A failed system call.
    pub(crate) fn os(action: impl Into<String>, errno: Errno) -> Self {
        Self::refused(action, Refusal::from(errno))
    }

    /// A failed file operation.
    pub(crate) fn io(action: impl Into<String>, source: io::Error) -> Self {
        let kind = source.raw_os_error().map_or(Kind::Other, Kind::of);
        Self { action: action.into(), text: String::new(), kind, source: Some(source) }
    }

    /// Something found out without an error number.
    pub(crate) fn found(action: impl Into<String>, kind: Kind, text: impl Into<String>) -> Self {
        Self { action: action.into(), text: text.into(), kind, source: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.action)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}

impl Kind {
    fn of(errno: i32) -> Self {
        match Errno::from_raw_os_error(errno) {
            Errno::EXIST => Self::Exists,
            Errno::NOENT | Errno::SRCH | Errno::ADDRNOTAVAIL => Self::NotFound,
            Errno::NODEV | Errno::NXIO => Self::NoDevice,
            Errno::BUSY => Self::Busy,
            Errno::PERM | Errno::ACCESS | Errno::ROFS => Self::Permission,
            Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::NOSYS => {
                Self::Unsupported
            }
            // ERESTART: the generation id of an nf_tables batch was not the current one.
            Errno::INTR | Errno::RESTART | Errno::AGAIN => Self::Interrupted,
            _ => Self::Other,
        }
    }
}

/// The kernel's answer to a message it did not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Positive error number.
    pub(crate) errno: i32,
    /// `NLMSGERR_ATTR_MSG`, or empty.
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn is(&self, errno: Errno) -> bool {
        self.errno == errno.raw_os_error()
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno: errno.raw_os_error(), text: String::new() }
    }
}
