//! The provider of that outside. It keeps nothing in memory: a new process knows no less.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Failure, Result,
    estate::{
        Available, ComponentKind, Impact, Patch, PatchClass, Scan, Sighting, WayBack, WayBackKind,
    },
    id::ComponentId,
    provider::{
        Baseline, Begun, Blocker, DeployRequest, Deployer, DeployerCapabilities, Evidence,
        Guarantee, Handle, InventorySource, Listing, Located, Observed, Op, OpContext, Operations,
        PatchSource, PerComponent, PortRequest as _, Ports, Prepared, Progress, Provider,
        ProviderInfo, Settled, Undo, lock::fenced,
    },
};
use serde::{Deserialize, Serialize};

use super::world::{GUESTS, Job, NEW, OLD, World};

const HOUR: Duration = Duration::from_secs(3600);
/// So long a start may stay unseen, or an operation go on, after its caller died. No job takes longer.
const QUIET: Duration = Duration::from_millis(150);
/// Another such time, in milliseconds.
pub(crate) const QUIET_FOR: &str = "CRASH_DISK_QUIET";
/// A call at which this process is held up until its gate is opened: `VERB-OF-PORT VERB GUEST`.
pub(crate) const GATE: &str = "CRASH_DISK_GATE";
/// Whether the guests keep locks.
pub(crate) const LOCKS: &str = "CRASH_DISK_LOCKS";

/// So long a request takes to its target, and the answer back: a kill between the two is what has to be survived.
const ON_THE_WAY: Duration = Duration::from_millis(15);

#[derive(Debug)]
pub(crate) struct Files {
    info: ProviderInfo,
    ports: Arc<Outside>,
}

#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) world: World,
    has_locks: bool,
    gate: Option<Gate>,
    quiet: Duration,
}

/// Holds up one call of this process.
#[derive(Debug)]
struct Gate {
    folder: PathBuf,
    call: String,
}

impl Gate {
    /// Says that the call is there, and holds it up until it is let through.
    async fn pass(&self, ctx: &OpContext, call: &str) {
        if call != self.call {
            return;
        }
        std::fs::write(self.folder.join(REACHED), "").unwrap();
        while !self.folder.join(OPEN).exists() {
            ctx.sleep(Duration::from_millis(2)).await;
        }
    }
}

/// The files by which a gate tells that it is reached, and is opened.
pub(crate) const REACHED: &str = "gate.reached";
pub(crate) const OPEN: &str = "gate.open";

/// What was there before.
#[derive(Serialize, Deserialize)]
struct Before {
    version: String,
    boots: u32,
}

impl Files {
    pub(crate) fn at(folder: &Path) -> Self {
        Self {
            info: ProviderInfo::new("files", "1"),
            ports: Arc::new(Outside {
                world: World::at(folder),
                has_locks: std::env::var_os(LOCKS).is_some(),
                gate: std::env::var(GATE).ok().map(|call| Gate {
                    folder: folder.to_owned(),
                    call,
                }),
                quiet: std::env::var(QUIET_FOR)
                    .map_or(QUIET, |ms| Duration::from_millis(ms.parse().unwrap())),
            }),
        }
    }
}

impl Provider for Files {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        let ports = Ports::none()
            .with_inventory(self.ports.clone())
            .with_source(self.ports.clone())
            .with_deployer(self.ports.clone());
        match self.ports.has_locks {
            true => ports.with_lock(self.ports.clone()),
            false => ports,
        }
    }
}

fn each<T>(components: &[ComponentId], answer: impl Fn(&str) -> T) -> PerComponent<T> {
    components
        .iter()
        .map(|c| (c.clone(), Ok(answer(c.as_str()))))
        .collect()
}

#[async_trait]
impl InventorySource for Outside {
    async fn list(&self, ctx: &OpContext) -> Result<Listing> {
        let seen = |name: &&str| Sighting::new(*name, ComponentKind::Appliance, ctx.now());
        Ok(Listing::of(GUESTS.iter().map(seen).collect()))
    }
}

#[async_trait]
impl PatchSource for Outside {
    async fn available(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Available>> {
        Ok(each(components, |name| {
            let mut offer = Available::nothing(ctx.now());
            if self.world.guest(name).version == OLD {
                let patch = Patch::new("app", Some(OLD.into()), NEW, PatchClass::Security);
                offer.patches.push(patch.with_impact(Impact::Reboot));
            }
            offer
        }))
    }
}

#[async_trait]
impl Deployer for Outside {
    fn capabilities(&self) -> DeployerCapabilities {
        let mut capabilities = DeployerCapabilities::all();
        capabilities.refresh = false;
        capabilities
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        Ok(each(components, |name| {
            let at = ctx.now();
            let guest = self.world.guest(name);
            let mut scan = Scan::new(at, [("app".into(), guest.version.as_str().into())].into());
            scan.boot_id = Some(format!("boot-{}", guest.boots));
            scan.reboot_wanted = Some(if guest.stale {
                vec!["app".to_owned()]
            } else {
                Vec::new()
            });
            scan.running_old = Some(Vec::new());
            scan.way_back = Some(WayBack::Ready {
                by: WayBackKind::OldPackages,
            });
            scan
        }))
    }
}

/// The job that a request asks for, of one guest.
fn job(op: &Op<DeployRequest>) -> Result<Job> {
    let what = match &op.request {
        DeployRequest::Stage { changes }
        | DeployRequest::Apply { changes, .. }
        | DeployRequest::RollBack { changes, .. } => changes
            .iter()
            .flat_map(|c| &c.patches)
            .find_map(|p| p.to.clone())
            .map(|version| version.to_string()),
        DeployRequest::Discard { staged, .. } => Some(staged.as_str().to_owned()),
        _ => Some(String::new()),
    };
    let what =
        what.ok_or_else(|| Error::new(ErrorKind::Unsupported, "nothing is ever taken out here"))?;
    Ok(Job {
        key: op.key.as_str().to_owned(),
        verb: op.request.verb().to_owned(),
        guest: guest_of(&op.request),
        what,
        nth: nth(op),
    })
}

fn guest_of(request: &DeployRequest) -> String {
    request
        .subjects()
        .first()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// Only where keys are kept does the world refuse a second start.
fn nth(op: &Op<DeployRequest>) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    if guest_of(&op.request).starts_with('k') {
        return "1".to_owned();
    }
    format!(
        "{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

impl Outside {
    /// Where a call may be held up.
    async fn gate(&self, ctx: &OpContext, port: &str, op: &Op<DeployRequest>) {
        if let Some(gate) = &self.gate {
            let (verb, guest) = (op.request.verb(), guest_of(&op.request));
            gate.pass(ctx, &format!("{port} {verb} {guest}")).await;
        }
    }

    /// Whether what is wanted is so, as the state alone shows it.
    fn holds(&self, op: &Op<DeployRequest>) -> Result<bool> {
        let guest = self.world.guest(&guest_of(&op.request));
        Ok(match &op.request {
            DeployRequest::Stage { .. } => guest.kept.contains(op.key.as_str()),
            DeployRequest::Reboot { .. } => guest.boots > op.baseline.read::<Before>(1)?.boots,
            DeployRequest::Discard { staged, .. } => !guest.kept.contains(staged.as_str()),
            _ => guest.version == job(op)?.what,
        })
    }

    /// The result of a job that has ended.
    fn settled(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Settled> {
        let name = guest_of(&op.request);
        if self.holds(op)? {
            return Ok(Settled::done(
                name.as_str().into(),
                Evidence::observed(ctx.now(), "it is so"),
            ));
        }
        let found = self.world.guest(&name).version;
        let error = Error::new(ErrorKind::VerifyFailed, format!("{name}: it did not go in"))
            .expected(NEW)
            .found(found)
            .blame("app".into());
        Ok(Settled::failed(name.as_str().into(), Failure::from(&error)))
    }
}

#[async_trait]
impl Operations<DeployRequest> for Outside {
    fn guarantee(&self, op: &Op<DeployRequest>) -> Guarantee {
        match guest_of(&op.request).as_bytes().first() {
            Some(b'k') => Guarantee::Keyed { memory: HOUR },
            Some(b'l') => Guarantee::Locatable {
                consistency_delay: Duration::from_millis(20),
                memory: HOUR,
            },
            _ => Guarantee::StateOnly {
                quiet_after: self.quiet,
            },
        }
    }

    fn undo(&self, op: &Op<DeployRequest>) -> Undo<DeployRequest> {
        match &op.request {
            DeployRequest::Stage { .. } => Undo::By(DeployRequest::Discard {
                components: op.request.subjects().into_iter().collect(),
                staged: op.key.clone(),
            }),
            DeployRequest::Apply { changes, staged } => {
                let Ok(before) = op.baseline.read::<Before>(1) else {
                    return Undo::Unavailable {
                        why: "nobody knows what was there".to_owned(),
                    };
                };
                // Back to what was there, which is only what the plan says if nobody came in between.
                let mut changes: Vec<_> = changes.iter().map(|c| c.reversed()).collect();
                for patch in changes.iter_mut().flat_map(|c| &mut c.patches) {
                    patch.to = Some(before.version.as_str().into());
                }
                Undo::By(DeployRequest::RollBack {
                    changes,
                    staged: staged.clone(),
                })
            }
            _ => Undo::Nothing,
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &DeployRequest) -> Result<Prepared> {
        let name = guest_of(request);
        let guest = self.world.guest(&name);
        if guest.running > 0 {
            let busy =
                Error::new(ErrorKind::Busy, format!("{name}: a job is at work")).retryable(None);
            return Ok(Prepared::blocked(
                name.as_str().into(),
                vec![Blocker::from_error(&busy)],
            ));
        }
        if let DeployRequest::Apply { staged, .. } = request
            && (guest.version != OLD || !guest.kept.contains(staged.as_str()))
        {
            let drift = Error::new(
                ErrorKind::PlanDrift,
                format!("{name}: it is not as planned"),
            )
            .expected(format!("app {OLD} with a way back"))
            .found(format!("{guest:?}"));
            return Ok(Prepared::blocked(
                name.as_str().into(),
                vec![Blocker::from_error(&drift)],
            ));
        }
        let before = Before {
            version: guest.version,
            boots: guest.boots,
        };
        let _ = ctx;
        Ok(Prepared::ready(
            name.as_str().into(),
            Baseline::new(1, &before)?,
        ))
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Begun> {
        let job = job(op)?;
        self.gate(ctx, "begin", op).await;
        ctx.sleep(ON_THE_WAY).await;
        // A key that is there already is this operation: it was begun by a process that died.
        if !self.has_locks {
            self.world.claim(&job);
        } else if let Err((last, by)) = self
            .world
            .admitted(&job.guest, ctx.fence(), || self.world.claim(&job))
        {
            self.world.arrived(&job, false);
            let error = fenced(&job.guest.as_str().into(), ctx.fence(), last, by.as_deref());
            return Ok(Begun::Refused(Failure::from(&error)));
        }
        ctx.sleep(ON_THE_WAY).await;
        Ok(Begun::Started(Handle::new(1, &job.key)?))
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Located> {
        self.gate(ctx, "locate", op).await;
        if matches!(self.guarantee(op), Guarantee::StateOnly { .. }) {
            return Ok(if self.holds(op)? {
                Located::Settled(self.settled(ctx, op)?)
            } else {
                Located::NotFound
            });
        }
        let lines = self.world.jobs(op.key.as_str());
        Ok(match lines.last() {
            None => Located::NotFound,
            Some(line) if line.ended => Located::Settled(self.settled(ctx, op)?),
            Some(_) => Located::Running(Handle::new(1, &op.key.as_str())?),
        })
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        let key: String = handle.read(1)?;
        Ok(match self.world.jobs(&key).last() {
            None => Observed::Lost {
                why: format!("there is no job {key}"),
            },
            Some(line) if line.ended => Observed::Settled(self.settled(ctx, op)?),
            Some(_) => Observed::Running {
                progress: Progress::message("at work"),
                poll_after: Duration::from_millis(20),
            },
        })
    }
}
