//! A cluster of a vCenter as a provider: its machines move, its hosts go into maintenance mode and come back.

mod doing;
pub(crate) mod fresh;
mod names;
mod now;
mod operations;
pub(crate) mod ready;
mod settings;
pub(crate) mod together;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result,
    id::{ComponentId, ProviderName},
    provider::{
        ClusterDrainer, ClusterSetting, ClusterView, DrainerCapabilities, EvidenceLabel, HostView,
        OpContext, Ports, Provider, ProviderInfo, VmView,
    },
};
use tokio::sync::Mutex;

pub(crate) use self::now::no_date;
use self::{
    fresh::Fresh,
    names::Names,
    together::{Pair, Read, Together},
};
use crate::{
    client::{
        Follower, Of, VCenter,
        soap::{Broken, MoRef},
        unreadable,
    },
    deployer::{Asked, LastCheck, Scans},
    inventory::{ClusterRead, ClusterRef, Foreseen, RESOURCES},
};

/// A cluster of a vCenter, as a provider: a roll of its hosts runs through it. A cheap clone.
///
/// Machines are moved with vMotion, one task each; a host goes into maintenance mode when it is empty, and machines that
/// cannot move are shut down by their own system or suspended. DRS and the admission control of HA are held meanwhile,
/// and given back as they were.
///
/// vCenter knows no key of a caller's. An operation whose caller vanished is found again by the task that this user
/// asked for on this object since it was prepared, by the vCenter's own clock: let nobody else work under patchcore's
/// user.
#[derive(Clone)]
pub struct VsphereCluster {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    info: ProviderInfo,
    pub(crate) vcenter: VCenter,
    pub(crate) cluster: ClusterRef,
    pub(crate) object: MoRef,
    pub(crate) names: Names,
    /// Who listens for what changes in the cluster.
    pub(crate) follower: Follower,
    pub(crate) fresh: Fresh,
    together: Together<Pair, Read>,
    /// Whoever is scanned.
    pub(crate) scans: Scans,
    /// How often vLCM was asked for each of its tasks.
    pub(crate) asked: Asked,
    /// What was foreseen for every host.
    pub(crate) foreseen: Foreseen,
    /// Hosts that were put into maintenance mode through this value.
    pub(crate) closed: Mutex<BTreeSet<ComponentId>>,
    /// Who may ask vLCM for something: it works for one caller at a time on a cluster.
    pub(crate) turn: Mutex<()>,
    pub(crate) last_check: Mutex<LastCheck>,
}

impl fmt::Debug for VsphereCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VsphereCluster")
            .field("vcenter", &self.inner.vcenter)
            .field("cluster", &self.inner.cluster)
            .finish_non_exhaustive()
    }
}

impl VsphereCluster {
    /// A cluster that [`VCenter::clusters`] found, under the provider name `vsphere`.
    #[must_use]
    pub fn new(vcenter: VCenter, cluster: ClusterRef) -> Self {
        Self::named("vsphere", vcenter, cluster)
    }

    /// The same under another name, where an estate has several.
    #[must_use]
    pub fn named(name: impl Into<ProviderName>, vcenter: VCenter, cluster: ClusterRef) -> Self {
        let own = EvidenceLabel::OwnFake;
        let info = ProviderInfo::new(name, env!("CARGO_PKG_VERSION"))
            .with_evidence("migrate", own)
            .with_evidence("enter_maintenance", own)
            .with_evidence("exit_maintenance", own)
            .with_evidence("hold_setting", own)
            .with_evidence("restore_setting", own)
            .with_evidence("shut_down", EvidenceLabel::IndependentPeer)
            .with_evidence("start", own)
            .with_evidence("scan", EvidenceLabel::VendorSchema)
            .with_evidence("refresh", EvidenceLabel::VendorSchema)
            .with_evidence("stage", EvidenceLabel::VendorSchema)
            .with_evidence("apply", EvidenceLabel::VendorSchema)
            .with_evidence("restart_with_apply", own)
            .with_evidence("paths", EvidenceLabel::IndependentPeer);
        let object = MoRef::new("ClusterComputeResource", &*cluster.id);
        Self {
            inner: Arc::new(Inner {
                info,
                vcenter,
                cluster,
                follower: Follower::new(&object, settings::CHANGED),
                object,
                names: Names::default(),
                fresh: Fresh::default(),
                together: Together::default(),
                scans: Scans::default(),
                asked: Asked::default(),
                foreseen: Foreseen::default(),
                closed: Mutex::default(),
                turn: Mutex::default(),
                last_check: Mutex::default(),
            }),
        }
    }

    /// Its name in the estate: that of the cluster.
    #[must_use]
    pub fn id(&self) -> ComponentId {
        ComponentId::from(&*self.inner.cluster.name)
    }

    /// Reads the cluster, as [`VCenter::read_cluster`].
    ///
    /// # Errors
    /// As there.
    pub async fn read(&self) -> Result<ClusterRead> {
        self.inner.vcenter.read_cluster(&self.inner.cluster).await
    }

    /// Ends the sessions with the vCenter, as [`VCenter::log_out`].
    ///
    /// # Errors
    /// As there.
    pub async fn log_out(&self) -> Result<()> {
        self.inner.vcenter.log_out().await
    }

    fn is_ours(&self, cluster: &ComponentId) -> Result<()> {
        if *cluster == self.id() {
            return Ok(());
        }
        Err(
            Error::new(ErrorKind::NotFound, format!("{cluster} is another cluster"))
                .expected(self.inner.cluster.name.clone())
                .found(cluster.to_string())
                .hint("give each cluster a provider of its own"),
        )
    }

    pub(crate) async fn object_of(&self, id: &ComponentId) -> Result<MoRef> {
        self.inner
            .names
            .object(&self.inner.vcenter, &self.inner.object, id)
            .await
    }

    fn settings(&self) -> Of<'_> {
        settings::read(&self.inner.object)
    }
}

impl Provider for VsphereCluster {
    fn info(&self) -> &ProviderInfo {
        &self.inner.info
    }

    fn ports(&self) -> Ports {
        let this = Arc::new(self.clone());
        Ports::none()
            .with_inventory(this.clone())
            .with_source(this.clone())
            .with_deployer(this.clone())
            .with_drainer(this.clone())
            .with_paths(this)
    }
}

#[async_trait]
impl ClusterDrainer for VsphereCluster {
    fn capabilities(&self) -> DrainerCapabilities {
        DrainerCapabilities::holding(ClusterSetting::ALL)
            .with_shut_down()
            .with_suspend()
    }

    /// Every host, and every machine but those of vSphere Cluster Services, which vCenter places itself. Of a machine
    /// that moves a vCenter does not say where to: it is told as moving to the host that it is on.
    async fn view(&self, ctx: &OpContext, cluster: &ComponentId) -> Result<ClusterView> {
        ctx.check()?;
        self.is_ours(cluster)?;
        let (seen, mut open) = self.inner.vcenter.at_once(&self.inner.object).await?;
        self.inner.names.learn(&seen.roster).await;
        // What a task was for may be so a moment before it is over.
        let ids = open.iter().map(|task| &*task.object.id);
        let unsettled = self.inner.follower.unsettled(ids);
        let unsettled: BTreeSet<String> = unsettled.into_iter().map(str::to_owned).collect();
        open.retain(|task| unsettled.contains(&*task.object.id));
        let works_on = |object: &MoRef| {
            let object = object.clone();
            open.iter()
                .filter(move |task| task.entity.as_ref() == Some(&object))
        };
        let broken =
            |broken: Broken| unreadable(&format!("cluster {}", self.inner.cluster.name), broken);
        let mut hosts = BTreeMap::new();
        for host in &seen.hosts {
            let entering = works_on(&host.object)
                .any(|task| task.method.as_deref() == Some("EnterMaintenanceMode_Task"));
            hosts.insert(
                self.inner.names.of(&host.object).await,
                HostView {
                    responds: host.connected,
                    maintenance: host.in_maintenance || entering,
                },
            );
        }
        let mut vms = BTreeMap::new();
        for vm in &seen.machines {
            let host = self.inner.names.of(&vm.host).await;
            let moving = works_on(&vm.object).any(super::client::Task::moves);
            vms.insert(
                self.inner.names.of(&vm.object).await,
                VmView {
                    moving_to: moving.then(|| host.clone()),
                    host,
                    power: now::power(vm.power.as_deref()).map_err(broken)?,
                    demand: vm.demand.clone(),
                    mem_mib: vm.mem_mib,
                },
            );
        }
        Ok(ClusterView {
            at: ctx.now(),
            resources: RESOURCES.map(str::to_owned).to_vec(),
            hosts,
            vms,
        })
    }
}
