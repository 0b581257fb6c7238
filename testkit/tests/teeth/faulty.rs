//! A correct provider with one planted fault: its reading ports.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    ErrorKind, Result,
    clock::SharedClock,
    estate::{Available, Identity, IdentityKind, Scan},
    id::{ComponentId, OpKey, PatchId, Version},
    provider::{
        Baseline, BracketKind, ClusterView, DeployRequest, Deployer, DeployerCapabilities, Handle,
        HealthProbe, InventorySource, Listing, OpContext, PatchSource, PerComponent, Ports,
        ProbeAnswer, ProbeRequest, ProbeVerdict, Provider, ProviderInfo, Settled,
    },
};
use patchcore_testkit::{
    ClusterStock, ClusterTruth, Fixture, Made, Seen, Stock, Trouble, reference::Reference,
};

use crate::plant::Plant;

/// What the outside remembers, so that a fault can reach over processes.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    pub(crate) applied: bool,
    pub(crate) salts: BTreeMap<OpKey, (DeployRequest, u32)>,
    pub(crate) results: Vec<(DeployRequest, Settled)>,
    pub(crate) brackets: Vec<OpKey>,
    pub(crate) drains: Vec<OpKey>,
}

/// The reference's outside behind a faulty provider.
#[derive(Debug)]
pub(crate) struct FaultyFixture {
    outside: Reference,
    plant: Plant,
    traces: Arc<Mutex<Traces>>,
}

impl FaultyFixture {
    pub(crate) fn new(plant: Plant) -> Self {
        Self {
            outside: Reference::new(),
            plant,
            traces: Arc::default(),
        }
    }
}

#[async_trait]
impl Fixture for FaultyFixture {
    fn clock(&self) -> SharedClock {
        self.outside.clock()
    }

    fn stock(&self) -> Stock {
        self.outside.stock()
    }

    async fn connect(&self) -> Result<Arc<dyn Provider>> {
        let inner = self.outside.connect().await?;
        let ports = Arc::new(FaultyPorts {
            inner: inner.ports(),
            outside: self.outside.clone(),
            plant: self.plant,
            traces: self.traces.clone(),
            calls: AtomicU64::new(0),
            process: Mutex::default(),
        });
        Ok(Arc::new(FaultyProvider { inner, ports }))
    }

    async fn look(&self, component: &ComponentId) -> Result<Seen> {
        self.outside.look(component).await
    }

    async fn meddle(
        &self,
        component: &ComponentId,
        patch: &PatchId,
        version: &Version,
    ) -> Result<()> {
        self.outside.meddle(component, patch, version).await
    }

    async fn trouble(&self, trouble: &Trouble) -> Result<Made> {
        self.outside.trouble(trouble).await
    }

    async fn held(&self, component: &ComponentId, kind: BracketKind) -> Result<usize> {
        self.outside.held(component, kind).await
    }

    fn cluster(&self) -> Option<ClusterStock> {
        self.outside.cluster()
    }

    async fn cluster_truth(&self) -> Result<ClusterTruth> {
        self.outside.cluster_truth().await
    }
}

#[derive(Debug)]
struct FaultyProvider {
    inner: Arc<dyn Provider>,
    ports: Arc<FaultyPorts>,
}

impl Provider for FaultyProvider {
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
    }

    fn ports(&self) -> Ports {
        Ports::none()
            .with_inventory(self.ports.clone())
            .with_source(self.ports.clone())
            .with_deployer(self.ports.clone())
            .with_probe(self.ports.clone())
            .with_lock(self.ports.clone())
            .with_bracket(self.ports.clone())
            .with_drainer(self.ports.clone())
    }
}

/// What one process remembers.
#[derive(Debug, Default)]
pub(crate) struct Process {
    pub(crate) scans: BTreeMap<ComponentId, BTreeMap<PatchId, Version>>,
    pub(crate) offers: BTreeMap<ComponentId, Available>,
    pub(crate) handles: Vec<Handle>,
    pub(crate) baselines: Vec<Baseline>,
    pub(crate) view: Option<ClusterView>,
}

/// All ports with one fault.
#[derive(Debug)]
pub(crate) struct FaultyPorts {
    pub(crate) inner: Ports,
    pub(crate) outside: Reference,
    pub(crate) plant: Plant,
    pub(crate) traces: Arc<Mutex<Traces>>,
    pub(crate) calls: AtomicU64,
    pub(crate) process: Mutex<Process>,
}

impl FaultyPorts {
    pub(crate) fn has(&self, plant: Plant) -> bool {
        self.plant == plant
    }

    /// True at every second call.
    pub(crate) fn second_time(&self) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed) % 2 == 1
    }

    pub(crate) fn inner(&self) -> &dyn Deployer {
        &**self.inner.deployer.as_ref().unwrap()
    }

    /// Leaves a trace on the first machine, or puts another version of a bystander in.
    pub(crate) async fn touch(&self, version: &str) {
        let (component, patch, version) = ("m-1".into(), "zlib".into(), version.into());
        let touched = self.outside.meddle(&component, &patch, &version);
        touched.await.unwrap();
    }
}

/// The bystander's version, which a write does not change.
pub(crate) const AS_IT_IS: &str = "3";
pub(crate) const NEWER: &str = "4";

#[async_trait]
impl InventorySource for FaultyPorts {
    async fn list(&self, ctx: &OpContext) -> Result<Listing> {
        let mut listing = self.inner.inventory.as_ref().unwrap().list(ctx).await?;
        let sightings = &mut listing.sightings;
        match self.plant {
            Plant::NamesMadeAnew => {
                let n = ctx.now().as_nanosecond()
                    + i128::from(self.calls.fetch_add(1, Ordering::Relaxed));
                for sighting in sightings {
                    sighting.component = format!("{}-{n}", sighting.component).into();
                }
            }
            Plant::ListingTurnsRound if self.second_time() => sightings.reverse(),
            Plant::ListedTwice => {
                let again = sightings[0].clone();
                sightings.push(again);
            }
            Plant::MachineLeftOut => drop(sightings.pop()),
            Plant::ShoutedIdentity => {
                let mut identity = Identity::new(IdentityKind::Fqdn, "m-1.example.org");
                identity.value = "M-1.EXAMPLE.ORG".to_owned();
                sightings[0].identities.insert(identity);
            }
            Plant::ListedScanIsEmpty => {
                let scan = Scan::new(ctx.now(), BTreeMap::new());
                let name = sightings[0].component.clone();
                listing.scans.insert(name, Ok(scan));
            }
            Plant::ListedScanIsOld => {
                let names = [sightings[0].component.clone()];
                let deployer = self.inner.deployer.as_ref().unwrap();
                let mut scans = deployer.scan(ctx, &names).await?;
                let mut scan = scans.remove(&names[0]).unwrap()?;
                scan.at -= Duration::from_secs(86_400);
                let [name] = names;
                listing.scans.insert(name, Ok(scan));
            }
            Plant::ListingWrites => self.touch(AS_IT_IS).await,
            _ => {}
        }
        Ok(listing)
    }
}

#[async_trait]
impl PatchSource for FaultyPorts {
    async fn available(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Available>> {
        let source = self.inner.source.as_ref().unwrap();
        let mut answers = source.available(ctx, components).await?;
        if self.has(Plant::OfferDropsAComponent) && answers.len() > 1 {
            answers.pop_last();
        }
        if self.has(Plant::OfferWrites) {
            self.touch(AS_IT_IS).await;
        }
        let turned = self.has(Plant::OfferTurnsRound) && self.second_time();
        for (component, answer) in &mut answers {
            let Ok(offer) = answer else {
                if self.has(Plant::NobodyIsFullyPatched) {
                    *answer = Ok(Available::nothing(ctx.now()));
                }
                continue;
            };
            match self.plant {
                Plant::PatchHidden => offer.patches.retain(|p| p.id != "libtls"),
                Plant::OfferFromNothing => offer.patches.iter_mut().for_each(|p| p.from = None),
                Plant::OfferFromCache => {
                    let mut process = self.process.lock().unwrap();
                    let first = process.offers.entry(component.clone());
                    let at = offer.at;
                    *offer = first.or_insert_with(|| offer.clone()).clone();
                    offer.at = at;
                }
                Plant::OfferTurnsRound if turned => offer.patches.reverse(),
                _ => {}
            }
        }
        Ok(answers)
    }
}

#[async_trait]
impl Deployer for FaultyPorts {
    fn capabilities(&self) -> DeployerCapabilities {
        let mut capabilities = self.inner().capabilities();
        if self.has(Plant::UnclaimedVerbTaken) || self.has(Plant::UnclaimedVerbMisnamed) {
            capabilities.reboot = false;
        }
        capabilities
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        let mut answers = self.inner().scan(ctx, components).await?;
        if self.has(Plant::ScanDropsAComponent) && answers.len() > 1 {
            answers.pop_last();
        }
        if self.has(Plant::ScanWrites) {
            self.touch(AS_IT_IS).await;
        }
        let flickers = self.has(Plant::ScanFlickers) && self.second_time();
        for (component, answer) in &mut answers {
            let Ok(scan) = answer else {
                if self.has(Plant::NobodyIsEmpty) {
                    *answer = Ok(Scan::new(ctx.now(), BTreeMap::new()));
                }
                continue;
            };
            match self.plant {
                Plant::ScanHidesAPackage => drop(scan.installed.remove(&PatchId::from("zlib"))),
                Plant::ScanFromCache => {
                    let mut process = self.process.lock().unwrap();
                    let first = process.scans.entry(component.clone());
                    scan.installed = first.or_insert_with(|| scan.installed.clone()).clone();
                }
                Plant::ScanDatedBack => scan.at -= Duration::from_secs(3600),
                Plant::PendingHidden => scan.pending_activation.clear(),
                Plant::PendingCalledRunning => {
                    scan.installed.extend(scan.pending_activation.clone());
                }
                Plant::ScanFlickers if flickers => scan.running_old = None,
                Plant::ScanForgetsHalf => {
                    if let Some(curl) = scan.installed.get_mut(&PatchId::from("curl")) {
                        *curl = "8".into();
                    }
                }
                _ => {}
            }
        }
        Ok(answers)
    }
}

#[async_trait]
impl HealthProbe for FaultyPorts {
    fn kinds(&self) -> &'static [&'static str] {
        if self.has(Plant::KindUntried) {
            &["command", "http"]
        } else {
            &["command"]
        }
    }

    async fn probe(&self, ctx: &OpContext, request: &ProbeRequest) -> Result<ProbeAnswer> {
        let answer = self.inner.probe.as_ref().unwrap().probe(ctx, request).await;
        let called = |verdict| {
            let saw = "as far as anybody can tell".to_owned();
            Ok(ProbeAnswer { verdict, saw })
        };
        let kind = answer.as_ref().err().map(patchcore::Error::kind);
        let verdict = answer.as_ref().ok().map(|a| a.verdict);
        match (self.plant, kind, verdict) {
            (Plant::UnclaimedKindHealthy, Some(ErrorKind::Unsupported), _)
            | (Plant::CannotRunIsHealthy, Some(ErrorKind::Io), _)
            | (Plant::NobodyIsHealthy, Some(ErrorKind::NotFound), _)
            | (Plant::UnhealthyCalledHealthy, _, Some(ProbeVerdict::Unhealthy)) => {
                called(ProbeVerdict::Healthy)
            }
            (Plant::HealthyCalledUnhealthy, _, Some(ProbeVerdict::Healthy)) => {
                called(ProbeVerdict::Unhealthy)
            }
            (Plant::ProbeWrites, ..) => {
                self.touch(AS_IT_IS).await;
                answer
            }
            _ => answer,
        }
    }
}
