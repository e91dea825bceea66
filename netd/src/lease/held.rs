//! A lease that this host has.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claims::encode;
use super::{LeaseValue, SubnetKey};
use crate::store::{Revision, Session};

/// A lease that this host has.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The subnet.
    pub subnet: SubnetKey,
    /// What is published with it.
    pub value: LeaseValue,
    /// What it ends with; a reservation has none and never ends.
    pub session: Option<Session>,
    /// How long that lives after a sign of life.
    pub time_to_live: Duration,
    /// The revision that made its key: another one where it was gone and is taken again. 0 as long as the
    /// store does not say.
    pub created: Revision,
    /// The revision that wrote it.
    pub(super) revision: Revision,
    /// Whether our own record stood beside it when it was acquired.
    pub(super) recorded: bool,
}

/// As it is kept on this host.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    subnet: String,
    value: String,
    session: Option<i64>,
    time_to_live_seconds: u64,
    recorded: bool,
}

impl Held {
    /// What a host keeps of its lease, to go on with it while the store is away.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(&Kept {
            subnet: self.subnet.to_string(),
            value: String::from_utf8_lossy(&self.value.encode()).into_owned(),
            session: self.session.map(|session| session.0),
            time_to_live_seconds: self.time_to_live.as_secs(),
            recorded: self.recorded,
        })
    }

    /// A lease that was kept, `None` where the bytes are none. How it stands in the store has to be
    /// asked, and it is given its whole time again as soon as the store answers.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let kept: Kept = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            subnet: kept.subnet.parse().ok()?,
            value: LeaseValue::decode(kept.value.as_bytes()).ok()?,
            session: kept.session.map(Session),
            time_to_live: Duration::from_secs(kept.time_to_live_seconds),
            created: 0,
            revision: 0,
            recorded: kept.recorded,
        })
    }

    /// A lease that this host had, of which it kept nothing but the subnet.
    #[must_use]
    pub fn unknown(subnet: SubnetKey, value: LeaseValue, time_to_live: Duration) -> Self {
        let session = None;
        Self { subnet, value, session, time_to_live, created: 0, revision: 0, recorded: true }
    }

    /// Whether it comes from what was kept, and not from the store.
    pub(super) fn is_remembered(&self) -> bool {
        self.revision == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_lease_is_all_but_its_revision() {
        let held = Held {
            subnet: "10.5.52.0-24&fd00:12:13::-56".parse().unwrap(),
            value: LeaseValue::new([192, 0, 2, 10].into()),
            session: Some(Session(-7)),
            time_to_live: Duration::from_secs(60),
            created: 0,
            revision: 12,
            recorded: true,
        };
        let back = Held::from_bytes(&held.to_bytes()).unwrap();
        assert!(back.is_remembered() && !held.is_remembered());
        assert_eq!(Held { revision: 12, ..back }, held);
        assert_eq!(Held::from_bytes(b"{}"), None);
    }
}
