//! When work may start: windows, minus blackouts.

use std::{cmp, fmt, time::Duration};

use jiff::{
    SignedDuration, Timestamp, ToSpan as _,
    civil::{Date, Time},
    tz::TimeZone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Blackout, Policy, Recurrence, Window, duration_words};
use crate::{Error, ErrorKind, Result, id::WindowName};

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

#[derive(Debug, Clone)]
struct Resolved {
    window: Window,
    zone: TimeZone,
}

/// Shorter than any window.
const INSTANT: Duration = Duration::from_nanos(1);

/// Whether a step may start now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Gate {
    /// It may: the time it needs fits before the end.
    Open {
        /// A window that is open now, the first of the policy where several are.
        window: WindowName,
        /// When nothing is open any more.
        until: Timestamp,
    },
    /// It may not.
    Closed {
        /// When it may, where that is within 800 days.
        next: Option<Timestamp>,
        /// Why not, all at once.
        because: Vec<ClosedBecause>,
    },
}

/// Why a step may not start now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClosedBecause {
    /// The policy has no window.
    NoWindow,
    /// The policy has no window of this name.
    UnknownWindow(WindowName),
    /// The window is not open now.
    OutsideWindow(WindowName),
    /// A blackout holds, whatever windows say.
    Blackout {
        /// Its first day.
        from: Date,
        /// Its last day.
        to: Date,
        /// Why it was made.
        because: String,
    },
    /// The window is open and closes before the step can be expected to end.
    TooLate {
        /// The window that is open.
        window: WindowName,
        /// When nothing is open any more.
        closes: Timestamp,
        /// What the step needs, in seconds.
        needs_seconds: u64,
    },
}

impl fmt::Display for ClosedBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWindow => f.write_str("the policy has no window"),
            Self::UnknownWindow(window) => write!(f, "the policy has no window {window}"),
            Self::OutsideWindow(window) => write!(f, "window {window} is not open"),
            Self::Blackout { from, to, because } => {
                write!(f, "blackout from {from} to {to}: {because}")
            }
            Self::TooLate {
                window,
                closes,
                needs_seconds,
            } => {
                let needs = duration_words(Duration::from_secs(*needs_seconds));
                write!(
                    f,
                    "window {window} closes at {closes}, and {needs} are needed"
                )
            }
        }
    }
}

/// A time in which a step may start and end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Opening {
    /// A window that is open at its start, the first of the policy where several are.
    pub window: WindowName,
    /// When the step may start.
    pub from: Timestamp,
    /// When nothing is open any more.
    pub until: Timestamp,
}

/// From a first instant on, up to and without a last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Interval {
    from: Timestamp,
    until: Timestamp,
}

impl Interval {
    fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

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

impl Resolved {
    /// The times at which the window is open and that touch `from..end`, cut off at `end`.
    fn occurrences(&self, from: Timestamp, end: Timestamp) -> Vec<Interval> {
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

impl Policy {
    /// When work may start by this policy.
    ///
    /// # Errors
    /// `InvalidInput` where a zone is unknown; a policy that was read or checked has none such.
    pub fn calendar(&self) -> Result<Calendar> {
        Calendar::new(&self.windows, &self.blackouts)
    }
}

fn zone_named(zone: &str) -> Result<TimeZone> {
    TimeZone::get(zone).map_err(|error| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("time zone {zone:?} is unknown"),
        )
        .expected("an IANA name such as \"Europe/Berlin\"")
        .source_error(error)
    })
}

/// A civil time as an instant, by the `compatible` rule.
fn instant(day: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_zoned(day.to_datetime(time))
        .compatible()
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// From the start of its first day to the end of its last, where both are days in several zones
/// from the first that begins to the last that ends.
fn days_of(blackout: &Blackout, zones: &[TimeZone]) -> Interval {
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
mod tests {
    use jiff::civil::{DateTime, date, time};
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn window(name: &str, zone: &str, when: &str, from: Time, until: Time) -> Window {
        Window::new(name, zone, when.parse().unwrap()).with_hours(from, until)
    }

    fn nights() -> Window {
        window(
            "nights",
            "Europe/Berlin",
            "daily",
            time(22, 0, 0, 0),
            time(6, 0, 0, 0),
        )
    }

    fn at(text: &str) -> Timestamp {
        text.parse::<DateTime>()
            .unwrap()
            .in_tz("Europe/Berlin")
            .unwrap()
            .timestamp()
    }

    fn calendar(windows: &[Window], blackouts: &[Blackout]) -> Calendar {
        Calendar::new(windows, blackouts).unwrap()
    }

    #[test]
    fn a_night_lasts_as_long_as_the_clock_says() {
        let calendar = calendar(&[nights()], &[]);
        for (evening, hours) in [("2026-03-28", 7), ("2026-06-01", 8), ("2026-10-24", 9)] {
            let noon = at(&format!("{evening}T12:00"));
            let opening = calendar.next_opening(None, noon, Duration::ZERO).unwrap();
            assert_eq!(opening.from, at(&format!("{evening}T22:00")));
            assert_eq!(
                opening.until.duration_since(opening.from),
                SignedDuration::from_hours(hours),
                "{evening}"
            );
        }
    }

    #[test]
    fn a_step_starts_only_if_it_fits() {
        let calendar = calendar(&[nights()], &[]);
        // The clock goes forward: seven hours from 22:00 on.
        let evening = at("2026-03-28T22:00");
        let until = at("2026-03-29T06:00");
        assert_eq!(
            calendar.gate(None, evening, 7 * HOUR),
            Gate::Open {
                window: "nights".into(),
                until
            }
        );
        let next = at("2026-03-29T22:00");
        assert_eq!(
            calendar.gate(None, evening, 8 * HOUR),
            Gate::Closed {
                next: Some(next),
                because: vec![ClosedBecause::TooLate {
                    window: "nights".into(),
                    closes: until,
                    needs_seconds: 8 * 3_600
                }],
            }
        );
        assert_eq!(
            calendar.next_opening(None, evening, 10 * HOUR),
            None,
            "no night is so long"
        );
    }

    #[test]
    fn a_time_that_the_clock_skips_is_taken_later_and_one_that_comes_twice_first() {
        let gap = window(
            "gap",
            "Europe/Berlin",
            "sun",
            time(2, 30, 0, 0),
            time(5, 0, 0, 0),
        );
        let opening = calendar(&[gap], &[])
            .next_opening(None, at("2026-03-29T00:00"), Duration::ZERO)
            .unwrap();
        assert_eq!(opening.from, at("2026-03-29T03:30"));
        let fold = window(
            "fold",
            "Europe/Berlin",
            "sun",
            time(1, 0, 0, 0),
            time(2, 30, 0, 0),
        );
        let opening = calendar(&[fold], &[])
            .next_opening(None, at("2026-10-25T00:00"), Duration::ZERO)
            .unwrap();
        assert_eq!(
            opening.until.duration_since(opening.from),
            SignedDuration::from_mins(90)
        );
        // 02:15 to 02:45 is skipped to 03:15 to 03:45, but 02:30 to 03:15 has its end before its start.
        let nothing = window(
            "nothing",
            "Europe/Berlin",
            "sun",
            time(2, 30, 0, 0),
            time(3, 15, 0, 0),
        );
        let opening = calendar(&[nothing], &[])
            .next_opening(None, at("2026-03-29T00:00"), Duration::ZERO)
            .unwrap();
        assert_eq!(opening.from, at("2026-04-05T02:30"));
    }

    #[test]
    fn closed_says_why_all_at_once() {
        let freeze = Blackout::new(date(2026, 12, 20), date(2027, 1, 3), "year-end freeze");
        let frozen = ClosedBecause::Blackout {
            from: freeze.from,
            to: freeze.to,
            because: "year-end freeze".to_owned(),
        };
        let monthly = window(
            "monthly",
            "Europe/Berlin",
            "second tuesday + 5d",
            time(8, 0, 0, 0),
            time(12, 0, 0, 0),
        );
        let calendar = calendar(&[nights(), monthly], &[freeze]);
        let outside = |name: &str| ClosedBecause::OutsideWindow(name.into());
        for (now, bound_to, next, because) in [
            (
                "2026-12-25T12:00",
                None,
                Some("2027-01-04T00:00"),
                vec![frozen.clone(), outside("nights"), outside("monthly")],
            ),
            (
                "2026-12-25T23:00",
                None,
                Some("2027-01-04T00:00"),
                vec![frozen.clone(), outside("monthly")],
            ),
            (
                "2026-12-01T12:00",
                Some("monthly"),
                Some("2026-12-13T08:00"),
                vec![outside("monthly")],
            ),
            (
                "2026-12-13T23:00",
                Some("monthly"),
                Some("2027-01-17T08:00"),
                vec![outside("monthly")],
            ),
            (
                "2026-12-01T12:00",
                Some("weekly"),
                None,
                vec![ClosedBecause::UnknownWindow("weekly".into())],
            ),
        ] {
            assert_eq!(
                calendar.gate(bound_to.map(WindowName::from).as_ref(), at(now), HOUR),
                Gate::Closed {
                    next: next.map(at),
                    because
                },
                "{now}"
            );
        }
        assert_eq!(
            Calendar::new(&[], &[])
                .unwrap()
                .gate(None, at("2026-12-01T12:00"), HOUR),
            Gate::Closed {
                next: None,
                because: vec![ClosedBecause::NoWindow]
            }
        );
    }

    #[test]
    fn windows_that_touch_are_one_open_time() {
        let early = window(
            "early",
            "UTC",
            "daily",
            time(20, 0, 0, 0),
            time(22, 0, 0, 0),
        );
        let late = window("late", "UTC", "daily", time(22, 0, 0, 0), time(23, 0, 0, 0));
        let calendar = calendar(&[early, late], &[]);
        let now: Timestamp = "2026-12-01T21:00:00Z".parse().unwrap();
        let until = "2026-12-01T23:00:00Z".parse().unwrap();
        assert_eq!(
            calendar.gate(None, now, 2 * HOUR),
            Gate::Open {
                window: "early".into(),
                until
            }
        );
        assert!(matches!(
            calendar.gate(Some(&"early".into()), now, 2 * HOUR),
            Gate::Closed { .. }
        ));
    }

    #[test]
    fn any_time_is_closed_by_blackouts_alone() {
        let freeze = Blackout::new(date(2026, 12, 20), date(2026, 12, 20), "freeze")
            .with_zone("Europe/Berlin");
        let calendar = calendar(&[Window::any_time("always")], &[freeze]);
        let now = at("2026-12-19T12:00");
        let until = at("2026-12-20T00:00");
        assert_eq!(
            calendar.gate(None, now, HOUR),
            Gate::Open {
                window: "always".into(),
                until
            }
        );
        let Gate::Closed { next, .. } = calendar.gate(None, now, 13 * HOUR) else {
            panic!("open")
        };
        assert_eq!(next, Some(at("2026-12-21T00:00")));
        let Gate::Open { until, .. } = calendar.gate(None, at("2026-12-21T00:00"), 9_000 * HOUR)
        else {
            panic!("closed")
        };
        assert_eq!(until, later(at("2026-12-21T00:00"), HORIZON));
    }

    #[test]
    fn a_blackout_without_a_zone_holds_wherever_a_window_is() {
        let tokyo = window(
            "tokyo",
            "Asia/Tokyo",
            "daily",
            Time::midnight(),
            Time::midnight(),
        );
        let day = Blackout::new(date(2026, 12, 20), date(2026, 12, 20), "freeze");
        let calendar = calendar(&[Window::any_time("always"), nights(), tokyo], &[day]);
        for (now, open) in [
            ("2026-12-19T14:59:59Z", true),
            ("2026-12-19T15:00:00Z", false), // Midnight in Tokyo.
            ("2026-12-20T22:59:59Z", false),
            ("2026-12-20T23:00:00Z", true), // Midnight in Berlin.
        ] {
            let gate = calendar.gate(None, now.parse().unwrap(), Duration::ZERO);
            assert_eq!(matches!(gate, Gate::Open { .. }), open, "{now}");
        }
    }

    #[test]
    fn a_zone_must_be_known() {
        for zone in ["Europe/Berlln", ""] {
            let error = Calendar::new(
                &[window(
                    "w",
                    zone,
                    "daily",
                    Time::midnight(),
                    Time::midnight(),
                )],
                &[],
            );
            assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput, "{zone}");
        }
    }

    #[test]
    fn the_edges_of_time_are_answered() {
        let calendar = calendar(
            &[nights(), Window::any_time("always")],
            &[Blackout::new(Date::MIN, Date::MAX, "ever")],
        );
        for now in [Timestamp::MIN, Timestamp::MAX] {
            for needs in [Duration::ZERO, Duration::MAX] {
                assert!(matches!(
                    calendar.gate(None, now, needs),
                    Gate::Closed { next: None, .. }
                ));
            }
        }
    }

    fn hour() -> impl Strategy<Value = Time> {
        // Clocks change between 01:00 and 03:00, where civil times are not one instant each.
        (
            prop_oneof![Just(0_i8), 4_i8..24],
            prop::sample::select(vec![0_i8, 30]),
        )
            .prop_map(|(h, m)| time(h, m, 0, 0))
    }

    fn any_window() -> impl Strategy<Value = Window> {
        let when = prop::sample::select(vec![
            "daily",
            "mon..thu",
            "sat",
            "fri..mon",
            "second tuesday + 5d",
            "last friday",
            "first monday - 3d",
        ]);
        let zone = prop::sample::select(vec![
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "Asia/Kolkata",
        ]);
        (zone, when, hour(), hour())
            .prop_map(|(zone, when, from, until)| window("any", zone, when, from, until))
    }

    fn any_blackout() -> impl Strategy<Value = Blackout> {
        (0_i64..700, 0_i64..20).prop_map(|(first, days)| {
            let from = date(2026, 1, 1) + first.days();
            Blackout::new(from, from + days.days(), "freeze").with_zone("Europe/Berlin")
        })
    }

    fn any_calendar() -> impl Strategy<Value = (Vec<Window>, Vec<Blackout>)> {
        (
            prop::collection::vec(any_window(), 1..3),
            prop::collection::vec(any_blackout(), 0..3),
        )
    }

    fn any_instant() -> impl Strategy<Value = Timestamp> {
        // Half the instants lie around the changes of clocks of 2026.
        let year = 1_767_225_600_i64;
        prop_oneof![
            year..year + 600 * 86_400,
            (-48_i64..48, 0_i64..3_600)
                .prop_map(move |(hours, s)| 1_774_746_000 + hours * 3_600 + s),
            (-48_i64..48, 0_i64..3_600)
                .prop_map(move |(hours, s)| 1_792_890_000 + hours * 3_600 + s),
        ]
        .prop_map(|second| Timestamp::from_second(second).unwrap())
    }

    /// The definition on the wall clock, in no way by intervals.
    fn open_by_the_clock(windows: &[Window], blackouts: &[Blackout], now: Timestamp) -> bool {
        let berlin = now.in_tz("Europe/Berlin").unwrap().date();
        if blackouts
            .iter()
            .any(|blackout| blackout.from <= berlin && berlin <= blackout.to)
        {
            return false;
        }
        windows.iter().any(|window| {
            let here = now.in_tz(&window.zone).unwrap();
            let (today, clock) = (here.date(), here.time());
            let yesterday = today.yesterday().unwrap();
            if window.from < window.until {
                window.when.falls_on(today) && window.from <= clock && clock < window.until
            } else {
                (window.when.falls_on(today) && window.from <= clock)
                    || (window.when.falls_on(yesterday) && clock < window.until)
            }
        })
    }

    proptest! {
        #[test]
        fn it_is_open_when_the_wall_clock_says_so((windows, blackouts) in any_calendar(), now in any_instant()) {
            let gate = calendar(&windows, &blackouts).gate(None, now, Duration::ZERO);
            prop_assert_eq!(matches!(gate, Gate::Open { .. }), open_by_the_clock(&windows, &blackouts, now));
        }

        #[test]
        fn gate_and_next_opening_agree(
            (windows, blackouts) in any_calendar(), now in any_instant(), minutes in 0_u64..1_800,
        ) {
            let (calendar, needs) = (calendar(&windows, &blackouts), Duration::from_secs(minutes * 60));
            let opening = calendar.next_opening(None, now, needs);
            match (calendar.gate(None, now, needs), &opening) {
                (Gate::Open { window, until }, Some(opening)) => {
                    prop_assert_eq!((&window, until, now), (&opening.window, opening.until, opening.from));
                }
                (Gate::Closed { next, because }, opening) => {
                    prop_assert_eq!(next, opening.as_ref().map(|opening| opening.from));
                    prop_assert!(next.is_none_or(|next| next > now));
                    prop_assert!(!because.is_empty());
                }
                (open, none) => prop_assert!(false, "{open:?} beside {none:?}"),
            }
            if let Some(Opening { window, from, until }) = opening {
                prop_assert!(fits(from, needs, until));
                let last_start = until.checked_sub(SignedDuration::try_from(needs).unwrap()).unwrap();
                if until < later(now, HORIZON) {
                    prop_assert_eq!(calendar.gate(None, from, needs), Gate::Open { window, until });
                    if last_start < until {
                        let open = matches!(calendar.gate(None, last_start, needs), Gate::Open { .. });
                        prop_assert!(open, "up to the last moment");
                    }
                    prop_assert!(!open_by_the_clock(&windows, &blackouts, until), "it ends where it ends");
                }
            }
        }

        #[test]
        fn a_blackout_wins((windows, mut blackouts) in any_calendar(), always in any::<bool>(), now in any_instant()) {
            let mut windows = windows;
            if always {
                windows.push(Window::any_time("always"));
            }
            let today = now.in_tz("Europe/Berlin").unwrap().date();
            blackouts.push(Blackout::new(today, today, "today").with_zone("Europe/Berlin"));
            let Gate::Closed { because, .. } = calendar(&windows, &blackouts).gate(None, now, Duration::ZERO) else {
                return Err(TestCaseError::fail("open in a blackout"));
            };
            let today_named = because.iter().any(
                |why| matches!(why, ClosedBecause::Blackout { because, .. } if because == "today"),
            );
            prop_assert!(today_named);
        }
    }
}
