//! What puts patches in.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{OpContext, Operations, PerComponent, PortRequest};
use crate::{
    error::Result,
    estate::{PatchChange, Scan},
    id::{ComponentId, OpKey},
};

/// What one component is to go through: every change exactly from a version and exactly to one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Whom.
    pub component: ComponentId,
    /// What.
    pub patches: Vec<PatchChange>,
}

impl Change {
    /// Changes of one component.
    pub fn new(component: impl Into<ComponentId>, patches: Vec<PatchChange>) -> Self {
        Self {
            component: component.into(),
            patches,
        }
    }

    /// The way back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            component: self.component.clone(),
            patches: self.patches.iter().map(PatchChange::reversed).collect(),
        }
    }
}

/// The verbs of a [`Deployer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "verb", deny_unknown_fields)]
#[non_exhaustive]
pub enum DeployRequest {
    /// Fetches the catalogue anew. Changes caches only.
    Refresh {
        /// Where.
        components: Vec<ComponentId>,
    },
    /// Fetches what will be put in, and keeps what is needed for the way back. Changes caches only.
    Stage {
        /// What will be put in.
        changes: Vec<Change>,
    },
    /// Puts it in.
    Apply {
        /// What.
        changes: Vec<Change>,
        /// The stage operation that fetched it and armed the way back.
        staged: OpKey,
    },
    /// Restarts.
    Reboot {
        /// Whom.
        components: Vec<ComponentId>,
    },
    /// Puts the earlier versions back in.
    RollBack {
        /// From what is there to what was there.
        changes: Vec<Change>,
        /// The stage operation that armed the way back.
        staged: OpKey,
    },
    /// Gives back what `Stage` kept.
    Discard {
        /// Where.
        components: Vec<ComponentId>,
        /// The stage operation that kept it.
        staged: OpKey,
    },
}

impl PortRequest for DeployRequest {
    const PORT: &'static str = "deploy";

    fn verb(&self) -> &'static str {
        match self {
            Self::Refresh { .. } => "refresh",
            Self::Stage { .. } => "stage",
            Self::Apply { .. } => "apply",
            Self::Reboot { .. } => "reboot",
            Self::RollBack { .. } => "roll_back",
            Self::Discard { .. } => "discard",
        }
    }

    fn subjects(&self) -> BTreeSet<ComponentId> {
        match self {
            Self::Refresh { components }
            | Self::Reboot { components }
            | Self::Discard { components, .. } => components.iter().cloned().collect(),
            Self::Stage { changes }
            | Self::Apply { changes, .. }
            | Self::RollBack { changes, .. } => {
                changes.iter().map(|c| c.component.clone()).collect()
            }
        }
    }

    fn only(&self, keep: &BTreeSet<ComponentId>) -> Option<Self> {
        let mut narrowed = self.clone();
        match &mut narrowed {
            Self::Refresh { components }
            | Self::Reboot { components }
            | Self::Discard { components, .. } => {
                components.retain(|c| keep.contains(c));
            }
            Self::Stage { changes }
            | Self::Apply { changes, .. }
            | Self::RollBack { changes, .. } => {
                changes.retain(|c| keep.contains(&c.component));
            }
        }
        (!narrowed.subjects().is_empty()).then_some(narrowed)
    }
}

/// What a deployer can do beside scanning and applying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DeployerCapabilities {
    /// Fetches its catalogue when asked.
    pub refresh: bool,
    /// Fetches ahead, and arms the way back.
    pub stage: bool,
    /// Restarts a component.
    pub reboot: bool,
    /// Puts earlier versions back.
    pub roll_back: bool,
    /// Applying includes the restart that a patch needs, and nobody else has to ask for it.
    pub restarts_with_apply: bool,
}

impl DeployerCapabilities {
    /// All verbs.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            refresh: true,
            stage: true,
            reboot: true,
            roll_back: true,
            restarts_with_apply: false,
        }
    }

    /// Whether a verb is claimed. An unclaimed verb answers `Unsupported` from `prepare`.
    #[must_use]
    pub fn claims(&self, request: &DeployRequest) -> bool {
        match request {
            DeployRequest::Refresh { .. } => self.refresh,
            DeployRequest::Stage { .. } | DeployRequest::Discard { .. } => self.stage,
            DeployRequest::Apply { .. } => true,
            DeployRequest::Reboot { .. } => self.reboot,
            DeployRequest::RollBack { .. } => self.roll_back,
        }
    }
}

/// Puts patches in and reads back what is there.
///
/// # Contract
/// - `scan` reads only and answers for each component asked.
/// - `Apply` puts in exactly the approved versions or fails with `PlanDrift`; it never takes what is newest.
/// - An `Apply` that fails half-way says so; what went in is found by the next scan.
///
/// Conformance: `deployer_*` and `operations_*` in `patchcore-testkit`.
#[async_trait]
pub trait Deployer: Operations<DeployRequest> {
    /// What it can do.
    fn capabilities(&self) -> DeployerCapabilities;

    /// What is there, for each of these components.
    ///
    /// # Errors
    /// For the whole call only; what concerns one component stands in its answer.
    async fn scan(&self, ctx: &OpContext, components: &[ComponentId])
    -> Result<PerComponent<Scan>>;
}
