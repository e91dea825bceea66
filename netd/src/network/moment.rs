//! Points in time, as Docker writes and reads them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const SECOND: i128 = 1_000_000_000;
const DAY: i64 = 24 * 60 * 60;

/// A point in time: nanoseconds since the beginning of 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(i64);

impl Moment {
    /// By the clock.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// As Go's `time.Time` prints itself: `2026-11-28 08:46:02.077996384 +0000 UTC`.
    #[must_use]
    pub fn go(&self) -> String {
        let (date, time) = self.parts();
        format!("{date} {time} +0000 UTC")
    }

    /// Reads what Docker takes for a point in time (`time/timestamp.go` of its API): RFC 3339, with
    /// or without zone (UTC then) and parts of a day, seconds since 1970 with a fraction, or a
    /// duration of Go's (`1h30m`), which is so long before `now`.
    #[must_use]
    pub fn read(text: &str, now: Self) -> Option<Self> {
        if let Some(back) = duration(text) {
            return Self::of(i128::from(now.0) - back);
        }
        if let Some(nanos) = decimal(text, SECOND) {
            return Self::of(nanos);
        }
        date_and_time(text)
    }

    fn of(nanos: i128) -> Option<Self> {
        i64::try_from(nanos).ok().map(Self)
    }

    /// Date and time of the day. Fractions end with their last digit that is not zero.
    fn parts(self) -> (String, String) {
        let (seconds, nanos) = (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000));
        let (days, of_day) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        let fraction = format!("{nanos:09}");
        let fraction = fraction.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        (
            format!("{year:04}-{month:02}-{day:02}"),
            format!("{hour:02}:{minute:02}:{second:02}{dot}{fraction}"),
        )
    }
}

impl fmt::Display for Moment {
    /// RFC 3339, as Go's `RFC3339Nano`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = self.parts();
        write!(f, "{date}T{time}Z")
    }
}

/// Year, month and day of a day since 1970-01-01, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from the first of March of the year 0, so that a leap day ends a cycle of 400 years.
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// The other way round; `None` for a day that is none.
fn day_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let shifted = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (shifted.0.div_euclid(400), shifted.0.rem_euclid(400));
    let of_year = (153 * shifted.1 + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    (civil(days) == (year, month, day)).then_some(days)
}

fn date_and_time(text: &str) -> Option<Moment> {
    let (date, time) = text.split_once('T').map_or((text, None), |(d, t)| (d, Some(t)));
    let mut date = date.split('-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let days = day_of(year, month, day)?;
    let (time, offset) = zone(time.unwrap_or("00"))?;
    let mut parts = time.splitn(3, ':');
    let hour = digits(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), digits)?;
    let second = parts.next().map_or(Some(0), |text| decimal(text, SECOND))?;
    let whole = (hour < 24 && minute < 60 && second < 60 * SECOND && date.next().is_none())
        .then(|| i128::from(days * DAY + hour * 3600 + minute * 60 - offset))?;
    Moment::of(whole * SECOND + second)
}

/// A time of the day without its zone, and the zone's seconds east of UTC.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let (time, zone) = time.split_at_checked(at)?;
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let seconds = digits(hours)? * 3600 + digits(minutes)? * 60;
    Some((time, if zone.starts_with('-') { -seconds } else { seconds }))
}

/// A duration of Go's in nanoseconds: `-1h30m`, `1.5s`. At least one unit.
fn duration(text: &str) -> Option<i128> {
    const UNITS: [(&str, i128); 7] = [
        ("ns", 1),
        ("us", 1_000),
        ("\u{b5}s", 1_000),
        ("ms", 1_000_000),
        ("s", SECOND),
        ("m", 60 * SECOND),
        ("h", 3600 * SECOND),
    ];
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let mut nanos = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|sign: char| !sign.is_ascii_digit() && sign != '.')?;
        let (number, after) = rest.split_at_checked(end)?;
        let end = after.find(|sign: char| sign.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let (_, of_unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(decimal(number, *of_unit)?)?;
        rest = after;
    }
    let is_one = !matches!(text, "" | "-");
    is_one.then_some(if negative { -nanos } else { nanos })
}

/// A decimal number of something that has so many parts.
fn decimal(text: &str, parts: i128) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let fraction = fraction.get(..fraction.len().min(15))?;
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole = i128::from(digits(whole)?).checked_mul(parts)?;
    whole.checked_add(i128::from(digits(fraction)?).checked_mul(parts)? / scale)
}

/// A number of digits only; nothing is longer than a year or a number of seconds.
fn digits(text: &str) -> Option<i64> {
    let fine = !text.is_empty() && text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit());
    if fine { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_docker_writes_it() {
        let moment = Moment(1_795_855_562_400_865_350);
        assert_eq!(moment.to_string(), "2026-11-28T08:46:02.40086535Z");
        assert_eq!(moment.go(), "2026-11-28 08:46:02.40086535 +0000 UTC");
        assert_eq!(Moment(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Moment(951_782_400_000_000_000).to_string(), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn what_docker_takes_for_a_point_in_time_is_read() {
        let now = Moment(1_795_855_562_400_865_350);
        let read = |text: &str| Moment::read(text, now);
        assert_eq!(read(&now.to_string()), Some(now));
        let noon = read("2026-11-28T12:00:00Z");
        assert_eq!(noon, read("2026-11-28T13:00:00+01:00"));
        assert_eq!(noon, read("2026-11-28T12:00"));
        assert_eq!(noon, read("1795867200"));
        assert_eq!(noon, read("1795867200.000000000"));
        assert_eq!(read("2026-11-28"), read("2026-11-28T00"));
        assert_eq!(read("1h30m"), Moment::of(i128::from(now.0) - 5400 * SECOND));
        assert_eq!(read("1.5s"), Moment::of(i128::from(now.0) - 1_500_000_000));
        for wrong in ["", "x", "-", "1x", "2026-02-29", "2026-13-01", "12:00", "1h-2m", "T"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_again(nanos in 0..4_102_444_800_000_000_000_i64) {
            let moment = Moment(nanos);
            proptest::prop_assert_eq!(Moment::read(&moment.to_string(), Moment(0)), Some(moment));
        }

        #[test]
        fn no_text_is_too_strange(text in "\\PC*") {
            let _ = Moment::read(&text, Moment(0));
        }
    }
}
