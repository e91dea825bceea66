//! Numbers of overlays: which network a frame between hosts is of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Id;

/// A VXLAN network identifier (RFC 7348, section 5): 24 bits, not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Vni(u32);

/// A number that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no VNI: write a number from 1 to 16777215")]
pub struct InvalidVni(u32);

impl Vni {
    const LARGEST: u32 = 0xff_ffff;
    /// Those that netd chooses begin here: others count from below, flannel from 1 and Swarm from 4096.
    const CHOSEN: u32 = 0x80_0000;

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// Where to look first for one that no other network has: the id is random.
    pub(super) fn of(id: &Id) -> Self {
        let digits = id.as_str().get(..6).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        Self(digits.unwrap_or_default() | Self::CHOSEN)
    }

    /// The next of those that netd chooses; the first follows the last.
    pub(super) fn next(self) -> Self {
        match self.0 {
            Self::LARGEST => Self(Self::CHOSEN),
            number => Self(number + 1),
        }
    }
}

impl TryFrom<u32> for Vni {
    type Error = InvalidVni;

    fn try_from(number: u32) -> Result<Self, InvalidVni> {
        match (1..=Self::LARGEST).contains(&number) {
            true => Ok(Self(number)),
            false => Err(InvalidVni(number)),
        }
    }
}

impl From<Vni> for u32 {
    fn from(vni: Vni) -> Self {
        vni.0
    }
}

impl FromStr for Vni {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // `+8` is a number for Rust.
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = is_number.then(|| text.parse::<u32>().ok()).flatten().ok_or(())?;
        Self::try_from(number).map_err(drop)
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
