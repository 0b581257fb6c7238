//! What happens when a component fails.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::budget::Tolerance;
use crate::error::ErrorKind;

/// What happens when a component fails, and how many failures stop the run.
///
/// Each limit stands for itself: the first that is passed halts the run. Then nothing new starts, what is in flight
/// is brought to a safe state, and a person decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OnFail {
    /// What happens to the component. Default it is rolled back.
    pub component: OnComponentFailure,
    /// How many components of a ring may fail before the run halts. Default none.
    pub tolerate: Tolerance,
    /// How many components of the whole run may fail before it halts. Default as many as its rings tolerate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tolerance")]
    pub tolerate_in_run: Option<Tolerance>,
    /// So many failures one after another, by the order in which the components had their turn, halt the run.
    /// Default no such limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1))]
    pub in_a_row: Option<u32>,
    /// Limits of their own for reasons to fail. Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kind: Vec<KindTolerance>,
}

/// How many components may fail for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KindTolerance {
    /// The kind of the first error that a component failed with.
    #[schemars(with = "String")]
    pub kind: ErrorKind,
    /// How many components of the whole run may fail with it before the run halts. Default none.
    #[serde(default)]
    pub tolerate: Tolerance,
}

impl KindTolerance {
    /// The first failure of this kind halts the run.
    #[must_use]
    pub fn none(kind: ErrorKind) -> Self {
        Self {
            kind,
            tolerate: Tolerance::default(),
        }
    }

    /// So many may fail with it.
    #[must_use]
    pub fn with_tolerate(mut self, tolerate: Tolerance) -> Self {
        self.tolerate = tolerate;
        self
    }
}

impl OnFail {
    /// What happens to a component that fails; the first failure halts the run.
    #[must_use]
    pub fn component(component: OnComponentFailure) -> Self {
        Self {
            component,
            ..Self::default()
        }
    }

    /// How many components of a ring may fail before the run halts.
    #[must_use]
    pub fn with_tolerate(mut self, tolerate: Tolerance) -> Self {
        self.tolerate = tolerate;
        self
    }

    /// How many components of the whole run may fail before it halts.
    #[must_use]
    pub fn with_tolerate_in_run(mut self, tolerate: Tolerance) -> Self {
        self.tolerate_in_run = Some(tolerate);
        self
    }

    /// How many failures one after another halt the run.
    #[must_use]
    pub fn with_in_a_row(mut self, in_a_row: u32) -> Self {
        self.in_a_row = Some(in_a_row);
        self
    }

    /// One more limit for a reason to fail.
    #[must_use]
    pub fn with_kind(mut self, kind: KindTolerance) -> Self {
        self.kind.push(kind);
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
