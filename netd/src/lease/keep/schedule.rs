//! When a lease is kept alive. Pure: times are given, since boot.

use std::time::Duration;

/// Timers stand still while the host sleeps, so what is due is looked at this often.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(60);

/// One sign of life per third of the time to live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    every: Duration,
    due: Duration,
}

impl Schedule {
    /// That of a lease which has its whole time now.
    pub(super) fn new(time_to_live: Duration, now: Duration) -> Self {
        let every = time_to_live / 3;
        Self { every, due: now + every }
    }

    /// That of a lease of which nobody knows how long it has.
    pub(super) fn overdue(time_to_live: Duration, now: Duration) -> Self {
        Self { every: time_to_live / 3, due: now }
    }

    /// Whether a sign of life is due.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        now >= self.due
    }

    /// The lease has its whole time again.
    pub(super) fn kept(&mut self, now: Duration) {
        self.due = now + self.every;
    }

    /// How long until it is to be looked at again.
    pub(super) fn pause(&self, now: Duration) -> Duration {
        self.due.saturating_sub(now).min(LOOK_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::TIME_TO_LIVE;

    const HOUR: Duration = Duration::from_secs(3600);

    /// When signs of life are given in so much time.
    fn signs(time_to_live: Duration, within: Duration) -> Vec<Duration> {
        let mut now = Duration::ZERO;
        let mut schedule = Schedule::new(time_to_live, now);
        let mut signs = Vec::new();
        while now < within {
            now += schedule.pause(now).max(Duration::from_millis(1));
            if schedule.is_due(now) {
                schedule.kept(now);
                signs.push(now);
            }
        }
        signs
    }

    #[test]
    fn a_lease_of_a_day_is_kept_alive_once_in_eight_hours() {
        assert_eq!(TIME_TO_LIVE, HOUR * 24, "flannel's");
        assert_eq!(signs(TIME_TO_LIVE, HOUR * 48), [8, 16, 24, 32, 40, 48].map(|at| HOUR * at));
    }

    #[test]
    fn after_a_sleep_a_sign_of_life_is_given_at_the_next_look() {
        let mut schedule = Schedule::new(TIME_TO_LIVE, Duration::ZERO);
        assert_eq!(schedule.pause(Duration::ZERO), LOOK_EVERY);
        let woken = HOUR * 20;
        assert!(schedule.is_due(woken) && schedule.pause(woken) == Duration::ZERO);
        schedule.kept(woken);
        assert!(!schedule.is_due(woken + HOUR * 7) && schedule.is_due(woken + HOUR * 8));
    }
}
