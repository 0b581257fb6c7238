//! Who must agree before a plan may run.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration;
use crate::id::PersonId;

/// Who must agree before a plan may run. The requester never counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ApprovalRules {
    /// How many of [`Self::from`] must approve. Default 1; never 0.
    #[schemars(range(min = 1))]
    pub needs: u32,
    /// The people who may approve. Default nobody: the policy plans, but nothing can run.
    pub from: Vec<PersonId>,
    /// How long an approval holds. Default 14 days.
    #[serde(with = "duration::words")]
    #[schemars(with = "String")]
    pub valid: Duration,
}

impl Default for ApprovalRules {
    fn default() -> Self {
        Self {
            needs: 1,
            from: Vec::new(),
            valid: Duration::from_secs(14 * 86_400),
        }
    }
}

impl ApprovalRules {
    /// `needs` of the people `from`.
    pub fn new<P: Into<PersonId>>(needs: u32, from: impl IntoIterator<Item = P>) -> Self {
        Self {
            needs,
            from: from.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// How long an approval holds.
    #[must_use]
    pub fn with_valid(mut self, valid: Duration) -> Self {
        self.valid = valid;
        self
    }
}
