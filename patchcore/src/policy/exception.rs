//! What stays unpatched, by whose word and until when.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{glob::Glob, selector::Selector};
use crate::id::PersonId;

/// Patches that are left out although they would be taken: *mitigated* is not *patched*, so that
/// somebody carries the risk, and only until a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExceptionRule {
    /// The names of the patches.
    #[serde(rename = "match")]
    pub pattern: Glob,
    /// Why they are left out.
    pub because: String,
    /// Who carries the risk.
    pub risk_owner: PersonId,
    /// Who agreed to it, where that is another person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PersonId")]
    pub approver: Option<PersonId>,
    /// What protects the components meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub compensating: Option<String>,
    /// The last day on which it holds, in UTC.
    pub until: Date,
    /// On which components. Default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Selector")]
    pub select: Option<Selector>,
}

impl ExceptionRule {
    /// Leaves out the patches whose names match, at the risk of `risk_owner`, to the end of
    /// `until`.
    pub fn new(
        pattern: Glob,
        because: impl Into<String>,
        risk_owner: impl Into<PersonId>,
        until: Date,
    ) -> Self {
        Self {
            pattern,
            because: because.into(),
            risk_owner: risk_owner.into(),
            approver: None,
            compensating: None,
            until,
            select: None,
        }
    }

    /// Who agreed to it.
    #[must_use]
    pub fn with_approver(mut self, approver: impl Into<PersonId>) -> Self {
        self.approver = Some(approver.into());
        self
    }

    /// What protects the components meanwhile.
    #[must_use]
    pub fn with_compensating(mut self, compensating: impl Into<String>) -> Self {
        self.compensating = Some(compensating.into());
        self
    }

    /// On which components.
    #[must_use]
    pub fn with_select(mut self, select: Selector) -> Self {
        self.select = Some(select);
        self
    }
}
