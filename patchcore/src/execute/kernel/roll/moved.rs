//! What a roll has moved.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{event::Task, state::RollState};
use crate::{
    id::ComponentId,
    plan::roll::{Action, Reason},
    provider::{DrainRequest, PortCall},
};

/// A machine that was moved, and why the plan of that time had it so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MovedVm {
    /// Which.
    pub vm: ComponentId,
    /// From where.
    pub from: ComponentId,
    /// To where it was seen to run.
    pub to: ComponentId,
    /// When that was seen.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Why.
    pub why: Reason,
}

impl RollState {
    /// The move that is over with this task; none where it moved nothing.
    pub(super) fn moved_by(&self, task: &Task, at: Timestamp) -> Option<MovedVm> {
        let Task::Move(vm) = task else {
            return None;
        };
        let PortCall::Drain {
            request: DrainRequest::Migrate { from, to, .. },
            ..
        } = &self.ops.get(task)?.request
        else {
            return None;
        };
        let ours = |action: &Action| matches!(action, Action::Migrate { vm: v, .. } if v == vm);
        let (_, step) = self.pending().find(|(_, step)| ours(&step.action))?;
        Some(MovedVm {
            vm: vm.clone(),
            from: from.clone(),
            to: to.clone(),
            at,
            why: step.reason.clone(),
        })
    }
}
