//! The verbs of every port that changes something, and how a request with each comes about.

use std::time::Duration;

use crate::{
    execute::kernel::{Step, Task},
    id::{OpKey, ProviderName},
    provider::{BracketKind, BracketRequest, Change, DeployRequest, DrainRequest, PortCall},
};

axis! {
    /// The verbs of every port that changes something.
    Verb {
        /// `Refresh`.
        Refresh,
        /// `Stage`.
        Stage,
        /// `Apply`.
        Apply,
        /// `Reboot`.
        Reboot,
        /// `RollBack`.
        RollBack,
        /// `Discard`.
        Discard,
        /// `Take` of the bracket port.
        Take,
        /// `GiveBack` of the bracket port.
        GiveBack,
        /// `HoldSetting`.
        HoldSetting,
        /// `RestoreSetting`.
        RestoreSetting,
        /// `Migrate`.
        Migrate,
        /// `ShutDown`.
        ShutDown,
        /// `Start`.
        Start,
        /// `EnterMaintenance`.
        EnterMaintenance,
        /// `ExitMaintenance`.
        ExitMaintenance,
    }
}

/// Who serves the brackets of the matrix: another system than the tool of the components.
pub const ALERTS: &str = "alerts";

/// How a request with a verb comes about.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// A component makes it in this step.
    InStep(Step, PortCall),
    /// The roll of a cluster makes it for a task: [`Verb::of_task`].
    InRoll,
}

impl Verb {
    /// The verb of a request.
    #[must_use]
    pub const fn of(request: &PortCall) -> Self {
        match request {
            PortCall::Deploy(request) => match request {
                DeployRequest::Refresh { .. } => Self::Refresh,
                DeployRequest::Stage { .. } => Self::Stage,
                DeployRequest::Apply { .. } => Self::Apply,
                DeployRequest::Reboot { .. } => Self::Reboot,
                DeployRequest::RollBack { .. } => Self::RollBack,
                DeployRequest::Discard { .. } => Self::Discard,
            },
            PortCall::Bracket { request, .. } => match request {
                BracketRequest::Take { .. } => Self::Take,
                BracketRequest::GiveBack { .. } => Self::GiveBack,
            },
            PortCall::Drain { request, .. } => match request {
                DrainRequest::HoldSetting { .. } => Self::HoldSetting,
                DrainRequest::RestoreSetting { .. } => Self::RestoreSetting,
                DrainRequest::Migrate { .. } => Self::Migrate,
                DrainRequest::ShutDown { .. } => Self::ShutDown,
                DrainRequest::Start { .. } => Self::Start,
                DrainRequest::EnterMaintenance { .. } => Self::EnterMaintenance,
                DrainRequest::ExitMaintenance { .. } => Self::ExitMaintenance,
            },
        }
    }

    /// The verb that a task of a roll comes to; none of those that change nothing.
    #[must_use]
    pub const fn of_task(task: &Task) -> Option<Self> {
        match task {
            Task::Hold(_) => Some(Self::HoldSetting),
            Task::Restore(_) => Some(Self::RestoreSetting),
            Task::Move(_) => Some(Self::Migrate),
            Task::ShutDown(_) => Some(Self::ShutDown),
            Task::Start(_) => Some(Self::Start),
            Task::Enter(_) => Some(Self::EnterMaintenance),
            Task::Exit(_) => Some(Self::ExitMaintenance),
            Task::Close(_) | Task::AwaitEnd(_) | Task::Plan => None,
        }
    }

    /// How a request with this verb comes about, for the component of the change; `staged` stands for what was taken
    /// too. No step refreshes yet: it is tried where staging stands.
    #[must_use]
    pub fn made(self, change: Change, staged: OpKey) -> Made {
        let components = vec![change.component.clone()];
        let kind = BracketKind::Silence;
        let bracket = |request| PortCall::Bracket {
            by: ProviderName::from(ALERTS),
            request,
        };
        let (step, request) = match self {
            Self::Take => {
                let at_least = Duration::from_secs(2 * 3600);
                let take = BracketRequest::Take {
                    components,
                    kind,
                    at_least,
                };
                (Step::Take, bracket(take))
            }
            Self::GiveBack => {
                let give_back = BracketRequest::GiveBack {
                    components,
                    kind,
                    taken: staged,
                };
                (Step::GiveBack, bracket(give_back))
            }
            Self::Refresh => (Step::Stage, DeployRequest::Refresh { components }.into()),
            Self::Stage => {
                let changes = vec![change];
                (Step::Stage, DeployRequest::Stage { changes }.into())
            }
            Self::Apply => {
                let changes = vec![change];
                (Step::Apply, DeployRequest::Apply { changes, staged }.into())
            }
            Self::Reboot => (Step::Reboot, DeployRequest::Reboot { components }.into()),
            Self::RollBack => {
                let changes = vec![change.reversed()];
                let request = DeployRequest::RollBack { changes, staged };
                (Step::RollBack, request.into())
            }
            Self::Discard => {
                let request = DeployRequest::Discard { components, staged };
                (Step::GiveBack, request.into())
            }
            Self::HoldSetting
            | Self::RestoreSetting
            | Self::Migrate
            | Self::ShutDown
            | Self::Start
            | Self::EnterMaintenance
            | Self::ExitMaintenance => return Made::InRoll,
        };
        Made::InStep(step, request)
    }
}
