//! The ports: what patchcore asks of the outside, and the one protocol by which it changes anything there.
//!
//! A provider is one value that offers some ports ([`Provider`], [`Ports`]). Reading calls are plain
//! and answer per component. Every change goes through [`Operations`], generic over the port's request.
//! The ports are unstable until two unlike providers implement each.

pub mod bracket;
pub mod call;
pub mod context;
pub mod deployer;
pub mod drainer;
pub mod inventory;
pub mod lock;
pub mod operation;
pub mod paths;
pub mod probe;
pub mod simple;
pub mod source;

use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use bracket::{Bracket, BracketCapabilities, BracketKind, BracketRequest, Holding};
pub use call::PortCall;
pub use context::{CancelToken, OpContext, Progress};
pub use deployer::{Change, DeployRequest, Deployer, DeployerCapabilities};
pub use drainer::{
    ClusterDrainer, ClusterSetting, ClusterView, DrainRequest, DrainerCapabilities, HostView,
    MoveKind, VmPower, VmView,
};
pub use inventory::{InventorySource, Listing};
pub use lock::{Claim, Held, Taken, TargetLock};
pub use operation::{
    Answer, Baseline, Begun, Blocker, Evidence, Guarantee, Handle, How, Located, Observed, Op,
    Operations, PortRequest, Prepared, Question, Readiness, Settled, SubjectResult, Undo,
};
pub use paths::{Hanging, HostPaths, LostPath, PathState, PathView, StoragePath, TargetPort};
pub use probe::{HealthProbe, ProbeAnswer, ProbeKind, ProbeRequest, ProbeVerdict};
pub use simple::{Installed, Simple, SimpleProvider};
pub use source::PatchSource;

use crate::id::{ComponentId, ProviderName};

/// One outside system, offering some ports. One value, so that [`with`](crate::Estate::with) needs no more.
pub trait Provider: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> &ProviderInfo;

    /// What it offers. Called once, when the provider joins an estate.
    fn ports(&self) -> Ports;
}

/// How far a claim about a verb is proven. Ordered: the last is the strongest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EvidenceLabel {
    /// Written after the vendor's documentation and never run.
    DocumentOnly,
    /// Run against a fake of our own making only.
    OwnFake,
    /// Run against recorded answers of the real system.
    RecordedCapture,
    /// Checked against the vendor's schema.
    VendorSchema,
    /// Run against an independent implementation.
    IndependentPeer,
    /// Run on the live system.
    LiveSystem,
}

impl EvidenceLabel {
    /// The words for the plan.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::DocumentOnly => "written after the vendor's documentation, never run",
            Self::OwnFake => "run against our own fake only",
            Self::RecordedCapture => "run against recorded answers only",
            Self::VendorSchema => "checked against the vendor's schema only",
            Self::IndependentPeer => "run against an independent peer, never on a live system",
            Self::LiveSystem => "run on live systems",
        }
    }
}

/// Who a provider is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProviderInfo {
    /// Its name within the estate, such as `linux`.
    pub name: ProviderName,
    /// Its version.
    pub version: String,
    /// How far each verb is proven.
    pub evidence: BTreeMap<String, EvidenceLabel>,
}

impl ProviderInfo {
    /// A provider with nothing proven yet.
    pub fn new(name: impl Into<ProviderName>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            evidence: BTreeMap::new(),
        }
    }

    /// How far one verb is proven.
    #[must_use]
    pub fn with_evidence(mut self, verb: impl Into<String>, label: EvidenceLabel) -> Self {
        self.evidence.insert(verb.into(), label);
        self
    }
}

/// The ports of a provider. An absent port is `None`.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Ports {
    /// What is there.
    pub inventory: Option<Arc<dyn InventorySource>>,
    /// What is on offer.
    pub source: Option<Arc<dyn PatchSource>>,
    /// What puts patches in.
    pub deployer: Option<Arc<dyn Deployer>>,
    /// What runs checks.
    pub probe: Option<Arc<dyn HealthProbe>>,
    /// What keeps a lock on each target, where the target has compare-and-set.
    pub lock: Option<Arc<dyn TargetLock>>,
    /// What is taken around a change and given back after it.
    pub bracket: Option<Arc<dyn Bracket>>,
    /// What moves work off the hosts of a cluster.
    pub drainer: Option<Arc<dyn ClusterDrainer>>,
    /// What knows by which ways hosts reach their storage.
    pub paths: Option<Arc<dyn PathView>>,
    /// See [`never_block`](Self::never_block).
    pub never_block: bool,
}

impl Ports {
    /// No ports.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// With an inventory.
    #[must_use]
    pub fn with_inventory(mut self, port: Arc<dyn InventorySource>) -> Self {
        self.inventory = Some(port);
        self.never_block = false;
        self
    }

    /// With a patch source.
    #[must_use]
    pub fn with_source(mut self, port: Arc<dyn PatchSource>) -> Self {
        self.source = Some(port);
        self.never_block = false;
        self
    }

    /// With a deployer.
    #[must_use]
    pub fn with_deployer(mut self, port: Arc<dyn Deployer>) -> Self {
        self.deployer = Some(port);
        self.never_block = false;
        self
    }

    /// With a health probe.
    #[must_use]
    pub fn with_probe(mut self, port: Arc<dyn HealthProbe>) -> Self {
        self.probe = Some(port);
        self.never_block = false;
        self
    }

    /// With a lock on each target. The deployer of the same provider must obey it.
    #[must_use]
    pub fn with_lock(mut self, port: Arc<dyn TargetLock>) -> Self {
        self.lock = Some(port);
        self.never_block = false;
        self
    }

    /// With something that is taken around a change and given back after it.
    #[must_use]
    pub fn with_bracket(mut self, port: Arc<dyn Bracket>) -> Self {
        self.bracket = Some(port);
        self.never_block = false;
        self
    }

    /// With something that moves work off the hosts of a cluster.
    #[must_use]
    pub fn with_drainer(mut self, port: Arc<dyn ClusterDrainer>) -> Self {
        self.drainer = Some(port);
        self.never_block = false;
        self
    }

    /// With something that knows by which ways hosts reach their storage.
    #[must_use]
    pub fn with_paths(mut self, port: Arc<dyn PathView>) -> Self {
        self.paths = Some(port);
        self.never_block = false;
        self
    }
}

impl Ports {
    /// Whose calls never block: whatever takes time is awaited, and between two awaits passes no more than some
    /// milliseconds of computing. Such calls are polled by the tasks of the runtime that wait for them, which spares two
    /// switches of threads for each answer of a target. All others are polled on threads that patchcore keeps for that.
    ///
    /// It holds for the ports that are there already, so it comes last: with another port it has to be said anew.
    ///
    /// Whoever says so and blocks all the same holds up the program that embeds patchcore, and its run with it.
    #[must_use]
    pub fn never_block(mut self) -> Self {
        self.never_block = true;
        self
    }
}

impl Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports")
            .field("inventory", &self.inventory.is_some())
            .field("source", &self.source.is_some())
            .field("deployer", &self.deployer.is_some())
            .field("probe", &self.probe.is_some())
            .field("lock", &self.lock.is_some())
            .field("bracket", &self.bracket.is_some())
            .field("drainer", &self.drainer.is_some())
            .field("paths", &self.paths.is_some())
            .field("never_block", &self.never_block)
            .finish()
    }
}

/// One answer per component of a reading call. A component that is left out counts as not answered.
pub type PerComponent<T> = BTreeMap<ComponentId, crate::Result<T>>;
