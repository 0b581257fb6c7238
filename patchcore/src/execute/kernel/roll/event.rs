//! What a journal records of a roll.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    error::Failure,
    id::{ComponentId, OpKey, ProviderName},
    plan::roll::{Cluster, Objective, Roll},
    provider::{Baseline, ClusterSetting, Evidence, Guarantee, Handle, PortCall, Undo},
};

/// What is in flight for a roll: at most one of each at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Hold a setting of the cluster.
    Hold(ClusterSetting),
    /// Look at the cluster before a host closes.
    Close(ComponentId),
    /// Move a machine.
    Move(ComponentId),
    /// Wait until a machine has ended by itself.
    AwaitEnd(ComponentId),
    /// Shut a machine down.
    ShutDown(ComponentId),
    /// Put an empty host into maintenance mode.
    Enter(ComponentId),
    /// Take a host out of it.
    Exit(ComponentId),
    /// Start a machine again.
    Start(ComponentId),
    /// Read the cluster, and plan what is left anew.
    Plan,
    /// Bring a setting back.
    Restore(ClusterSetting),
}

impl Task {
    /// The machine that is not where it serves meanwhile.
    #[must_use]
    pub const fn takes_away(&self) -> Option<&ComponentId> {
        match self {
            Self::Move(vm) | Self::ShutDown(vm) | Self::Start(vm) => Some(vm),
            _ => None,
        }
    }

    /// The word in operation keys. Each setting of a cluster has one of its own: a key names one operation.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Hold(ClusterSetting::Placement) => "hold-setting",
            Self::Hold(ClusterSetting::Admission) => "hold-admission",
            Self::Close(_) => "close",
            Self::Move(_) => "migrate",
            Self::AwaitEnd(_) => "await-end",
            Self::ShutDown(_) => "shut-down",
            Self::Enter(_) => "enter-maintenance",
            Self::Exit(_) => "exit-maintenance",
            Self::Start(_) => "start",
            Self::Plan => "plan",
            Self::Restore(ClusterSetting::Placement) => "restore-setting",
            Self::Restore(ClusterSetting::Admission) => "restore-admission",
        }
    }

    /// Whether it gives back what was borrowed.
    #[must_use]
    pub const fn gives_back(&self) -> bool {
        matches!(self, Self::Exit(_) | Self::Start(_) | Self::Restore(_))
    }
}

/// A decision about a cluster's roll.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
#[non_exhaustive]
pub enum RollEvent {
    /// A roll that the checker proved for the cluster as it was read.
    Planned {
        /// Who drains the cluster.
        by: ProviderName,
        /// The cluster that it was checked against.
        cluster: Box<Cluster>,
        /// The steps.
        roll: Box<Roll>,
        /// What it was to be good at.
        objective: Objective,
        /// Settings that are held while it runs.
        settings: Vec<ClusterSetting>,
        /// When its times begin.
        begins: Timestamp,
    },
    /// An operation is about to begin. Durable before anything happens.
    Intended {
        /// For what.
        task: Task,
        /// Under which key.
        key: OpKey,
        /// What.
        request: PortCall,
        /// From where.
        baseline: Baseline,
        /// What the target promises.
        guarantee: Guarantee,
        /// How it is undone.
        undo: Undo<PortCall>,
        /// What is owed from now on, as a sentence; none where nothing is borrowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owes: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// The target took it.
    Begun {
        /// What.
        task: Task,
        /// By what it is found again.
        handle: Handle,
    },
    /// It does not get on. It is waited for all the same.
    Stalled {
        /// What.
        task: Task,
        /// What keeps it.
        why: String,
    },
    /// It gets on again.
    Moved {
        /// What.
        task: Task,
    },
    /// It is over.
    Settled {
        /// What.
        task: Task,
        /// What was seen.
        evidence: Evidence,
        /// Whether it was so before we began.
        held_already: bool,
    },
    /// It failed, or could not begin.
    Failed {
        /// What.
        task: Task,
        /// Every reason.
        failures: Vec<Failure>,
    },
    /// Nobody but a person can say what became of it.
    Unknown {
        /// What.
        task: Task,
        /// Why.
        why: String,
    },
    /// Something borrowed was changed by somebody else meanwhile, so it is not given back by us.
    Fought {
        /// What was to give it back.
        task: Task,
        /// What was left there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A host was patched in maintenance mode and is healthy.
    Patched {
        /// Which.
        host: ComponentId,
    },
    /// Something is not as it was planned: nothing new begins, and what is left is planned anew.
    Surprised {
        /// What.
        why: String,
        /// The host that did not come back as planned, where it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<ComponentId>,
    },
    /// It cannot go on, and a person must look.
    Stopped {
        /// Why.
        why: String,
        /// Operations whose loans stay where they are when a person lets the run go on or ends it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keeps: Vec<OpKey>,
    },
}
