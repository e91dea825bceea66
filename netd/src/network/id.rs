//! The identity of a network.

use std::fmt;
use std::fmt::Write as _;

use netstate::LinkName;
use serde::{Deserialize, Serialize};

use crate::store::random;

/// Digits of what is shown and of what names a device.
const SHORT: usize = 12;
/// Eight bytes each.
const WORDS: usize = 4;

/// 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(String);

impl Id {
    /// One that no other network has.
    #[must_use]
    pub fn random() -> Self {
        let mut digits = String::with_capacity(WORDS * 16);
        for _ in 0..WORDS {
            let _ = write!(digits, "{:016x}", random());
        }
        Self(digits)
    }

    /// Its text, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_one = text.len() == WORDS * 16 && text.bytes().all(is_digit);
        is_one.then(|| Self(text.to_owned()))
    }

    /// All digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..SHORT).unwrap_or(&self.0)
    }

    /// The name of a bridge of this network: Docker's.
    ///
    /// # Errors
    /// Never in practice: fifteen bytes are a name.
    pub fn bridge(&self) -> Result<LinkName, netstate::NameError> {
        LinkName::new(format!("br-{}", self.short()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}
