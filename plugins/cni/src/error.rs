//! Errors as the specification prints them, and the text of an error with its causes.
//!
//! A plugin's own errors (thiserror) become an [`Error`] at the edge, with [`Error::caused_by`].
//! Nothing here decides which code fits: that is for whoever noticed the failure.

mod chain;

pub use chain::ErrorChain;

use crate::json::{self, Value};
use crate::version::Version;
use serde::Serialize;
use std::fmt;

/// What went wrong, by the numbers of the specification's "Error" section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// 1: the plugin does not speak the configuration's version.
    IncompatibleVersion,
    /// 2: the configuration has a key or value that is not supported.
    UnsupportedField,
    /// 3: the container is unknown; the runtime need not clean up.
    UnknownContainer,
    /// 4: an environment variable is missing or invalid.
    InvalidEnvironment,
    /// 5: reading or writing failed.
    Io,
    /// 6: stdin is no JSON, or a value has the wrong type.
    Decoding,
    /// 7: the configuration is well formed but wrong.
    InvalidConfig,
    /// 8: the network namespace cannot be used.
    InvalidNetns,
    /// 11: something is busy; the same call may work later.
    TryAgainLater,
    /// 50: STATUS: an ADD cannot be served.
    NotAvailable,
    /// 51: STATUS: as 50, and containers that are attached may have limited connectivity.
    LimitedConnectivity,
    /// 999: everything that has no number of its own, as the reference plugins say it.
    Internal,
    /// 100 and up: codes a plugin defines for itself.
    Other(u32),
}

impl Code {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::IncompatibleVersion => 1,
            Self::UnsupportedField => 2,
            Self::UnknownContainer => 3,
            Self::InvalidEnvironment => 4,
            Self::Io => 5,
            Self::Decoding => 6,
            Self::InvalidConfig => 7,
            Self::InvalidNetns => 8,
            Self::TryAgainLater => 11,
            Self::NotAvailable => 50,
            Self::LimitedConnectivity => 51,
            Self::Internal => 999,
            Self::Other(number) => number,
        }
    }

    /// The code of a number on the wire; one that has no name here is kept as it is.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        match number {
            1 => Self::IncompatibleVersion,
            2 => Self::UnsupportedField,
            3 => Self::UnknownContainer,
            4 => Self::InvalidEnvironment,
            5 => Self::Io,
            6 => Self::Decoding,
            7 => Self::InvalidConfig,
            8 => Self::InvalidNetns,
            11 => Self::TryAgainLater,
            50 => Self::NotAvailable,
            51 => Self::LimitedConnectivity,
            999 => Self::Internal,
            other => Self::Other(other),
        }
    }
}

/// A failure as it is printed for the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The number that tells the runtime what kind of failure this is.
    pub code: Code,
    /// One sentence that names what was attempted, and the key and value if one is to blame.
    pub msg: String,
    /// More of it; may be empty.
    pub details: String,
}

impl Error {
    /// An error without details.
    pub fn new(code: Code, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: String::new() }
    }

    /// An error whose message is `error` with all its causes: `a: b: c`.
    pub fn caused_by(code: Code, error: &dyn std::error::Error) -> Self {
        Self::new(code, ErrorChain(error).to_string())
    }

    /// Code 2: a key or value this plugin does not support.
    pub fn unsupported(msg: impl Into<String>) -> Self {
        Self::new(Code::UnsupportedField, msg)
    }

    /// Code 4: an environment variable (CNI_ARGS too) is missing or invalid.
    pub fn environment(msg: impl Into<String>) -> Self {
        Self::new(Code::InvalidEnvironment, msg)
    }

    /// Code 5: reading or writing failed.
    pub fn io(msg: impl Into<String>) -> Self {
        Self::new(Code::Io, msg)
    }

    /// Code 6: no JSON, or a value of the wrong type.
    pub fn decoding(msg: impl Into<String>) -> Self {
        Self::new(Code::Decoding, msg)
    }

    /// Code 7: a configuration that is well formed but wrong.
    pub fn config(msg: impl Into<String>) -> Self {
        Self::new(Code::InvalidConfig, msg)
    }

    /// Code 8: the network namespace cannot be used.
    pub fn netns(msg: impl Into<String>) -> Self {
        Self::new(Code::InvalidNetns, msg)
    }

    /// Code 11: busy; the same call may work later.
    pub fn try_again(msg: impl Into<String>) -> Self {
        Self::new(Code::TryAgainLater, msg)
    }

    /// Code 999: everything else.
    pub fn internal(msg: impl Into<String>) -> Self {
        Self::new(Code::Internal, msg)
    }

    /// The same error with details, after those it has.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        if !self.details.is_empty() {
            self.details.push_str("; ");
        }
        self.details.push_str(&details.into());
        self
    }

    /// The same error with `context: ` before its message; the code stays.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.msg = format!("{context}: {}", self.msg);
        self
    }

    /// The error as printed on stdout: indented by four spaces, no newline at the end.
    #[must_use]
    pub fn to_json(&self, version: Version) -> String {
        json::pretty(&Wire {
            cni_version: version.as_str(),
            code: self.code.number(),
            msg: &self.msg,
            details: &self.details,
        })
    }

    /// Reads an error a plugin printed; `None` when the text is no error (neither a code nor a
    /// message in it), so that the caller reports the exit status instead.
    #[must_use]
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        let value = json::parse(bytes).ok()?;
        let code = value.field("code").and_then(Value::as_u64).unwrap_or(0);
        let text = |key| value.field(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (msg, details) = (text("msg"), text("details"));
        if code == 0 && msg.is_empty() {
            return None;
        }
        let code = match u32::try_from(code) {
            Ok(0) | Err(_) => Code::Internal,
            Ok(number) => Code::from_number(number),
        };
        Some(Self { code, msg, details })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.msg)?;
        if !self.details.is_empty() {
            write!(f, "; {}", self.details)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[derive(Serialize)]
struct Wire<'a> {
    #[serde(rename = "cniVersion")]
    cni_version: &'a str,
    code: u32,
    msg: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    details: &'a str,
}

#[cfg(test)]
mod tests;
