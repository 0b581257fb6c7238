//! The short way to a provider: *ask what is there* and *make it so*.
//!
//! [`Simple`] makes the operation protocol from a [`SimpleProvider`] and promises no more than the
//! author's one honest answer allows: [`SimpleProvider::quiet_after`].

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use serde::{Deserialize, Serialize};

use super::{
    Baseline, Begun, Blocker, Change, DeployRequest, Deployer, DeployerCapabilities, Evidence,
    Guarantee, Handle, InventorySource, Listing, Located, Observed, Op, OpContext, Operations,
    PatchSource, PerComponent, PortRequest, Ports, Prepared, Provider, ProviderInfo, Settled, Undo,
};
use crate::{
    error::{Error, ErrorKind, Failure, Result},
    estate::{Available, Patch, PatchChange, PatchClass, Scan, Sighting},
    id::{ComponentId, PatchId, Version},
};

/// What is there, the short way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Installed {
    /// What runs.
    pub running: BTreeMap<PatchId, Version>,
    /// What is flashed or staged and does not run before a restart. It counts as pending, not as installed.
    pub pending: BTreeMap<PatchId, Version>,
}

impl Installed {
    /// What runs.
    pub fn running<I, P, V>(versions: I) -> Self
    where
        I: IntoIterator<Item = (P, V)>,
        P: Into<PatchId>,
        V: Into<Version>,
    {
        let running = versions
            .into_iter()
            .map(|(p, v)| (p.into(), v.into()))
            .collect();
        Self {
            running,
            pending: BTreeMap::new(),
        }
    }

    /// One more that waits for a restart.
    #[must_use]
    pub fn with_pending(mut self, patch: impl Into<PatchId>, version: impl Into<Version>) -> Self {
        self.pending.insert(patch.into(), version.into());
        self
    }
}

/// A provider the short way. Wrap it in [`Simple`].
#[async_trait]
pub trait SimpleProvider: Debug + Send + Sync + 'static {
    /// The one honest question: an apply whose caller died has stopped after how long? `None`: nobody
    /// knows, and a person decides what an interrupted apply means.
    fn quiet_after(&self) -> Option<Duration>;

    /// What a patch is for that says no class, which is [`PatchClass::Other`]. Who names the version that a tool of the
    /// house is to put in means it to go in, so these count as bugfixes, which a policy takes unless it says otherwise.
    /// [`PatchClass::Other`] leaves them as they are.
    fn patch_class(&self) -> PatchClass {
        PatchClass::Bugfix
    }

    /// What is there.
    ///
    /// # Errors
    /// The whole list could not be read.
    async fn components(&self, ctx: &OpContext) -> Result<Vec<Sighting>>;

    /// What is on offer for a component. A patch that does not name the version it comes from gets the one that a
    /// scan finds.
    ///
    /// # Errors
    /// It could not be asked.
    async fn available(&self, ctx: &OpContext, component: &ComponentId) -> Result<Vec<Patch>>;

    /// What is installed on it.
    ///
    /// # Errors
    /// It could not be read.
    async fn scan(&self, ctx: &OpContext, component: &ComponentId) -> Result<Installed>;

    /// Puts one change in, and returns when it is in. May return early with an error whose kind is
    /// `Timeout`, `Unreachable`, `Cancelled`, `Io` or `ProviderFault`: then nobody knows, and the state is read again
    /// after `quiet_after`.
    ///
    /// # Errors
    /// It did not go in.
    async fn apply(
        &self,
        ctx: &OpContext,
        component: &ComponentId,
        change: &PatchChange,
    ) -> Result<()>;
}

/// A full provider made from a [`SimpleProvider`]: `StateOnly` or `Blind`, never higher.
#[derive(Debug)]
pub struct Simple<P> {
    info: ProviderInfo,
    inner: Arc<SimplePorts<P>>,
}

impl<P: SimpleProvider> Simple<P> {
    /// Wraps a provider under a name.
    pub fn new(info: ProviderInfo, provider: P) -> Self {
        Self {
            info,
            inner: Arc::new(SimplePorts {
                provider,
                last: Mutex::new(BTreeMap::new()),
            }),
        }
    }
}

impl<P: SimpleProvider> Provider for Simple<P> {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        Ports::none()
            .with_inventory(self.inner.clone())
            .with_source(self.inner.clone())
            .with_deployer(self.inner.clone())
    }
}

#[derive(Debug)]
struct SimplePorts<P> {
    provider: P,
    /// What the last scan found. A discovery scans first, and what is on offer is told apart by it.
    last: Mutex<BTreeMap<ComponentId, BTreeMap<PatchId, Version>>>,
}

/// So many components are asked about at once: a tool of a house is no service of a cloud.
const AT_ONCE: usize = 8;

#[derive(Serialize, Deserialize)]
struct SimpleBaseline {
    versions: BTreeMap<PatchId, Version>,
}

fn unsupported(request: &DeployRequest) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("a simple provider has no verb {}", request.verb()),
    )
    .operation("prepare")
    .hint("write the full provider if the tool can do it (docs/guide/own-provider.md)")
}

fn drift(change: &Change, patch: &PatchChange, now: Option<&Version>) -> Error {
    let words =
        |v: Option<&Version>| v.map_or_else(|| "not installed".to_owned(), ToString::to_string);
    Error::new(
        ErrorKind::PlanDrift,
        format!("{}: {} is not as planned", change.component, patch.patch),
    )
    .expected(words(patch.from.as_ref()))
    .found(words(now))
    .hint("plan again and have the new plan approved")
}

impl<P: SimpleProvider> SimplePorts<P> {
    /// The change of the one component of an `Apply`, or why there is none.
    fn change(request: &DeployRequest) -> Result<&Change> {
        match request {
            DeployRequest::Apply { changes, .. } => match changes.as_slice() {
                [change] => Ok(change),
                _ => Err(Error::new(
                    ErrorKind::Unsupported,
                    "a simple provider takes one component at a time",
                )
                .expected("1 component")
                .found(format!("{} components", changes.len()))),
            },
            other => Err(unsupported(other)),
        }
    }

    fn last(&self) -> MutexGuard<'_, BTreeMap<ComponentId, BTreeMap<PatchId, Version>>> {
        // Each change is one insertion, so whoever panicked left a whole map.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn scanned(&self, ctx: &OpContext, component: &ComponentId) -> Result<Installed> {
        let installed = self.provider.scan(ctx, component).await?;
        let running = installed.running.clone();
        self.last().insert(component.clone(), running);
        Ok(installed)
    }

    /// What is on offer, each patch with a class and with the version that it comes from: without it, it would be taken
    /// for drift that one is there.
    async fn offers(&self, ctx: &OpContext, component: &ComponentId) -> Result<Vec<Patch>> {
        let mut patches = self.provider.available(ctx, component).await?;
        if patches.iter().any(|patch| patch.from.is_none()) {
            let last = self.last().get(component).cloned();
            let running = match last {
                Some(running) => running,
                None => self.scanned(ctx, component).await?.running,
            };
            for patch in patches.iter_mut().filter(|patch| patch.from.is_none()) {
                patch.from = running.get(&patch.id).cloned();
            }
        }
        for patch in patches.iter_mut().filter(|p| p.class == PatchClass::Other) {
            patch.class = self.provider.patch_class();
        }
        // What is in already is no offer, so that an author may simply name the newest version.
        patches.retain(|patch| patch.from.as_ref() != Some(&patch.to));
        Ok(patches)
    }

    /// What the state says about a change: `Ok(Some)` it holds, `Ok(None)` it does not.
    async fn holds(&self, ctx: &OpContext, change: &Change) -> Result<Option<Evidence>> {
        let installed = self.provider.scan(ctx, &change.component).await?;
        let there = change
            .patches
            .iter()
            .filter(|p| installed.running.get(&p.patch) == p.to.as_ref())
            .count();
        let total = change.patches.len();
        Ok((there == total).then(|| {
            Evidence::observed(
                ctx.now(),
                format!("scan: {there} of {total} at the planned version"),
            )
        }))
    }
}

#[async_trait]
impl<P: SimpleProvider> InventorySource for SimplePorts<P> {
    async fn list(&self, ctx: &OpContext) -> Result<Listing> {
        Ok(Listing::of(self.provider.components(ctx).await?))
    }
}

#[async_trait]
impl<P: SimpleProvider> PatchSource for SimplePorts<P> {
    async fn available(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Available>> {
        let asked = components.iter().cloned().map(|component| async move {
            let answer = self.offers(ctx, &component).await.map(|patches| {
                let mut available = Available::nothing(ctx.now());
                available.patches = patches;
                available
            });
            (component, answer)
        });
        Ok(stream::iter(asked)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await)
    }
}

#[async_trait]
impl<P: SimpleProvider> Deployer for SimplePorts<P> {
    fn capabilities(&self) -> DeployerCapabilities {
        DeployerCapabilities {
            restarts_with_apply: true,
            ..DeployerCapabilities::default()
        }
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        let asked = components.iter().cloned().map(|component| async move {
            let answer = self.scanned(ctx, &component).await.map(|installed| {
                let mut scan = Scan::new(ctx.now(), installed.running);
                scan.reboot_wanted = Some(
                    installed
                        .pending
                        .iter()
                        .map(|(patch, version)| format!("{patch} {version} waits for it"))
                        .collect(),
                );
                scan.running_old = Some(Vec::new());
                scan.pending_activation = installed.pending;
                scan
            });
            (component, answer)
        });
        Ok(stream::iter(asked)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await)
    }
}

#[async_trait]
impl<P: SimpleProvider> Operations<DeployRequest> for SimplePorts<P> {
    fn guarantee(&self, _op: &Op<DeployRequest>) -> Guarantee {
        match self.provider.quiet_after() {
            Some(quiet_after) => Guarantee::StateOnly { quiet_after },
            None => Guarantee::Blind,
        }
    }

    fn undo(&self, _op: &Op<DeployRequest>) -> Undo<DeployRequest> {
        Undo::Unavailable {
            why: "a simple provider has no way back".to_owned(),
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &DeployRequest) -> Result<Prepared> {
        let change = Self::change(request)?;
        let installed = self.provider.scan(ctx, &change.component).await?;
        let mut blockers = Vec::new();
        let mut open = false;
        for patch in &change.patches {
            let now = installed.running.get(&patch.patch);
            if now == patch.to.as_ref() {
                continue;
            }
            open = true;
            let component = &change.component;
            if let Some(pending) = installed.pending.get(&patch.patch) {
                let error = Error::new(
                    ErrorKind::Unhealthy,
                    format!(
                        "{component}: {} {pending} is flashed and waits for a restart",
                        patch.patch
                    ),
                )
                .hint(format!("restart {component}, then plan again"));
                blockers.push(Blocker::from_error(&error));
            } else if now != patch.from.as_ref() {
                let error = drift(change, patch, now);
                blockers.push(Blocker::from_error(&error));
            }
        }
        if !open {
            let evidence =
                Evidence::observed(ctx.now(), "scan: everything is at the planned version");
            return Ok(Prepared::already_holds(change.component.clone(), evidence));
        }
        if !blockers.is_empty() {
            return Ok(Prepared::blocked(change.component.clone(), blockers));
        }
        let baseline = Baseline::new(
            1,
            &SimpleBaseline {
                versions: installed.running,
            },
        )?;
        Ok(Prepared::ready(change.component.clone(), baseline))
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Begun> {
        let change = Self::change(&op.request)?;
        // Time has passed since it was prepared; the tool itself may put a patch in from any version.
        let installed = self.provider.scan(ctx, &change.component).await?;
        let drifted = change.patches.iter().find(|p| {
            let now = installed.running.get(&p.patch);
            now != p.from.as_ref() && now != p.to.as_ref()
        });
        if let Some(patch) = drifted {
            return Ok(Begun::Refused(Failure::from(&drift(
                change,
                patch,
                installed.running.get(&patch.patch),
            ))));
        }
        for patch in &change.patches {
            if let Err(error) = self.provider.apply(ctx, &change.component, patch).await {
                // Whoever lost the connection, or stumbled on the way, does not know whether the tool goes on. Only an
                // answer of the tool settles.
                if matches!(
                    error.kind(),
                    ErrorKind::Timeout
                        | ErrorKind::Unreachable
                        | ErrorKind::Cancelled
                        | ErrorKind::Io
                        | ErrorKind::ProviderFault
                ) {
                    return Err(error);
                }
                let error = error.blame(patch.patch.clone());
                return Ok(Begun::Settled(Settled::failed(
                    change.component.clone(),
                    Failure::from(&error),
                )));
            }
        }
        match self.holds(ctx, change).await? {
            Some(evidence) => Ok(Begun::Settled(Settled::done(
                change.component.clone(),
                evidence,
            ))),
            None => {
                // What is flashed and waits for a restart did go in; whether it runs is for the next scan to say.
                let installed = self.provider.scan(ctx, &change.component).await?;
                let waits = change.patches.iter().all(|p| {
                    let there = installed.running.get(&p.patch) == p.to.as_ref();
                    there || installed.pending.get(&p.patch) == p.to.as_ref()
                });
                if waits {
                    let evidence = Evidence::observed(ctx.now(), "flashed; waits for a restart");
                    return Ok(Begun::Settled(Settled::done(
                        change.component.clone(),
                        evidence,
                    )));
                }
                let error = Error::new(
                    ErrorKind::VerifyFailed,
                    format!(
                        "{}: the tool said it was done, and the scan shows the old version",
                        change.component
                    ),
                );
                Ok(Begun::Settled(Settled::failed(
                    change.component.clone(),
                    Failure::from(&error),
                )))
            }
        }
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Located> {
        let change = Self::change(&op.request)?;
        Ok(match self.holds(ctx, change).await? {
            Some(evidence) => Located::Settled(Settled::done(change.component.clone(), evidence)),
            None => Located::NotFound,
        })
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        _handle: &Handle,
    ) -> Result<Observed> {
        match self.locate(ctx, op).await? {
            Located::Settled(settled) => Ok(Observed::Settled(settled)),
            _ => Ok(Observed::Lost {
                why: "a simple provider gives no handles".to_owned(),
            }),
        }
    }
}
