//! One component's part of a plan: nothing is left for execution to choose.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shared;
use crate::{
    estate::{Estimate, Patch, WayBack},
    id::{ComponentId, GroupName, ProviderName, RingName},
    provider::{BracketKind, BracketRequest, Change, PortCall, ProbeKind},
};

/// Whether a component restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RebootRule {
    /// It does not; what waits for a restart goes on waiting, and the report says so.
    Never,
    /// When the scan after applying wants it.
    WhenNeeded,
    /// After applying, in any case.
    Always,
}

/// A check with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedCheck {
    /// What is asked.
    pub kind: ProbeKind,
    /// Who asks.
    pub by: ProviderName,
    /// How long it may take until the component is healthy.
    #[serde(with = "crate::clock::iso")]
    #[schemars(with = "String")]
    pub within: Duration,
    /// How long it must stay healthy without a break.
    #[serde(with = "crate::clock::iso")]
    #[schemars(with = "String")]
    pub steady: Duration,
}

/// Something that is held around the change of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedBracket {
    /// What.
    pub kind: BracketKind,
    /// Which provider takes it and gives it back.
    pub by: ProviderName,
    /// That provider's own name for the component.
    pub known_as: ComponentId,
    /// For how long it is taken at least; when that is over, it should have been given back.
    #[serde(with = "crate::clock::iso")]
    #[schemars(with = "String")]
    pub at_least: Duration,
}

impl PlannedBracket {
    /// What is held: `alerts silenced in alertmanager`.
    pub(crate) fn words(&self) -> String {
        match self.kind {
            BracketKind::Silence => format!("alerts silenced in {}", self.by),
            BracketKind::Pause => format!("{} paused", self.by),
        }
    }

    /// What is asked of the provider to take it.
    #[must_use]
    pub fn take(&self) -> PortCall {
        PortCall::Bracket {
            by: self.by.clone(),
            request: BracketRequest::Take {
                components: vec![self.known_as.clone()],
                kind: self.kind,
                at_least: self.at_least,
            },
        }
    }
}

/// One component's part of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Target {
    /// Whom.
    pub component: ComponentId,
    /// In which ring.
    pub ring: RingName,
    /// By which tool.
    pub tool: ProviderName,
    /// The tool's own name for it.
    pub known_as: ComponentId,
    /// Exactly what goes in.
    #[schemars(with = "Vec<Patch>")]
    pub patches: Shared<Patch>,
    /// Whether the tool fetches ahead and keeps the way back.
    pub stages: bool,
    /// Whether the tool can put the earlier versions back.
    pub rolls_back: bool,
    /// Whether it restarts.
    pub reboot: RebootRule,
    /// Whether a restart is expected; beside `reboot = never` it is one that the tool makes by itself.
    pub reboot_expected: bool,
    /// Whether it restarts before anything is applied, because a restart was wanted already.
    pub reboot_first: bool,
    /// Its way back.
    pub way_back: WayBack,
    /// What must hold before it counts as healthy.
    #[schemars(with = "Vec<PlannedCheck>")]
    pub checks: Shared<PlannedCheck>,
    /// What is taken before it is changed, in this order, and given back when it is healthy again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub around: Vec<PlannedBracket>,
    /// Who must be back in service first.
    pub after: Vec<ComponentId>,
    /// The redundancy groups it draws on.
    pub groups: Vec<GroupName>,
    /// How long it is out of normal service.
    pub takes: Estimate,
}

impl Target {
    /// What is sent to the tool, under the tool's own name.
    #[must_use]
    pub fn change(&self) -> Change {
        Change::new(
            self.known_as.clone(),
            self.patches.iter().map(Patch::change).collect(),
        )
    }
}
