//! Civil windows and days as instants.

use std::cmp;

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{Blackout, Recurrence, Window};
use crate::{Error, ErrorKind, Result};

/// From a first instant on, up to and without a last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Interval {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Interval {
    pub(super) fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// A window and its zone.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub(super) window: Window,
    pub(super) zone: TimeZone,
}

impl Resolved {
    /// The times at which the window is open and that touch `from..end`, cut off at `end`.
    pub(super) fn occurrences(&self, from: Timestamp, end: Timestamp) -> Vec<Interval> {
        if self.window.when == Recurrence::AnyTime {
            return vec![Interval { from, until: end }];
        }
        let local = |at: Timestamp| at.to_zoned(self.zone.clone()).date();
        let last = local(end);
        // An occurrence that is open at `from` began at most a day and a change of clocks ago.
        let mut day = local(from).checked_sub(2.days()).unwrap_or(Date::MIN);
        let mut found = Vec::new();
        while day <= last {
            if self.window.when.falls_on(day)
                && let Some(open) = self.on(day)
                && open.from < end
                && from < open.until
            {
                found.push(Interval {
                    until: cmp::min(open.until, end),
                    ..open
                });
            }
            match day.tomorrow() {
                Ok(tomorrow) => day = tomorrow,
                Err(_) => break,
            }
        }
        found
    }

    /// The occurrence that begins on a day; `None` where a change of clocks leaves nothing of it.
    fn on(&self, day: Date) -> Option<Interval> {
        let last_day = if self.window.until > self.window.from {
            day
        } else {
            day.tomorrow().ok()?
        };
        let open = Interval {
            from: instant(day, self.window.from, &self.zone)?,
            until: instant(last_day, self.window.until, &self.zone)?,
        };
        (open.from < open.until).then_some(open)
    }
}

pub(super) fn zone_named(zone: &str) -> Result<TimeZone> {
    TimeZone::get(zone).map_err(|error| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("time zone {zone:?} is unknown"),
        )
        .expected("an IANA name such as \"Europe/Berlin\"")
        .source_error(error)
    })
}

/// From the start of its first day to the end of its last, where both are days in several zones
/// from the first that begins to the last that ends.
pub(super) fn days_of(blackout: &Blackout, zones: &[TimeZone]) -> Interval {
    let midnights = |day: Date| {
        zones
            .iter()
            .filter_map(move |zone| instant(day, Time::midnight(), zone))
    };
    let until = blackout
        .to
        .tomorrow()
        .ok()
        .and_then(|day| midnights(day).max());
    // A day at the edge of what can be written has no instant; beyond it there is nothing to keep
    // open.
    Interval {
        from: midnights(blackout.from).min().unwrap_or(Timestamp::MIN),
        until: until.unwrap_or(Timestamp::MAX),
    }
}

/// A civil time as an instant, by the `compatible` rule.
fn instant(day: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_zoned(day.to_datetime(time))
        .compatible()
        .ok()
        .map(|zoned| zoned.timestamp())
}
