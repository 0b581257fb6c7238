//! What is not in a plan, and why.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Denial;
use crate::{
    error::Failure,
    estate::{KeptBackReason, PatchClass},
    id::{ComponentId, PatchId, PersonId, Version},
};

/// Why a component is not in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "why")]
#[non_exhaustive]
pub enum WhyLeftOut {
    /// Nothing is on offer.
    NothingToDo,
    /// The policy takes nothing of what is on offer.
    NotTaken,
    /// Its tool knows newer versions and does not offer them.
    KeptBack,
    /// What is on offer is under an exception.
    Excepted,
    /// What is on offer was rolled back by an earlier run.
    Denied,
    /// What is on offer was taken back by its vendor.
    Recalled,
    /// No tool covers it.
    NotCovered,
    /// No ring of the policy selects it.
    NotSelected,
    /// Something is in the way; every reason with its remedy.
    Blocked {
        /// The reasons.
        reasons: Vec<Failure>,
    },
}

impl WhyLeftOut {
    /// The word for the plan's sum.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NothingToDo => "up to date",
            Self::NotTaken => "not taken by the policy",
            Self::KeptBack => "kept back",
            Self::Recalled => "recalled",
            Self::Excepted => "excepted",
            Self::Denied => "on the deny-list",
            Self::NotCovered => "not covered",
            Self::NotSelected => "in no ring",
            Self::Blocked { .. } => "blocked",
        }
    }
}

/// A component that is not in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// Which.
    pub component: ComponentId,
    /// Why.
    #[serde(flatten)]
    pub reason: WhyLeftOut,
}

/// Why a patch is not in the plan of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "why")]
#[non_exhaustive]
pub enum WhyPatchLeftOut {
    /// The policy does not take its class.
    ClassNotTaken {
        /// Its class.
        class: PatchClass,
    },
    /// An exception of the policy.
    Excepted {
        /// Because.
        because: String,
        /// Who carries the risk.
        risk_owner: PersonId,
        /// Who approved the exception.
        approver: Option<PersonId>,
        /// What is done instead.
        compensating: Option<String>,
        /// The last day of the exception.
        #[schemars(with = "String")]
        until: Date,
    },
    /// An earlier run rolled it back.
    Denied {
        /// What happened.
        denial: Denial,
    },
    /// Its vendor took it back.
    Recalled {
        /// Why.
        because: String,
    },
    /// The tool knows it and does not offer it.
    KeptBack {
        /// Why.
        reason: KeptBackReason,
    },
}

/// A patch that is not in the plan of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PatchLeftOut {
    /// Of which component.
    pub component: ComponentId,
    /// Which.
    pub patch: PatchId,
    /// The version that is there.
    pub from: Option<Version>,
    /// The version it could have, where the tool says.
    pub to: Option<Version>,
    /// Why.
    #[serde(flatten)]
    pub reason: WhyPatchLeftOut,
}
