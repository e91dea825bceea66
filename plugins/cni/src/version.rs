//! The published versions of the specification and what each of them allows.
//!
//! Versions are matched as exact text, as libcni does: `1.0` is not `1.0.0`.

use std::fmt;
use std::str::FromStr;

/// A version of the CNI specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The first one; also what a configuration without `cniVersion` means.
    V0_1_0,
    /// Adds VERSION.
    V0_2_0,
    /// Adds chaining, `interfaces` and several addresses.
    V0_3_0,
    /// 0.3.0 with errata.
    V0_3_1,
    /// Adds CHECK and `prevResult` for DEL.
    V0_4_0,
    /// Drops `version` from addresses and the bare configuration.
    V1_0_0,
    /// Adds GC, STATUS, and link and route attributes in results.
    V1_1_0,
}

impl Version {
    /// Every version, oldest first.
    pub const ALL: &'static [Self] = &[
        Self::V0_1_0,
        Self::V0_2_0,
        Self::V0_3_0,
        Self::V0_3_1,
        Self::V0_4_0,
        Self::V1_0_0,
        Self::V1_1_0,
    ];

    /// The newest version this crate speaks.
    pub const NEWEST: Self = Self::V1_1_0;

    /// The text used in `cniVersion`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// Whether a result may name more than one address per family. When not, all but the
    /// first are lost on the way to the runtime, so a plugin must refuse up front.
    #[must_use]
    pub fn allows_multiple_ips(self) -> bool {
        self >= Self::V0_3_0
    }

    /// Whether a result without any address can be expressed. When not, a plugin that assigns
    /// none must refuse up front ([`crate::AddResult::to_json`] fails).
    #[must_use]
    pub fn allows_no_ip(self) -> bool {
        self >= Self::V0_3_0
    }

    /// Whether CHECK exists.
    #[must_use]
    pub fn has_check(self) -> bool {
        self >= Self::V0_4_0
    }

    /// Whether DEL is given `prevResult`.
    #[must_use]
    pub fn has_prev_result_on_del(self) -> bool {
        self >= Self::V0_4_0
    }

    /// Whether GC and STATUS exist.
    #[must_use]
    pub fn has_gc_and_status(self) -> bool {
        self >= Self::V1_1_0
    }

    /// The versions whose results have the same shape as this one's.
    #[must_use]
    pub fn family(self) -> &'static [Self] {
        match self {
            Self::V0_1_0 | Self::V0_2_0 => &[Self::V0_1_0, Self::V0_2_0],
            Self::V0_3_0 | Self::V0_3_1 | Self::V0_4_0 => {
                &[Self::V0_3_0, Self::V0_3_1, Self::V0_4_0]
            }
            Self::V1_0_0 | Self::V1_1_0 => &[Self::V1_0_0, Self::V1_1_0],
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is no published version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown CNI version {0:?}")]
pub struct UnknownVersion(pub String);

impl FromStr for Version {
    type Err = UnknownVersion;

    /// Reads a version by exact text; the empty text is 0.1.0.
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        if text.is_empty() {
            return Ok(Self::V0_1_0);
        }
        let found = Self::ALL.iter().find(|version| version.as_str() == text);
        found.copied().ok_or_else(|| UnknownVersion(text.to_owned()))
    }
}

/// The numbers of a version text that need not be published, for comparing `1.2.0` with what
/// exists. Missing parts are 0, the empty text is 0.1.0.
///
/// # Errors
/// A text of more than three parts, or with a part that is no number, is no version.
pub fn numbers(text: &str) -> Result<[u64; 3], UnknownVersion> {
    if text.is_empty() {
        return Ok([0, 1, 0]);
    }
    let mut numbers = [0; 3];
    let mut places = numbers.iter_mut();
    for part in text.split('.') {
        match (places.next(), part.parse()) {
            (Some(place), Ok(number)) => *place = number,
            _ => return Err(UnknownVersion(text.to_owned())),
        }
    }
    Ok(numbers)
}

/// Versions as the specification's error texts print them: `["0.4.0" "1.0.0"]`.
pub(crate) fn quoted_list(versions: &[Version]) -> String {
    let quoted: Vec<String> = versions.iter().map(|v| format!("{:?}", v.as_str())).collect();
    format!("[{}]", quoted.join(" "))
}

#[cfg(test)]
mod tests;
