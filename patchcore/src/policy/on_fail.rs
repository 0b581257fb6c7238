//! What happens when a component fails.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::budget::Tolerance;

/// What happens when a component fails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OnFail {
    /// What happens to the component. Default it is rolled back.
    pub component: OnComponentFailure,
    /// How many components of a ring may fail before it halts. Default none.
    pub tolerate: Tolerance,
}

impl OnFail {
    /// What happens to a component that fails; the first failure halts its ring.
    #[must_use]
    pub fn component(component: OnComponentFailure) -> Self {
        Self {
            component,
            tolerate: Tolerance::default(),
        }
    }

    /// How many components of a ring may fail before it halts.
    #[must_use]
    pub fn with_tolerate(mut self, tolerate: Tolerance) -> Self {
        self.tolerate = tolerate;
        self
    }
}

/// What happens to a component that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnComponentFailure {
    /// It is brought back to what it was.
    #[default]
    RollBack,
    /// It stays as it is, and the run halts for a person.
    Stop,
    /// It stays as it is, counts as failed, and the others go on within what is tolerated.
    Skip,
}
