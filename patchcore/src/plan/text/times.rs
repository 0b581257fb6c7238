//! Times, ages and durations as people say them; never a time without its zone.

use std::time::Duration;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{id::WindowName, plan::Envelope};

/// How times of one plan are written: in the zone of a window, with the year only where it is another one.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    zone: TimeZone,
    year: i16,
}

impl Times {
    /// In the zone of this window; without one, in that of the first window that has a zone, else in UTC.
    pub(crate) fn of(envelope: &Envelope, window: Option<&WindowName>) -> Self {
        let named = window.and_then(|name| envelope.windows.iter().find(|w| w.name == *name));
        let zone = named
            .into_iter()
            .chain(&envelope.windows)
            .find(|w| !w.zone.is_empty())
            .and_then(|w| TimeZone::get(&w.zone).ok())
            .unwrap_or(TimeZone::UTC);
        let year = envelope.made.to_zoned(zone.clone()).year();
        Self { zone, year }
    }

    /// `Mon 14 Dec 22:00 CET`.
    pub(crate) fn at(&self, at: Timestamp) -> String {
        let zoned = at.to_zoned(self.zone.clone());
        let format = if zoned.year() == self.year {
            "%a %-d %b %H:%M %Z"
        } else {
            "%a %-d %b %Y %H:%M %Z"
        };
        zoned.strftime(format).to_string()
    }

    /// `31 Jan 2027`.
    pub(crate) fn day(&self, day: Date) -> String {
        let format = if day.year() == self.year {
            "%-d %b"
        } else {
            "%-d %b %Y"
        };
        day.strftime(format).to_string()
    }
}

#[cfg(feature = "sqlite")]
impl Times {
    /// In a zone, without the year where it is this one.
    pub(crate) fn within(zone: TimeZone, year_of: Timestamp) -> Self {
        let year = year_of.to_zoned(zone.clone()).year();
        Self { zone, year }
    }

    /// In UTC, always with the year: for what is told without knowing whose it is.
    pub(crate) fn utc() -> Self {
        Self {
            zone: TimeZone::UTC,
            year: i16::MIN,
        }
    }

    /// The zone itself.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// `22:00:05`, under a headline that names day and zone.
    pub(crate) fn second(&self, at: Timestamp) -> String {
        let zoned = at.to_zoned(self.zone.clone());
        zoned.strftime("%H:%M:%S").to_string()
    }

    /// `Mon 14 Dec CET`: the headline of a day.
    pub(crate) fn headline(&self, at: Timestamp) -> String {
        let zoned = at.to_zoned(self.zone.clone());
        let format = if zoned.year() == self.year {
            "%a %-d %b %Z"
        } else {
            "%a %-d %b %Y %Z"
        };
        zoned.strftime(format).to_string()
    }

    /// `Mon 14 Dec 22:00:05 CET`.
    pub(crate) fn moment(&self, at: Timestamp) -> String {
        let zoned = at.to_zoned(self.zone.clone());
        let format = if zoned.year() == self.year {
            "%a %-d %b %H:%M:%S %Z"
        } else {
            "%a %-d %b %Y %H:%M:%S %Z"
        };
        zoned.strftime(format).to_string()
    }
}

/// `1 h 10 min`; the two largest units.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |large: u64, unit: &str, small: u64, next: &str| {
        if small == 0 {
            format!("{large} {unit}")
        } else {
            format!("{large} {unit} {small} {next}")
        }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..600 => two(seconds / 60, "min", seconds % 60, "s"),
        600..3_600 => format!("{} min", seconds.div_ceil(60)),
        3_600..172_800 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "days", seconds % 86_400 / 3_600, "h"),
    }
}

/// How long ago something was: `2 min`, `3 months`; the largest unit. None for what has yet to come.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> Option<String> {
    let seconds = u64::try_from(now.duration_since(then).as_secs()).ok()?;
    let days = seconds / 86_400;
    let months = |n: u64| if n == 1 { "month" } else { "months" };
    Some(match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ if days < 61 => format!("{days} days"),
        _ if days < 731 => format!("{} {}", days / 30, months(days / 30)),
        _ => format!("{} years", days / 365),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_ages_are_words() {
        for (seconds, length, old) in [
            (0, "0 s", "0 s"),
            (90, "1 min 30 s", "90 s"),
            (120, "2 min", "2 min"),
            (660, "11 min", "11 min"),
            (661, "12 min", "11 min"),
            (3_600, "1 h", "60 min"),
            (4_200, "1 h 10 min", "70 min"),
            (86_400, "24 h", "24 h"),
            (180_000, "2 days 2 h", "2 days"),
            (8_000_000, "92 days 14 h", "3 months"),
            (80_000_000, "925 days 22 h", "2 years"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), length);
            let then = Timestamp::UNIX_EPOCH;
            let now = Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap();
            assert_eq!(age(then, now).as_deref(), Some(old));
            assert_eq!(age(now, then).is_some(), seconds == 0);
        }
    }
}
