//! Verdicts on rings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    plan::RingRules,
    policy::{StartAfter, Tolerance},
};

/// How a ring stands. Every figure counts components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RingCount {
    /// In the plan.
    pub planned: usize,
    /// Patched, verified and soaked.
    pub done: usize,
    /// Failed in any way, whether rolled back or not.
    pub failed: usize,
    /// Not touched, because something before them failed or the run was stopped.
    pub skipped: usize,
}

/// Whether a ring has no more failures than the policy tolerates.
#[must_use]
pub fn tolerated(tolerance: Tolerance, count: &RingCount) -> bool {
    tolerance.allows(count.failed, count.planned)
}

/// Whether what a later ring waits for holds of this one. Components that were up to date count as healthy.
#[must_use]
pub fn start_after_met(rule: &StartAfter, earlier: &RingRules, count: &RingCount) -> bool {
    rule.is_met_by(
        count.done + earlier.up_to_date,
        count.planned + earlier.up_to_date,
    )
}
