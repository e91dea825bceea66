//! Since when this host has its lease.

use std::time::Duration;

use super::{Memory, now};
use crate::agent::serve::keep;
use crate::lease::{Held, SubnetKey};

/// Which lease it is, and since when it is this host's; nothing while that is lost.
pub(super) const ACQUIRED: &str = "acquired";

/// Since when this host has its lease, by the clock, which goes on over restarts and reboots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct Acquired {
    subnet: SubnetKey,
    /// The revision that made the lease's key.
    created: i64,
    /// Since the beginning of 1970.
    at: Duration,
}

impl Acquired {
    /// Of a lease that is this host's now: as before, if it is the one of before. One that was lost and
    /// taken again was made anew; one that got an IPv6 subnet has another key.
    fn of(held: &Held, before: Option<Self>, now: Duration) -> Self {
        let is_same = |before: &Self| {
            let is_extended = before.subnet != held.subnet && before.subnet.v4 == held.subnet.v4;
            is_extended
                || before.subnet == held.subnet && [0, before.created].contains(&held.created)
        };
        let same = before.filter(is_same);
        let at = same.as_ref().map_or(now, |before| before.at.min(now));
        // Until the store says, it is that of before.
        let known = same.filter(|_| held.created == 0).map(|before| before.created);
        Self { subnet: held.subnet, created: known.unwrap_or(held.created), at }
    }

    /// How long ago that was.
    pub(in crate::agent) fn age(&self) -> Duration {
        now().saturating_sub(self.at)
    }

    fn text(&self) -> String {
        format!("{} {} {}", self.subnet, self.created, self.at.as_millis())
    }

    /// `None` where it cannot be read.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let subnet = words.next()?.parse().ok()?;
        let created = words.next()?.parse().ok()?;
        let at = Duration::from_millis(words.next()?.parse().ok()?);
        Some(Self { subnet, created, at })
    }
}

impl Memory {
    /// Since when this host has a lease that is its own now, by what this agent knows or what is kept;
    /// and keeps that.
    pub(in crate::agent) async fn acquired(
        &self,
        held: &Held,
        known: Option<Acquired>,
    ) -> Acquired {
        let before = match known {
            Some(known) => Some(known),
            None => {
                let text = self.text(ACQUIRED).await.ok().flatten();
                text.and_then(|text| Acquired::parse(&text))
            }
        };
        let acquired = Acquired::of(held, before, now());
        let kept = self.write(&[(ACQUIRED, acquired.text().as_bytes())]).await;
        keep(kept, "since when it has the lease");
        acquired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::LeaseValue;

    fn held(subnet: &str, created: i64) -> Held {
        let value = LeaseValue::new([192, 0, 2, 1].into());
        let mut held = Held::unknown(subnet.parse().unwrap(), value, Duration::from_secs(60));
        held.created = created;
        held
    }

    #[test]
    fn a_lease_is_as_old_as_it_was_until_it_is_made_anew() {
        let secs = Duration::from_secs;
        let first = Acquired::of(&held("10.5.1.0-24", 7), None, secs(100));
        let of = |held: &Held| Acquired::of(held, Some(first.clone()), secs(500));
        assert_eq!(of(&held("10.5.1.0-24", 7)), first);
        assert_eq!(of(&held("10.5.1.0-24", 0)), first, "what is remembered");
        assert_eq!(of(&held("10.5.1.0-24&fd00::-64", 8)).at, secs(100), "an IPv6 subnet");
        assert_eq!(of(&held("10.5.1.0-24", 8)).at, secs(500), "taken again");
        assert_eq!(of(&held("10.5.2.0-24", 7)).at, secs(500), "another");
        let back = Acquired::of(&held("10.5.1.0-24", 7), Some(first.clone()), secs(50));
        assert_eq!(back.at, secs(50), "the clock was put back");
        assert_eq!(Acquired::parse(&first.text()), Some(first));
        for text in ["", "x", "10.5.1.0-24 -", "10.5.1.0-24 y 1"] {
            assert_eq!(Acquired::parse(text), None, "{text}");
        }
    }
}
