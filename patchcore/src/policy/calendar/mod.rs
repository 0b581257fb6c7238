//! When work may start: windows, minus blackouts.

mod gate;
mod occurrence;

use std::{cmp, time::Duration};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

pub use gate::{ClosedBecause, Gate, Opening};

use super::{Blackout, Policy, Recurrence, Window, duration_words};
use crate::{Result, id::WindowName};
use occurrence::{Interval, Resolved, days_of, zone_named};

/// How far ahead the calendar looks: two years and a month find every monthly window that is
/// longer than any blackout anyone means, and end the search where nothing is to be found.
const HORIZON: Duration = Duration::from_secs(800 * 86_400);

/// Most answers lie within days; looking so far first keeps a question cheap.
const LOOKAHEADS: [Duration; 3] = [
    Duration::from_secs(9 * 86_400),
    Duration::from_secs(70 * 86_400),
    HORIZON,
];

/// When work may start by the windows and blackouts of a policy.
///
/// Zones are resolved once, when it is made, so that every answer is pure. Windows that touch or
/// overlap are one open time; where nothing closes one, it is said to end after 800 days.
#[derive(Debug, Clone)]
pub struct Calendar {
    windows: Vec<Resolved>,
    blackouts: Vec<(Interval, Blackout)>,
}

/// Shorter than any window.
const INSTANT: Duration = Duration::from_nanos(1);

impl Calendar {
    /// The calendar of some windows and blackouts.
    ///
    /// # Errors
    /// `InvalidInput` where a zone is unknown to the time zone database, or a window has none.
    pub fn new(windows: &[Window], blackouts: &[Blackout]) -> Result<Self> {
        let windows = windows.iter().map(|window| {
            let zone = match (window.zone.as_str(), window.when) {
                ("", Recurrence::AnyTime) => TimeZone::UTC,
                (zone, _) => zone_named(zone)?,
            };
            Ok(Resolved {
                window: window.clone(),
                zone,
            })
        });
        let windows: Vec<Resolved> = windows.collect::<Result<_>>()?;
        let mut zones: Vec<TimeZone> = windows
            .iter()
            .filter(|own| !own.window.zone.is_empty())
            .map(|own| own.zone.clone())
            .collect();
        if zones.is_empty() {
            zones.push(TimeZone::UTC);
        }
        let blackouts = blackouts.iter().map(|blackout| {
            let days = match &blackout.zone {
                Some(zone) => days_of(blackout, &[zone_named(zone)?]),
                None => days_of(blackout, &zones),
            };
            Ok((days, blackout.clone()))
        });
        Ok(Self {
            blackouts: blackouts.collect::<Result<_>>()?,
            windows,
        })
    }

    /// Whether a step that needs so long (its p95) may start now; `window` is the one window it is
    /// bound to, without which any serves.
    #[must_use]
    pub fn gate(&self, window: Option<&WindowName>, now: Timestamp, needs: Duration) -> Gate {
        if let Some(open) = self.open_at(window, now) {
            let Opening {
                window: name,
                until,
                ..
            } = open;
            if fits(now, needs, until) {
                return Gate::Open {
                    window: name,
                    until,
                };
            }
            let because = vec![ClosedBecause::TooLate {
                window: name,
                closes: until,
                needs_seconds: needs.as_secs(),
            }];
            return Gate::Closed {
                next: self.next_start(window, now, needs),
                because,
            };
        }
        Gate::Closed {
            next: self.next_start(window, now, needs),
            because: self.why_closed(window, now),
        }
    }

    /// The first time from `from` on in which a step that needs so long may start; `None` where
    /// there is none within 800 days.
    #[must_use]
    pub fn next_opening(
        &self,
        window: Option<&WindowName>,
        from: Timestamp,
        needs: Duration,
    ) -> Option<Opening> {
        for ahead in LOOKAHEADS {
            let end = later(from, ahead);
            let found = self
                .open_times(window, from, end)
                .into_iter()
                .find_map(|open| {
                    let start = cmp::max(open.from, from);
                    (start < open.until && fits(start, needs, open.until)).then_some((start, open))
                });
            // What reaches the end of the lookahead may go on beyond it.
            if let Some((start, open)) = found
                && (open.until < end || ahead == HORIZON)
            {
                let window = self.name_at(window, start)?;
                return Some(Opening {
                    window,
                    from: start,
                    until: open.until,
                });
            }
        }
        None
    }

    fn next_start(
        &self,
        window: Option<&WindowName>,
        from: Timestamp,
        needs: Duration,
    ) -> Option<Timestamp> {
        self.next_opening(window, from, needs)
            .map(|opening| opening.from)
    }

    fn open_at(&self, window: Option<&WindowName>, now: Timestamp) -> Option<Opening> {
        self.next_opening(window, now, Duration::ZERO)
            .filter(|opening| opening.from == now)
    }

    fn serving<'c>(&'c self, window: Option<&'c WindowName>) -> impl Iterator<Item = &'c Resolved> {
        self.windows
            .iter()
            .filter(move |own| window.is_none_or(|name| own.window.name == *name))
    }

    /// The first window of the policy that is open at this instant.
    fn name_at(&self, window: Option<&WindowName>, at: Timestamp) -> Option<WindowName> {
        let next = later(at, INSTANT);
        self.serving(window)
            .find(|own| {
                own.occurrences(at, next)
                    .iter()
                    .any(|open| open.contains(at))
            })
            .map(|own| own.window.name.clone())
    }

    fn why_closed(&self, window: Option<&WindowName>, now: Timestamp) -> Vec<ClosedBecause> {
        if let Some(name) = window
            && self.serving(window).next().is_none()
        {
            return vec![ClosedBecause::UnknownWindow(name.clone())];
        }
        if self.windows.is_empty() {
            return vec![ClosedBecause::NoWindow];
        }
        let blackouts = self
            .blackouts
            .iter()
            .filter(|(days, _)| days.contains(now))
            .map(|(_, blackout)| ClosedBecause::Blackout {
                from: blackout.from,
                to: blackout.to,
                because: blackout.because.clone(),
            });
        let next = later(now, INSTANT);
        let outside = self
            .serving(window)
            .filter(|own| {
                !own.occurrences(now, next)
                    .iter()
                    .any(|open| open.contains(now))
            })
            .map(|own| ClosedBecause::OutsideWindow(own.window.name.clone()));
        blackouts.chain(outside).collect()
    }

    /// The open times that touch `from..end`, in order, none touching another.
    fn open_times(
        &self,
        window: Option<&WindowName>,
        from: Timestamp,
        end: Timestamp,
    ) -> Vec<Interval> {
        let mut all: Vec<Interval> = if self
            .serving(window)
            .any(|own| own.window.when == Recurrence::AnyTime)
        {
            vec![Interval { from, until: end }]
        } else {
            self.serving(window)
                .flat_map(|own| own.occurrences(from, end))
                .collect()
        };
        all.sort();
        let mut merged: Vec<Interval> = Vec::new();
        for next in all {
            match merged.last_mut() {
                Some(last) if next.from <= last.until => {
                    last.until = cmp::max(last.until, next.until)
                }
                _ => merged.push(next),
            }
        }
        for (closed, _) in &self.blackouts {
            merged = merged
                .into_iter()
                .flat_map(|span| {
                    let before = Interval {
                        until: cmp::min(span.until, closed.from),
                        ..span
                    };
                    let after = Interval {
                        from: cmp::max(span.from, closed.until),
                        ..span
                    };
                    [before, after]
                })
                .filter(|span| span.from < span.until)
                .collect();
        }
        merged
    }
}

impl Policy {
    /// When work may start by this policy.
    ///
    /// # Errors
    /// `InvalidInput` where a zone is unknown; a policy that was read or checked has none such.
    pub fn calendar(&self) -> Result<Calendar> {
        Calendar::new(&self.windows, &self.blackouts)
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

fn fits(start: Timestamp, needs: Duration, until: Timestamp) -> bool {
    SignedDuration::try_from(needs)
        .ok()
        .and_then(|needs| start.checked_add(needs).ok())
        .is_some_and(|end| end <= until)
}

#[cfg(test)]
mod tests;
