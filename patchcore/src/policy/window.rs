//! When work may happen, and when never.

use jiff::civil::{Date, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{recurrence::Recurrence, time_of_day};
use crate::id::WindowName;

/// A recurring time in which work may happen, on the wall clock of its zone.
///
/// It opens at `from` on every day that `when` names, and closes at the next `until`: `22:00`
/// until `04:00` crosses midnight, and equal times make 24 hours on the clock. Both ends are
/// computed in civil time, so that 22:00 to 06:00 lasts 7 hours in the night when clocks go
/// forward and 9 when they go back. A time that the clock skips is taken as much later as the
/// clock jumps, and of a time that comes twice the first counts (jiff's `compatible` rule, which
/// is that of RFC 5545). A window whose end so comes before its start does not open that day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Window {
    /// How rings and people call it.
    pub name: WindowName,
    /// The IANA zone of its times, such as `Europe/Berlin`. Required unless `when` is `any time`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// The days on which it opens.
    pub when: Recurrence,
    /// The time of day at which it opens. Default 00:00.
    #[serde(default, with = "time_of_day::words")]
    #[schemars(with = "String")]
    pub from: Time,
    /// The time of day at which it closes, on the next day where that is not after `from`.
    /// Default 00:00.
    #[serde(default, with = "time_of_day::words")]
    #[schemars(with = "String")]
    pub until: Time,
}

impl Window {
    /// A window that is open all day on the days of `when`.
    pub fn new(name: impl Into<WindowName>, zone: impl Into<String>, when: Recurrence) -> Self {
        Self {
            name: name.into(),
            zone: zone.into(),
            when,
            from: Time::midnight(),
            until: Time::midnight(),
        }
    }

    /// A window that is always open.
    pub fn any_time(name: impl Into<WindowName>) -> Self {
        Self::new(name, "", Recurrence::AnyTime)
    }

    /// The times of day between which it is open.
    #[must_use]
    pub fn with_hours(mut self, from: Time, until: Time) -> Self {
        self.from = from;
        self.until = until;
        self
    }
}

/// Days on which no work happens, whatever windows say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Blackout {
    /// The first day, from its midnight on.
    pub from: Date,
    /// The last day, to its end.
    pub to: Date,
    /// The IANA zone in which these are days. Without it, they are days in the zone of every window
    /// of the policy, from the first that begins to the last that ends (UTC where no window has a
    /// zone).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub zone: Option<String>,
    /// Why, in words for those who wait.
    pub because: String,
}

impl Blackout {
    /// From the start of `from` to the end of `to`.
    pub fn new(from: Date, to: Date, because: impl Into<String>) -> Self {
        Self {
            from,
            to,
            zone: None,
            because: because.into(),
        }
    }

    /// The zone in which these are days.
    #[must_use]
    pub fn with_zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }
}
