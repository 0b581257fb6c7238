//! When components are rebooted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When components are rebooted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RebootRules {
    /// Whether a patched component is rebooted. Default where it is needed.
    pub when: RebootWhen,
    /// What happens to a component that waited for a reboot before the run touched it. Default it
    /// is refused.
    pub pending_before: PendingReboot,
}

impl RebootRules {
    /// Whether a patched component is rebooted; one that already waits for a reboot is refused.
    #[must_use]
    pub fn when(when: RebootWhen) -> Self {
        Self {
            when,
            pending_before: PendingReboot::default(),
        }
    }

    /// What happens to a component that waited for a reboot before.
    #[must_use]
    pub fn with_pending_before(mut self, pending_before: PendingReboot) -> Self {
        self.pending_before = pending_before;
        self
    }
}

/// Whether a patched component is rebooted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RebootWhen {
    /// Where a patch is in effect only after it; unknown counts as needed.
    #[default]
    Needed,
    /// Never: what would need it is staged, and reported as not in effect.
    Never,
    /// After every patch.
    Always,
}

/// What happens to a component that waited for a reboot before the run touched it.
///
/// Such a reboot brings in what this plan does not contain and nobody here approved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PendingReboot {
    /// It is left out and named as blocked.
    #[default]
    Refuse,
    /// It is rebooted and checked first, then patched.
    RebootFirst,
    /// The reboot of the patch serves for both.
    FoldIn,
}
