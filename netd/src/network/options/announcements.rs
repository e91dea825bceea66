//! How often containers' addresses are told to their neighbours, by Docker's keys.

use std::time::Duration;

use super::{Given, Reader};
use crate::network::NetworkError;

/// How often the addresses of a network's containers are told to their neighbours, once each is up
/// (`advertise_addr_nmsgs` and `advertise_addr_ms` of libnetwork, Docker 28.1). Of every driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcements {
    /// How many times in all; 0 is never.
    pub count: u32,
    /// The least time from one to the next.
    pub pause: Duration,
}

/// Docker's, from RFC 5227 (section 1.1) and RFC 4861 (section 10).
impl Default for Announcements {
    fn default() -> Self {
        Self { count: 3, pause: Duration::from_secs(1) }
    }
}

impl Announcements {
    /// Reads them.
    ///
    /// # Errors
    /// [`NetworkError::Option`] at the first value that makes no sense.
    pub fn read(given: &Given) -> Result<Self, NetworkError> {
        Self::from(&mut Reader { given, known: Vec::new() })
    }

    pub(super) fn from(read: &mut Reader<'_>) -> Result<Self, NetworkError> {
        let count = read.number("com.docker.network.advertise_addr_nmsgs", 0, 3)?;
        let pause = read.number("com.docker.network.advertise_addr_ms", 100, 2000)?;
        let default = Self::default();
        Ok(Self {
            count: count.unwrap_or(default.count),
            pause: pause.map_or(default.pause, |ms| Duration::from_millis(ms.into())),
        })
    }
}
