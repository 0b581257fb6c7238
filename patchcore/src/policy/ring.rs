//! In which steps a rollout reaches the estate.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{budget::Budget, duration, percent::Percent, selector::Selector};
use crate::id::{RingName, WindowName};

/// A step of the rollout: some components, how many at a time, and how long they are watched.
///
/// Rings go in the order of the policy. A component belongs to the first ring that selects it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Ring {
    /// How the plan calls it.
    pub name: RingName,
    /// Its components: those that no earlier ring took.
    pub select: Selector,
    /// How long the ring is watched after its last component. Default 24 hours.
    #[serde(default = "default_soak", with = "duration::words")]
    #[schemars(with = "String")]
    pub soak: Duration,
    /// How many may be out of service together. Default one.
    #[serde(default)]
    pub at_once: Budget,
    /// What an earlier ring must have shown. Without it, the ring before must have ended its soak
    /// and stayed within what `on_fail` tolerates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "StartAfter")]
    pub start_after: Option<StartAfter>,
    /// The one window it uses. Without it, any window of the policy serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "WindowName")]
    pub window: Option<WindowName>,
    /// Whether people must approve once more before it starts, on the evidence of the ring before.
    /// Default no.
    #[serde(default)]
    pub needs_approval: bool,
}

fn default_soak() -> Duration {
    Duration::from_secs(86_400)
}

impl Ring {
    /// A ring with the stated defaults.
    pub fn new(name: impl Into<RingName>, select: Selector) -> Self {
        Self {
            name: name.into(),
            select,
            soak: default_soak(),
            at_once: Budget::default(),
            start_after: None,
            window: None,
            needs_approval: false,
        }
    }

    /// How long it is watched after its last component.
    #[must_use]
    pub fn with_soak(mut self, soak: Duration) -> Self {
        self.soak = soak;
        self
    }

    /// How many may be out of service together.
    #[must_use]
    pub fn with_at_once(mut self, at_once: Budget) -> Self {
        self.at_once = at_once;
        self
    }

    /// What an earlier ring must have shown.
    #[must_use]
    pub fn with_start_after(mut self, start_after: StartAfter) -> Self {
        self.start_after = Some(start_after);
        self
    }

    /// The one window it uses.
    #[must_use]
    pub fn with_window(mut self, window: impl Into<WindowName>) -> Self {
        self.window = Some(window.into());
        self
    }

    /// Whether people must approve once more before it starts.
    #[must_use]
    pub fn with_needs_approval(mut self, needs_approval: bool) -> Self {
        self.needs_approval = needs_approval;
        self
    }
}

/// What an earlier ring must have shown after its soak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StartAfter {
    /// The earlier ring.
    pub ring: RingName,
    /// Which share of its components must be healthy. Default 100%.
    #[serde(default = "all_of_it")]
    pub success: Percent,
    /// How many of its components must be healthy at least. Default 1; never 0.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub at_least: u32,
}

fn all_of_it() -> Percent {
    Percent::ALL
}

fn one() -> u32 {
    1
}

impl StartAfter {
    /// All of an earlier ring must be healthy, and at least one component.
    pub fn ring(ring: impl Into<RingName>) -> Self {
        Self {
            ring: ring.into(),
            success: Percent::ALL,
            at_least: 1,
        }
    }

    /// Which share must be healthy.
    #[must_use]
    pub fn with_success(mut self, success: Percent) -> Self {
        self.success = success;
        self
    }

    /// How many must be healthy at least.
    #[must_use]
    pub fn with_at_least(mut self, at_least: u32) -> Self {
        self.at_least = at_least;
        self
    }

    /// Whether a ring of which `healthy` of `n` components are healthy has shown enough.
    #[must_use]
    pub fn is_met_by(&self, healthy: usize, n: usize) -> bool {
        self.success.is_reached_by(healthy, n)
            && u32::try_from(healthy).unwrap_or(u32::MAX) >= self.at_least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_ring_must_have_shown_enough() {
        let start_after = StartAfter::ring("test")
            .with_success(Percent::new(95).unwrap())
            .with_at_least(2);
        for (healthy, n, met) in [
            (2, 2, true),
            (1, 1, false),
            (0, 0, false),
            (2, 3, false),
            (19, 20, true),
            (18, 20, false),
        ] {
            assert_eq!(start_after.is_met_by(healthy, n), met, "{healthy} of {n}");
        }
    }
}
