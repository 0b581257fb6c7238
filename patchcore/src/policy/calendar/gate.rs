//! What the calendar answers.

use std::{fmt, time::Duration};

use jiff::{Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration_words;
use crate::id::WindowName;

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
