//! The provider: what it says and does stands behind six calls, and nothing else is kept between them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Failure, Result,
    estate::{
        Available, ComponentKind, Impact, Patch, PatchChange, PatchClass, Scan, Sighting, WayBack,
        WayBackKind,
    },
    id::{ComponentId, Version},
    provider::{
        Baseline, Begun, Blocker, Change, DeployRequest, Deployer, DeployerCapabilities, Evidence,
        EvidenceLabel, Guarantee, Handle, InventorySource, Listing, Located, Observed, Op,
        OpContext, Operations, PatchSource, PerComponent, PortRequest as _, Ports, Prepared,
        Progress, Provider, ProviderInfo, Settled, Undo,
    },
};

use super::rack::{FLASHING, Job, Rack};

/// The only firmware on offer.
pub(crate) const NEWEST: &str = "7.4.2";
/// The appliances forget a job after this; the promise of `guarantee` is no longer.
const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);
/// The provider: one value that knows how to reach the appliances, and nothing else that would be lost with it.
#[derive(Debug)]
pub(crate) struct Appliances {
    info: ProviderInfo,
    ports: Arc<Rack>,
}

impl Appliances {
    pub(crate) fn new(rack: Rack) -> Self {
        Self {
            info: ProviderInfo::new("appliances", env!("CARGO_PKG_VERSION"))
                .with_evidence("apply", EvidenceLabel::OwnFake)
                .with_evidence("roll_back", EvidenceLabel::OwnFake),
            ports: Arc::new(rack),
        }
    }
}

impl Provider for Appliances {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        Ports::none()
            .with_inventory(self.ports.clone())
            .with_source(self.ports.clone())
            .with_deployer(self.ports.clone())
    }
}

#[async_trait]
impl InventorySource for Rack {
    async fn list(&self, ctx: &OpContext) -> Result<Listing> {
        let seen =
            |name: &ComponentId| Sighting::new(name.clone(), ComponentKind::Appliance, ctx.now());
        Ok(Listing::of(
            self.state().appliances.keys().map(seen).collect(),
        ))
    }
}

#[async_trait]
impl PatchSource for Rack {
    async fn available(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Available>> {
        let offer = |name: &ComponentId| {
            let running = self.appliance(name)?.running;
            let mut offer = Available::nothing(ctx.now());
            if running.as_str() != NEWEST {
                let patch = Patch::new("lb-os", Some(running), NEWEST, PatchClass::Security);
                offer.patches.push(patch.with_impact(Impact::Reboot));
            }
            Ok(offer)
        };
        Ok(components.iter().map(|c| (c.clone(), offer(c))).collect())
    }
}

#[async_trait]
impl Deployer for Rack {
    fn capabilities(&self) -> DeployerCapabilities {
        // No `stage`, no `reboot` of its own: what is not claimed is refused by `prepare`.
        let mut capabilities = DeployerCapabilities::default();
        capabilities.roll_back = true;
        capabilities.restarts_with_apply = true;
        capabilities
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        let scan = |name: &ComponentId| {
            let appliance = self.appliance(name)?;
            let mut scan = Scan::new(ctx.now(), [("lb-os".into(), appliance.running)].into());
            // An appliance restarts within its job, so nothing waits for a restart and nothing old still runs.
            scan.reboot_wanted = Some(Vec::new());
            scan.running_old = Some(Vec::new());
            scan.way_back = Some(WayBack::Ready {
                by: WayBackKind::Bank,
            });
            Ok(scan)
        };
        Ok(components.iter().map(|c| (c.clone(), scan(c))).collect())
    }
}

/// All that an appliance can be told: from one version to another. Anything else is refused before it begins.
fn work(request: &DeployRequest) -> Result<(&ComponentId, &Version, &Version)> {
    let changes = match request {
        DeployRequest::Apply { changes, .. } | DeployRequest::RollBack { changes, .. } => {
            &changes[..]
        }
        _ => &[],
    };
    if let [Change { component, patches }] = changes
        && let [
            PatchChange {
                from: Some(from),
                to: Some(to),
                ..
            },
        ] = &patches[..]
    {
        return Ok((component, from, to));
    }
    let what = format!("an appliance cannot {} like this", request.verb());
    Err(Error::new(ErrorKind::Unsupported, what)
        .expected("one appliance, from one version to another"))
}

#[async_trait]
impl Operations<DeployRequest> for Rack {
    fn guarantee(&self, _: &Op<DeployRequest>) -> Guarantee {
        // An appliance refuses a second job of one name: a start whose answer was lost may be sent again.
        Guarantee::Keyed { memory: MEMORY }
    }

    fn undo(&self, op: &Op<DeployRequest>) -> Undo<DeployRequest> {
        match &op.request {
            DeployRequest::Apply { changes, staged } => Undo::By(DeployRequest::RollBack {
                changes: changes.iter().map(Change::reversed).collect(),
                staged: staged.clone(),
            }),
            _ => Undo::Unavailable {
                why: "going back is itself the way back".to_owned(),
            },
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &DeployRequest) -> Result<Prepared> {
        let (name, from, to) = work(request)?;
        let running = self.appliance(name)?.running;
        if running == *to {
            let evidence = Evidence::observed(ctx.now(), format!("lb-os {running} runs"));
            return Ok(Prepared::already_holds(name.clone(), evidence));
        }
        Ok(match self.in_the_way(name, from) {
            Some(error) => Prepared::blocked(name.clone(), vec![Blocker::from_error(&error)]),
            None => Prepared::ready(name.clone(), Baseline::new(1, &running)?),
        })
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Begun> {
        let (name, from, to) = work(&op.request)?;
        // The name of the job comes from the key alone, so that a new process finds it again.
        let job = op.key.token();
        Ok(
            match ctx.check().and_then(|()| self.start(&job, name, from, to)) {
                Ok(()) => Begun::Started(Handle::new(1, &job)?),
                // The appliance itself said no: nothing happened, and nobody needs to look.
                Err(refusal) => Begun::Refused(Failure::from(&refusal)),
            },
        )
    }

    async fn locate(&self, _: &OpContext, op: &Op<DeployRequest>) -> Result<Located> {
        let name = op.key.token();
        Ok(match self.job(&name) {
            None => Located::NotFound,
            Some(job) => match job.settled() {
                Some(settled) => Located::Settled(settled),
                None => Located::Running(Handle::new(1, &name)?),
            },
        })
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        _: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        let name: String = handle.read(1)?;
        let Some(job) = self.job(&name) else {
            return Ok(Observed::Lost {
                why: format!("no appliance knows a job {name}"),
            });
        };
        Ok(match job.settled() {
            Some(settled) => Observed::Settled(settled),
            None => Observed::Running {
                progress: Progress::message(format!(
                    "flashing, ready in {} s",
                    job.ends.duration_since(ctx.now()).as_secs()
                )),
                poll_after: FLASHING / 5,
            },
        })
    }
}

impl Job {
    /// The result as the appliance read it back after its restart: what runs, not that the job ended.
    fn settled(&self) -> Option<Settled> {
        let runs = self.runs_after.as_ref()?;
        let saw = format!("lb-os {runs} runs");
        Some(if *runs == self.to {
            Settled::done(self.appliance.clone(), Evidence::observed(self.ends, saw))
        } else {
            let error = Error::new(
                ErrorKind::VerifyFailed,
                format!("{}: the new firmware did not start", self.appliance),
            )
            .expected(format!("lb-os {}", self.to))
            .found(saw)
            .hint("look at its console; the bank before is running")
            .blame("lb-os".into());
            Settled::failed(self.appliance.clone(), Failure::from(&error))
        })
    }
}
