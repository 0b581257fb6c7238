//! What moves work off a cluster's hosts: migrations one by one, maintenance mode, machines that are shut down and
//! started again, and the cluster's own automation, which is held meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{OpContext, Operations, PortRequest};
use crate::{
    error::Result,
    id::{ComponentId, OpKey},
};

/// Something that a cluster does by itself, and must not do while a roll moves its machines.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClusterSetting {
    /// It moves machines from host to host, as DRS does.
    Placement,
    /// It refuses to start machines where its reserve for failures would be touched, as HA admission control does.
    Admission,
}

impl ClusterSetting {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Placement, Self::Admission];

    /// The word for it.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Placement => "placement",
            Self::Admission => "admission",
        }
    }
}

/// How a machine is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MoveKind {
    /// While it runs.
    Live,
    /// Stopped, moved and started.
    Cold,
    /// While it runs, with its disk.
    Storage,
}

/// The verbs of a [`ClusterDrainer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "verb", deny_unknown_fields)]
#[non_exhaustive]
pub enum DrainRequest {
    /// The cluster stops doing something by itself.
    HoldSetting {
        /// Which cluster.
        cluster: ComponentId,
        /// What.
        setting: ClusterSetting,
        /// The hosts that are to be emptied and patched while it is held.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hosts: Vec<ComponentId>,
    },
    /// The setting is as it was.
    RestoreSetting {
        /// Which cluster.
        cluster: ComponentId,
        /// What.
        setting: ClusterSetting,
        /// In the target's own word.
        to: String,
        /// The operation that held it.
        taken: OpKey,
    },
    /// A machine moves.
    Migrate {
        /// Which.
        vm: ComponentId,
        /// Where it is.
        from: ComponentId,
        /// Where it will be.
        to: ComponentId,
        /// How.
        how: MoveKind,
    },
    /// A machine is shut down, or suspended, and stays on its host.
    ShutDown {
        /// Which.
        vm: ComponentId,
        /// Where it is.
        host: ComponentId,
        /// Whether it is suspended.
        suspend: bool,
    },
    /// A machine that was shut down starts, or is resumed.
    Start {
        /// Which.
        vm: ComponentId,
        /// Where.
        host: ComponentId,
        /// The operation that shut it down.
        taken: OpKey,
    },
    /// The empty host goes into maintenance mode.
    EnterMaintenance {
        /// Which.
        host: ComponentId,
    },
    /// The host leaves maintenance mode.
    ExitMaintenance {
        /// Which.
        host: ComponentId,
        /// The operation that put it there.
        taken: OpKey,
    },
}

impl PortRequest for DrainRequest {
    const PORT: &'static str = "drain";

    fn verb(&self) -> &'static str {
        match self {
            Self::HoldSetting { .. } => "hold_setting",
            Self::RestoreSetting { .. } => "restore_setting",
            Self::Migrate { .. } => "migrate",
            Self::ShutDown { .. } => "shut_down",
            Self::Start { .. } => "start",
            Self::EnterMaintenance { .. } => "enter_maintenance",
            Self::ExitMaintenance { .. } => "exit_maintenance",
        }
    }

    fn subjects(&self) -> BTreeSet<ComponentId> {
        BTreeSet::from([self.subject().clone()])
    }

    fn only(&self, keep: &BTreeSet<ComponentId>) -> Option<Self> {
        keep.contains(self.subject()).then(|| self.clone())
    }
}

impl DrainRequest {
    /// Whom it changes: a cluster, a machine or a host, one at a time.
    #[must_use]
    pub const fn subject(&self) -> &ComponentId {
        match self {
            Self::HoldSetting { cluster, .. } | Self::RestoreSetting { cluster, .. } => cluster,
            Self::Migrate { vm, .. } | Self::ShutDown { vm, .. } | Self::Start { vm, .. } => vm,
            Self::EnterMaintenance { host } | Self::ExitMaintenance { host, .. } => host,
        }
    }
}

/// What a drainer can do beside live moves and maintenance mode.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DrainerCapabilities {
    /// Settings that it can hold.
    pub settings: BTreeSet<ClusterSetting>,
    /// Shuts machines down and starts them.
    pub shut_down: bool,
    /// Suspends machines and resumes them.
    pub suspend: bool,
    /// Moves machines that are stopped meanwhile.
    pub cold: bool,
    /// Moves machines with their disks.
    pub storage: bool,
}

impl DrainerCapabilities {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self {
            settings: ClusterSetting::ALL.into_iter().collect(),
            shut_down: true,
            suspend: true,
            cold: true,
            storage: true,
        }
    }

    /// Live moves and maintenance mode, with these settings held meanwhile.
    pub fn holding(settings: impl IntoIterator<Item = ClusterSetting>) -> Self {
        Self {
            settings: settings.into_iter().collect(),
            ..Self::default()
        }
    }

    /// And shuts machines down and starts them.
    #[must_use]
    pub const fn with_shut_down(mut self) -> Self {
        self.shut_down = true;
        self
    }

    /// And suspends machines and resumes them.
    #[must_use]
    pub const fn with_suspend(mut self) -> Self {
        self.suspend = true;
        self
    }

    /// Whether a request is claimed. An unclaimed one answers `Unsupported` from `prepare`.
    #[must_use]
    pub fn claims(&self, request: &DrainRequest) -> bool {
        match request {
            DrainRequest::HoldSetting { setting, .. }
            | DrainRequest::RestoreSetting { setting, .. } => self.settings.contains(setting),
            DrainRequest::Migrate { how, .. } => match how {
                MoveKind::Live => true,
                MoveKind::Cold => self.cold,
                MoveKind::Storage => self.storage,
            },
            DrainRequest::ShutDown { suspend, .. } if *suspend => self.suspend,
            DrainRequest::ShutDown { .. } => self.shut_down,
            DrainRequest::Start { .. } => self.shut_down || self.suspend,
            DrainRequest::EnterMaintenance { .. } | DrainRequest::ExitMaintenance { .. } => true,
        }
    }
}

/// Whether a machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VmPower {
    /// It runs.
    On,
    /// It does not.
    Off,
    /// It does not, and goes on where it was.
    Suspended,
}

/// How a host of a cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostView {
    /// Whether the cluster reaches it.
    pub responds: bool,
    /// Whether it is in maintenance mode, or on its way there.
    pub maintenance: bool,
}

/// How a machine of a cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VmView {
    /// The host that it is on.
    pub host: ComponentId,
    /// Whether it runs.
    pub power: VmPower,
    /// Where it is moving to, by whomever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_to: Option<ComponentId>,
    /// What it takes, in the order of [`ClusterView::resources`].
    pub demand: Vec<u64>,
    /// Memory that a live move copies, in MiB.
    pub mem_mib: u64,
}

/// A cluster as it is at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterView {
    /// When it was read.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What each amount of a demand is of.
    pub resources: Vec<String>,
    /// Every host.
    pub hosts: BTreeMap<ComponentId, HostView>,
    /// Every machine, also those that do not run.
    pub vms: BTreeMap<ComponentId, VmView>,
}

/// Moves work off the hosts of clusters.
///
/// # Contract
/// - `Migrate` is refused where the machine is not at `from`, and where `to` does not stay up: it does not respond, is
///   in maintenance mode or on its way there. A machine that is at `to` already is `AlreadyHolds`.
/// - `EnterMaintenance` is refused while a machine runs on the host or moves there: it moves and stops nothing itself.
///   It settles when the host is in maintenance mode and empty, as read back; from its begin no machine gets there.
/// - `EnterMaintenance`, `ShutDown` and `HoldSetting` are undone by the request that names them; the others leave
///   nothing to be undone. A host that somebody else put into maintenance mode is `AlreadyHolds`, and theirs.
/// - `prepare` of what gives back answers `ChangedMeanwhile` when somebody else changed what was taken: a setting that
///   is neither as it was left nor as it was before. What is as it was before is given back: `AlreadyHolds`.
/// - `HoldSetting` comes before anything is done to a machine: whoever knows why one of its hosts could not be patched
///   after it was emptied says so there, of all of them at once.
/// - `view` reads the target and leaves out nobody.
///
/// Conformance: `drainer_*` in `patchcore-testkit`.
#[async_trait]
pub trait ClusterDrainer: Operations<DrainRequest> {
    /// What it can do.
    fn capabilities(&self) -> DrainerCapabilities;

    /// The cluster as it is now.
    ///
    /// # Errors
    /// It could not be read whole.
    async fn view(&self, ctx: &OpContext, cluster: &ComponentId) -> Result<ClusterView>;
}
