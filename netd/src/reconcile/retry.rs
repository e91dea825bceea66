//! When to try again.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// A failure that is waiting for another attempt: after 100 ms, then twice as long each time, up to
/// 30 s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retry {
    /// What failed, and why.
    pub(crate) reason: String,
    /// When to try again.
    pub(crate) due: Instant,
    pause: Duration,
}

impl Retry {
    /// After a failure, which may have followed others.
    pub(crate) fn after(earlier: Option<&Self>, reason: String, now: Instant) -> Self {
        let pause = earlier.map_or(FIRST, |retry| (retry.pause * 2).min(LONGEST));
        Self { reason, due: now + pause, pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let now = Instant::now();
        let mut retry = Retry::after(None, "x".into(), now);
        assert_eq!(retry.due - now, FIRST);
        retry = Retry::after(Some(&retry), "x".into(), now);
        assert_eq!(retry.due - now, FIRST * 2);
        for _ in 0..20 {
            retry = Retry::after(Some(&retry), "x".into(), now);
        }
        assert_eq!(retry.due - now, LONGEST);
    }
}
