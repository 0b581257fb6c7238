//! What one owns: a vCenter looked through for all that stands in the way of a roll. Nothing is changed.

mod facts;
mod found;
mod loss;
mod rights;
mod show;

use patchcore::{
    Result, Timestamp,
    id::ComponentId,
    provider::{Hanging, HostPaths},
};
use serde::Serialize;

pub(crate) use self::facts::relies_on;
pub use self::loss::MayLose;
use self::{
    facts::{Cluster, Names},
    found::Seen,
};
use crate::{
    client::{
        VCenter,
        soap::{Call, MoRef},
        unreadable,
    },
    inventory::ClusterRef,
};

/// Snapshots that are older are named, in hours: VMware's knowledge base 318825 asks to keep none for more than 72.
const OLD_SNAPSHOT_H: i64 = 72;

/// A vCenter as one look found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Checkup {
    /// Its name and version.
    pub vcenter: String,
    /// The version of its API.
    pub api_version: String,
    /// When it was looked at, by its own clock.
    pub at: Timestamp,
    /// Whether every cluster can do without each of its hosts, and nobody lacks a right.
    pub in_order: bool,
    /// Its clusters, in the order of their names.
    pub clusters: Vec<ClusterCheckup>,
    /// What the hosts rely on.
    pub supports: Vec<Support>,
    /// Enabled tasks that the vCenter begins by itself, by their names, each with what it does.
    pub scheduled: Vec<Scheduled>,
    /// What could not be looked at, and why.
    pub not_seen: Vec<String>,
}

/// A cluster as one look found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClusterCheckup {
    /// Its name.
    pub name: String,
    /// Its hosts, in the order of their names.
    pub hosts: Vec<HostCheckup>,
    /// How many of its machines run.
    pub running: usize,
    /// Whether it can do without each of its hosts.
    pub may_lose: MayLose,
    /// Whether its hosts are patched by images of vSphere Lifecycle Manager; none where the vCenter does not say.
    pub by_image: Option<bool>,
    /// Who else moves machines or switches hosts here, in words.
    pub acts_itself: Vec<String>,
    /// Machines that cannot leave their host, each with its host and the reason.
    pub pinned: Vec<Stays>,
    /// Snapshots of more than 72 h, the oldest first.
    pub old_snapshots: Vec<OldSnapshot>,
    /// What of the cluster the planner does not know of, in words.
    pub not_modelled: Vec<String>,
    /// Rights for a roll that the user lacks on this cluster.
    pub missing_rights: Vec<String>,
}

/// A host as one look found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HostCheckup {
    /// Its name.
    pub id: ComponentId,
    /// Such as `VMware ESXi 8.0.3 build-24022510`; none where the vCenter does not say.
    pub version: Option<String>,
    /// When it was started last.
    pub booted: Option<Timestamp>,
    /// Whether the vCenter reaches it.
    pub connected: bool,
    /// Whether it is in maintenance mode, or may be.
    pub in_maintenance: bool,
    /// Its paths to storage; none where the vCenter does not say.
    pub paths: Option<Paths>,
}

/// Paths of a host to its storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Paths {
    /// How many there are.
    pub all: usize,
    /// Those that are neither active nor in standby, by their names.
    pub down: Vec<String>,
    /// Devices that were reached by several paths and are by one at most.
    pub single: usize,
    /// Devices that are reached by several paths, all through one adapter of the host.
    pub one_adapter: usize,
    /// The same of one port of the storage.
    pub one_port: usize,
}

impl Paths {
    /// Whether nothing is to be said of them.
    fn is_whole(&self) -> bool {
        self.down.is_empty() && self.single + self.one_adapter + self.one_port == 0
    }

    fn of(paths: &HostPaths) -> Self {
        let carrying = |device: &str| {
            let of = paths.devices.get(device).into_iter().flatten();
            of.filter(|path| path.state.carries()).count()
        };
        let several = |hanging: Vec<Hanging>| {
            let several = hanging.iter().filter(|one| carrying(&one.device) > 1);
            several.count()
        };
        let every = || paths.devices.values().flatten();
        let down = every().filter(|path| !path.state.carries());
        let mut down: Vec<String> = down.map(|path| path.name.clone()).collect();
        down.sort();
        let devices = paths.devices.iter();
        let single = devices.filter(|(device, all)| all.len() > 1 && carrying(device) <= 1);
        Self {
            all: every().count(),
            down,
            single: single.count(),
            one_adapter: several(paths.hanging_on_an_adapter()),
            one_port: several(paths.hanging_on_a_port()),
        }
    }
}

/// A machine that cannot leave its host while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stays {
    /// The machine.
    pub vm: ComponentId,
    /// Its host.
    pub host: ComponentId,
    /// Why, in words.
    pub why: String,
}

/// A snapshot that is kept for long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OldSnapshot {
    /// Whose it is.
    pub vm: ComponentId,
    /// Its name.
    pub name: String,
    /// How old it is, in hours.
    pub hours: i64,
}

/// What a supporting component does for hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SupportKind {
    /// They ask it for names.
    Dns,
    /// They take their time from it.
    Ntp,
    /// They are members of this domain of Active Directory.
    Domain,
}

/// A supporting component of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Support {
    /// What it does.
    pub kind: SupportKind,
    /// Its address or name, as the hosts have it.
    pub name: String,
    /// Who relies on it.
    pub hosts: Vec<ComponentId>,
    /// The machine of this vCenter that has this address or name; none: it is patched by nobody that is seen here.
    pub machine: Option<ComponentId>,
}

/// A task that the vCenter begins by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Scheduled {
    /// Its name.
    pub name: String,
    /// The method that it calls, such as `RebootGuest`.
    pub calls: String,
}

impl ClusterCheckup {
    fn is_in_order(&self) -> bool {
        matches!(self.may_lose, MayLose::Each { .. }) && self.missing_rights.is_empty()
    }
}

impl VCenter {
    /// Looks through everything that bears on a roll, and changes nothing.
    ///
    /// # Errors
    /// What a call can fail with.
    pub async fn checkup(&self) -> Result<Checkup> {
        let at = self.now().await?;
        let mut seen = Seen::default();
        let mut clusters = Vec::new();
        for cluster in self.clusters().await? {
            clusters.push(self.cluster_checkup(&cluster, at, &mut seen).await?);
        }
        let mut not_seen = Vec::new();
        let scheduled = match self.scheduled().await? {
            Ok(scheduled) => scheduled,
            Err(why) => {
                not_seen.push(format!("tasks that the vCenter begins by itself: {why}"));
                Vec::new()
            }
        };
        Ok(Checkup {
            vcenter: self.full_name().to_owned(),
            api_version: self.api_version().to_owned(),
            at,
            in_order: clusters.iter().all(ClusterCheckup::is_in_order),
            clusters,
            supports: seen.supports(),
            scheduled,
            not_seen,
        })
    }

    async fn cluster_checkup(
        &self,
        cluster: &ClusterRef,
        at: Timestamp,
        seen: &mut Seen,
    ) -> Result<ClusterCheckup> {
        let itself = MoRef::new("ClusterComputeResource", &*cluster.id);
        let read = self.read_cluster(cluster).await?;
        let names = Names(self.roster(&itself).await?);
        let broken = |broken| unreadable(&format!("cluster {}", cluster.name), broken);
        let settings = Cluster::of(&self.properties_of(&itself, Cluster::PATHS).await?);
        let settings = settings.map_err(broken)?;
        let mut hosts = self.hosts_looked_at(&itself, &names, at, seen).await?;
        hosts.sort_by(|a, b| a.id.cmp(&b.id));
        let mut old_snapshots = self.snapshots(&itself, &names, at, seen).await?;
        old_snapshots.retain(|snapshot| snapshot.hours > OLD_SNAPSHOT_H);
        old_snapshots.sort_by(|a, b| (b.hours, &a.vm, &a.name).cmp(&(a.hours, &b.vm, &b.name)));
        Ok(ClusterCheckup {
            name: cluster.name.clone(),
            hosts,
            running: read.cluster.vms.len(),
            may_lose: loss::may_lose(&read.cluster),
            by_image: settings.by_image,
            acts_itself: settings.acts_itself,
            pinned: read
                .pinned
                .iter()
                .map(|pinned| Stays {
                    vm: pinned.vm.clone(),
                    host: pinned.host.clone(),
                    why: pinned.why.to_string(),
                })
                .collect(),
            old_snapshots,
            not_modelled: read.not_modelled,
            missing_rights: self.missing_rights(&itself).await?,
        })
    }

    /// The vCenter's own time.
    async fn now(&self) -> Result<Timestamp> {
        let instance = MoRef::new("ServiceInstance", "ServiceInstance");
        let call = Call::new("CurrentTime", &instance);
        let answer = self
            .try_call(&call)
            .await?
            .map_err(|fault| fault.into_error("CurrentTime"))?;
        answer
            .need("returnval")
            .and_then(facts::time)
            .map_err(|broken| unreadable("CurrentTime", broken))
    }
}
