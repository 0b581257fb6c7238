//! What a provider's author gives the suites: an outside, a way to look at it past the provider, and a
//! hand that changes it behind the provider's back.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result,
    clock::SharedClock,
    id::{ComponentId, PatchId, Version},
    provider::{
        BracketKind, Change, ClusterSetting, ClusterView, EvidenceLabel, ProbeRequest, Provider,
    },
    sim::Sim,
};
use serde_json::Value;

use crate::peers::Missing;

/// One outside with a provider that reaches it. Every check gets a fresh one.
///
/// `look`, `meddle` and `trouble` go past the provider: what a provider says of itself proves nothing.
#[async_trait]
pub trait Fixture: Debug + Send + Sync + 'static {
    /// The clock that the outside lives by: [`VirtualClock`](patchcore::sim::VirtualClock) or the machine's own.
    fn clock(&self) -> SharedClock;

    /// What the outside holds for the checks.
    fn stock(&self) -> Stock;

    /// A provider that knows nothing but the outside, as in a new process. Called several times on one
    /// outside: every value after the first stands for a restart after a crash.
    ///
    /// # Errors
    /// The provider could not be made; the check is reported as not run.
    async fn connect(&self) -> Result<Arc<dyn Provider>>;

    /// What is truly on a component, read past the provider.
    ///
    /// # Errors
    /// It could not be read; the check is reported as not run.
    async fn look(&self, component: &ComponentId) -> Result<Seen>;

    /// Somebody else puts a version of a patch in: [`Stock::other`], or the `from` of the first change.
    ///
    /// # Errors
    /// It did not work; the check is reported as not run.
    async fn meddle(
        &self,
        component: &ComponentId,
        patch: &PatchId,
        version: &Version,
    ) -> Result<()>;

    /// Makes trouble where the outside can.
    ///
    /// # Errors
    /// It should have worked and did not; the check is reported as not run.
    async fn trouble(&self, trouble: &Trouble) -> Result<Made>;

    /// What kind of other side a verb of the provider meets here, in the words of `docs/evidence`. A test that passes earns
    /// this label for each verb that was carried out in it. Without an answer it is a program of ours.
    fn evidence(&self, _verb: &str) -> EvidenceLabel {
        EvidenceLabel::OwnFake
    }

    /// How many hold something of this kind around a component in truth, read past the provider. Asked only where the
    /// bracket port has a suite.
    ///
    /// # Errors
    /// `Unsupported` where the outside has no brackets; the check is reported as not run.
    async fn held(&self, component: &ComponentId, kind: BracketKind) -> Result<usize> {
        Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "nobody can say who holds a {} around {component}",
                kind.slug()
            ),
        ))
    }

    /// A cluster for the checks of the drainer port; none where the outside has none.
    fn cluster(&self) -> Option<ClusterStock> {
        None
    }

    /// How that cluster is in truth, read past the provider.
    ///
    /// # Errors
    /// `Unsupported` where the outside has none; the check is reported as not run.
    async fn cluster_truth(&self) -> Result<ClusterTruth> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "the outside has no cluster",
        ))
    }
}

/// A cluster for the checks: three hosts that respond and are not in maintenance mode.
#[derive(Debug, Clone)]
pub struct ClusterStock {
    /// Its name.
    pub cluster: ComponentId,
    /// A machine that runs.
    pub vm: ComponentId,
    /// The host that it is on.
    pub from: ComponentId,
    /// A host with nothing on it and room for the machine.
    pub to: ComponentId,
    /// Another one with room for it.
    pub third: ComponentId,
    /// Nothing that was begun on it is under way for longer.
    pub longest: Duration,
}

impl ClusterTruth {
    /// That of a simulated cluster.
    ///
    /// # Errors
    /// `NotFound` if there is no such cluster.
    pub fn of_simulated(sim: &Sim, cluster: &str) -> Result<Self> {
        sim.world(|world| {
            let settings = ClusterSetting::ALL.into_iter().map(|setting| {
                let value = world.cluster_setting(cluster, setting)?.to_owned();
                Ok((setting, value))
            });
            Ok(Self {
                settings: settings.collect::<Result<_>>()?,
                view: world.cluster_view(cluster)?,
            })
        })
    }
}

/// How a cluster is in truth.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterTruth {
    /// Its hosts and machines.
    pub view: ClusterView,
    /// The value of each setting.
    pub settings: BTreeMap<ClusterSetting, String>,
}

/// What is truly on a component.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Versions that run, at least of every patch named in the [`Stock`].
    pub versions: BTreeMap<PatchId, Version>,
    /// Whatever only a change changes: a count of writes, the digest of a package database and of its
    /// catalogue. Reading calls must leave it as it is. It must not depend on the time.
    pub trace: Value,
}

/// What an outside holds for the checks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stock {
    /// One change per component, applicable now: `from` is there and `to` is on offer. At least one, and
    /// at least two where the provider takes several components at once. Let `to` of the first be older than
    /// the newest version on offer where the outside can hold more than one. The first patch of the first has
    /// a `from`.
    pub changes: Vec<Change>,
    /// A version of the first patch of the first change that is neither its `from` nor its `to`. An older one
    /// is best, so that putting it in is never what a patch would do.
    pub other: Version,
    /// A change whose last patch fails to go in, on the component of the last of `changes`.
    pub bad: Option<BadChange>,
    /// A change that goes in and does not run before a restart.
    pub after_restart: Option<Change>,
    /// What the provider was given as a secret, to be found nowhere.
    pub secret: Option<String>,
    /// Checks for each kind that the provider's probe claims.
    pub probes: Vec<ProbeCase>,
}

impl Stock {
    /// Applicable changes, another version of the first patch, and nothing else.
    #[must_use]
    pub fn of(changes: Vec<Change>, other: impl Into<Version>) -> Self {
        Self {
            changes,
            other: other.into(),
            bad: None,
            after_restart: None,
            secret: None,
            probes: Vec::new(),
        }
    }

    /// A change that fails.
    #[must_use]
    pub fn with_bad(mut self, change: Change, culprit: impl Into<PatchId>) -> Self {
        self.bad = Some(BadChange {
            change,
            culprit: culprit.into(),
        });
        self
    }

    /// A change that waits for a restart.
    #[must_use]
    pub fn with_after_restart(mut self, change: Change) -> Self {
        self.after_restart = Some(change);
        self
    }

    /// A secret.
    #[must_use]
    pub fn with_secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// Checks of one kind.
    #[must_use]
    pub fn with_probe(mut self, case: ProbeCase) -> Self {
        self.probes.push(case);
        self
    }
}

/// A change that fails, and by whose fault.
#[derive(Debug, Clone)]
pub struct BadChange {
    /// What is tried.
    pub change: Change,
    /// The patch that fails.
    pub culprit: PatchId,
}

/// Three checks of one kind with known answers.
#[derive(Debug, Clone)]
pub struct ProbeCase {
    /// Answers *healthy*.
    pub healthy: ProbeRequest,
    /// Answers *unhealthy*.
    pub unhealthy: ProbeRequest,
    /// Cannot be run: a program that is not there, an address where nobody can be asked.
    pub cannot_run: ProbeRequest,
}

/// Trouble that an outside can make.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The tool says that it was successful and puts nothing in.
    ToolLies(ComponentId),
    /// Somebody else takes the lock that the tool needs.
    LockTaken(ComponentId),
    /// And gives it back.
    LockGivenBack(ComponentId),
    /// Somebody else ends everything that operations hold around a component.
    BracketEnded(ComponentId),
    /// Somebody else moves a machine to a host, at once.
    VmMoved(ComponentId, ComponentId),
    /// Somebody else gives a cluster's setting a value that is neither the held one nor the one before.
    SettingChanged(ComponentId, ClusterSetting),
}

/// Whether an outside made the trouble it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It did.
    Yes,
    /// It cannot; the checks that need it say so and do not run.
    CannotBeMade,
}

/// Why there is no fixture.
#[derive(Debug)]
pub enum NoFixture {
    /// A program or a system that the outside is made of is not on this machine; see [`need`](crate::peers::need).
    PeerMissing(Missing),
    /// Making the outside failed.
    Broken(Error),
}

impl From<Missing> for NoFixture {
    fn from(missing: Missing) -> Self {
        Self::PeerMissing(missing)
    }
}

impl From<Error> for NoFixture {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}
