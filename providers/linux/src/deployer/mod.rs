//! The operation protocol over detached jobs.

mod readiness;
mod restart;
mod result;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Failure, Result, Timestamp,
    estate::{PatchChange, Pin, Scan},
    id::{ComponentId, Version},
    provider::{
        Baseline, Begun, Blocker, Change, DeployRequest, Deployer, DeployerCapabilities, Guarantee,
        Handle, Located, Observed, Op, OpContext, Operations, PerComponent, PortRequest, Prepared,
        Progress, Readiness, Undo,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    client::{Fleet, Machine},
    error,
    job::{Job, JobId, JobSpec, JobStatus, MEMORY, Phase, Poll},
    pm::{
        apt::{self, Named, Old, PackageName, reading},
        classify::failed_job,
    },
    vercmp::deb::DebVersion,
};

/// How long the machine itself waits for a job's end before it answers: most jobs are short, and each question is
/// a process. One that has taken longer than this is asked after as long again, and so less and less often.
const WAIT: Duration = Duration::from_secs(5);

/// How long it waits at most: whoever looks on should see that something moves, and each question is a sign of life for
/// the lock of the machine.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// A log up to this size comes with the word that its job is over. That of an upgrade of a hundred packages does; the
/// answer of a scan is as large.
const WHOLE_LOG: u32 = 64 << 10;

use self::readiness::{Before, Standing, V, changes_for};

#[derive(Debug, Serialize, Deserialize)]
struct JobHandle {
    job: JobId,
    /// When it was begun or found, by our clock.
    begun: Timestamp,
}

impl JobHandle {
    const fn begun(job: JobId, begun: Timestamp) -> Self {
        Self { job, begun }
    }
}

#[async_trait]
impl Deployer for Fleet {
    fn capabilities(&self) -> DeployerCapabilities {
        let mut can = DeployerCapabilities::all();
        can.reboot = self.machines().any(|machine| machine.restarts);
        can
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        let answers = self.each(ctx, components, |machine, component, ctx| async move {
            let look = machine.look(&ctx, &[]).await;
            let scan = look.and_then(|look| {
                machine.is_meant(component, &look.facts)?;
                machine.reading(&look)
            });
            scan.map_err(|e| e.operation("scan"))
        });
        Ok(answers.await)
    }
}

#[async_trait]
impl Operations<DeployRequest> for Fleet {
    fn guarantee(&self, _: &Op<DeployRequest>) -> Guarantee {
        // Healing work may be kept where a restart forgets it; it may be done twice, and a restart is seen by
        // the boot id.
        Guarantee::Keyed { memory: MEMORY }
    }

    fn undo(&self, op: &Op<DeployRequest>) -> Undo<DeployRequest> {
        match &op.request {
            DeployRequest::Stage { .. } => Undo::By(DeployRequest::Discard {
                components: op.request.subjects().into_iter().collect(),
                staged: op.key.clone(),
            }),
            DeployRequest::Apply { changes, staged } => {
                let before = op.baseline.read::<Before>(V).ok();
                let changes: Vec<Change> = changes
                    .iter()
                    .filter_map(|change| back(change, before.as_ref()))
                    .collect();
                if changes.is_empty() {
                    return Undo::Nothing;
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
        let prepared = async { self.subject(request)?.prepared(ctx, request).await };
        prepared.await.map_err(|e| e.operation("prepare"))
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Begun> {
        match self.subject(&op.request) {
            Ok(machine) => machine
                .begun(ctx, op)
                .await
                .map_err(|e| e.operation("begin")),
            // Nothing was sent.
            Err(error) => Ok(Begun::Refused(Failure::from(&error))),
        }
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Located> {
        let located = async { self.subject(&op.request)?.located(ctx, op).await };
        located.await.map_err(|e| e.operation("locate"))
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        let observed = async { self.subject(&op.request)?.observed(ctx, op, handle).await };
        observed.await.map_err(|e| e.operation("observe"))
    }
}

impl Machine {
    async fn prepared(&self, ctx: &OpContext, request: &DeployRequest) -> Result<Prepared> {
        let named = readiness::named(request)?;
        if matches!(request, DeployRequest::Reboot { .. }) && !self.restarts {
            let name = match &self.config.name {
                Some(name) => name.clone(),
                None => self.name(&self.facts(ctx).await?),
            };
            return Err(error::no_restart(&name, self.is_own));
        }
        let jobs = self.config.jobs.base();
        let (before, standing) = match request {
            // It gives back files of our own: no package matters, and nobody's lock. Whether they may be removed is said by
            // the machine when that is begun.
            DeployRequest::Discard { .. } => {
                let own = match &self.config.name {
                    Some(name) => name.clone(),
                    None => self.name(&self.facts(ctx).await?),
                };
                (Before::of_nothing(own, jobs), Standing::Ready)
            }
            DeployRequest::Stage { .. }
            | DeployRequest::Apply { .. }
            | DeployRequest::RollBack { .. } => {
                let (read, clocks) = self.wanted(ctx, &named).await?;
                let own = self.name(&read.named.facts);
                let before = readiness::before(&read, &own, jobs, request)?;
                let standing = readiness::standing(&read, &own, request, &clocks)?;
                (before, standing)
            }
            _ => {
                let (read, clocks) = self.named(ctx, &[]).await?;
                let own = self.name(&read.facts);
                let busy = reading::busy(&read.locks, &clocks);
                let reasons = readiness::obstacles(&read.facts, busy.as_ref(), &own, request);
                let before = Before::without_packages(&read.facts, own, jobs);
                (before, Standing::of(reasons))
            }
        };
        let own = before.component.clone();
        let mut subjects = BTreeMap::new();
        for subject in request.subjects() {
            let readiness = if subject == own {
                match &standing {
                    Standing::Ready => Readiness::Ready,
                    Standing::Holds(evidence) => Readiness::AlreadyHolds(evidence.clone()),
                    Standing::Blocked(reasons) => {
                        Readiness::Blocked(reasons.iter().map(Blocker::from_error).collect())
                    }
                }
            } else {
                Readiness::Blocked(vec![Blocker::from_error(&error::unknown(&subject, [&own]))])
            };
            subjects.insert(subject, readiness);
        }
        let mut prepared = Prepared::blocked(own, Vec::new());
        prepared.baseline = Baseline::new(V, &before)?;
        prepared.subjects = subjects;
        Ok(prepared)
    }

    async fn begun(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Begun> {
        let job = match self.job(op) {
            Ok(job) => job,
            // Nothing was sent.
            Err(error) => return Ok(Begun::Refused(Failure::from(&error))),
        };
        // Most are over in a moment. That its job is over says nothing of a restart.
        let is_awaited = !matches!(op.request, DeployRequest::Reboot { .. });
        let poll = match is_awaited {
            true => until_over(ctx, WAIT),
            false => Poll {
                most: 0,
                ..Poll::default()
            },
        };
        let packages = read_back(&op.request)?;
        let look = self.start(ctx, &job, poll, &packages).await?;
        let status = &look.status;
        let handle = |id| Handle::new(V, &JobHandle::begun(id, ctx.now()));
        Ok(match status.phase {
            Phase::Conflict | Phase::Refused => {
                let error = failed_job(op.request.verb(), &job.id, status, "")
                    .unwrap_or_else(|| Error::new(ErrorKind::ProviderFault, "it was refused"));
                Begun::Refused(Failure::from(&error))
            }
            Phase::Absent => {
                return Err(Error::new(
                    ErrorKind::ProviderFault,
                    format!("job {} was started and is not there", job.id),
                ));
            }
            phase if phase.is_over() && is_awaited => {
                match self.settled(ctx, op, &job.id, look).await {
                    Ok(settled) => Begun::Settled(settled),
                    // It was begun all the same; whoever observes it reads it again.
                    Err(_) => Begun::Started(handle(job.id)?),
                }
            }
            _ => Begun::Started(handle(job.id)?),
        })
    }

    async fn located(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Located> {
        let id = JobId::of(&op.key);
        if matches!(op.request, DeployRequest::Reboot { .. }) {
            return self.located_restart(ctx, op, id).await;
        }
        let poll = until_over(ctx, Duration::ZERO);
        let packages = read_back(&op.request)?;
        let look = self.poll(ctx, &id, poll, &packages).await?;
        Ok(match look.status.phase {
            // A start that is still on its way makes the same job as the one that follows, and only one of the
            // two runs it.
            Phase::Absent | Phase::Prepared => Located::NotFound,
            Phase::Claimed | Phase::Running => {
                Located::Running(Handle::new(V, &JobHandle::begun(id, ctx.now()))?)
            }
            Phase::Refused => return Err(unseen(&id, &look.status)),
            _ => Located::Settled(self.settled(ctx, op, &id, look).await?),
        })
    }

    async fn observed(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        let JobHandle { job: id, begun } = handle.read(V)?;
        if id != JobId::of(&op.key) {
            return Ok(Observed::Lost {
                why: format!("job {id} is not of this operation"),
            });
        }
        if matches!(op.request, DeployRequest::Reboot { .. }) {
            return self.observed_restart(ctx, op, &id, begun).await;
        }
        let taken = Duration::try_from(ctx.now().duration_since(begun)).unwrap_or_default();
        let wait = taken.clamp(WAIT, LONGEST_WAIT);
        let packages = read_back(&op.request)?;
        let look = self
            .poll(ctx, &id, until_over(ctx, wait), &packages)
            .await?;
        Ok(match look.status.phase {
            Phase::Absent | Phase::Prepared => Observed::Lost {
                why: format!("the machine does not know job {id} any more"),
            },
            Phase::Claimed | Phase::Running => Observed::Running {
                progress: last_line(&look.status),
                poll_after: Duration::from_millis(500),
            },
            Phase::Refused => return Err(unseen(&id, &look.status)),
            _ => Observed::Settled(self.settled(ctx, op, &id, look).await?),
        })
    }

    /// The job of an operation: from its key, request and baseline only, so that it is the same every time.
    fn job(&self, op: &Op<DeployRequest>) -> Result<Job> {
        let id = JobId::of(&op.key);
        let before: Before = op.baseline.read(V)?;
        if let Some(other) = op
            .request
            .subjects()
            .iter()
            .find(|s| **s != before.component)
        {
            return Err(error::unknown(other, [&before.component]));
        }
        if before.jobs != self.config.jobs.base() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "{}: the folder of jobs is another one than when this was prepared",
                    before.component
                ),
            )
            .expected(before.jobs)
            .found(self.config.jobs.base())
            .consequence("nothing was begun"));
        }
        let apt = &self.config.apt;
        let open: Vec<&PatchChange> = changes_for(&op.request, &before.component)
            .into_iter()
            .filter(|c| {
                !before
                    .packages
                    .get(&c.patch)
                    .is_some_and(|p| p.is_at(c.to.as_ref()))
            })
            .collect();
        let spec: JobSpec = match &op.request {
            DeployRequest::Refresh { .. } => apt.refresh(&id)?,
            DeployRequest::Stage { .. } => apt.stage(&id, &approved(&open, &before)?)?,
            DeployRequest::Apply { .. } => apt.apply(&id, &approved(&open, &before)?)?,
            DeployRequest::Reboot { .. } => apt.reboot(&id)?,
            DeployRequest::RollBack { staged, .. } => apt.roll_back(
                &id,
                &apt::RollBack {
                    packages: open
                        .iter()
                        .map(|c| old(c, &before))
                        .collect::<Result<_>>()?,
                    armed_by: JobId::of(staged),
                },
            )?,
            DeployRequest::Discard { staged, .. } => apt.discard(&id, &JobId::of(staged))?,
            other => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("linux does not know {}", other.verb()),
                ));
            }
        };
        Ok(Job { id, spec })
    }
}

/// What is asked of a job that may be over before so long: its last line while it runs, and then its whole log.
fn until_over(ctx: &OpContext, wait: Duration) -> Poll {
    Poll {
        offset: None,
        most: 500,
        whole: WHOLE_LOG,
        wait: wait.min(ctx.time_left() / 4),
    }
}

/// The packages that are read back once the job of a request is done: those that it changes.
fn read_back(request: &DeployRequest) -> Result<Vec<Named>> {
    match request {
        DeployRequest::Apply { .. } | DeployRequest::RollBack { .. } => readiness::named(request),
        _ => Ok(Vec::new()),
    }
}

/// The last line that the job wrote.
fn last_line(status: &JobStatus) -> Progress {
    let tail = String::from_utf8_lossy(&status.log);
    let line = tail.lines().rev().find(|l| !l.trim().is_empty());
    Progress::message(line.unwrap_or("begins").trim())
}

fn unseen(id: &JobId, status: &JobStatus) -> Error {
    failed_job("looking at the job", id, status, "")
        .unwrap_or_else(|| Error::new(ErrorKind::AuthzDenied, "the job may not be seen"))
}

fn approved(changes: &[&PatchChange], before: &Before) -> Result<Vec<apt::Change>> {
    changes
        .iter()
        .map(|change| {
            let (name, arch) = named(change, before)?;
            let to = change.to.as_ref().ok_or_else(|| {
                Error::new(
                    ErrorKind::Unsupported,
                    format!("{}: linux does not remove packages", change.patch),
                )
            })?;
            Ok(apt::Change {
                name,
                arch,
                from: change.from.as_ref().map(deb).transpose()?,
                to: deb(to)?,
                sha256: match &change.pin {
                    Pin::Artifact { sha256 } => Some(sha256.clone()),
                    _ => None,
                },
            })
        })
        .collect()
}

fn old(change: &PatchChange, before: &Before) -> Result<Old> {
    let (name, arch) = named(change, before)?;
    Ok(Old {
        name,
        arch,
        version: change.to.as_ref().map(deb).transpose()?,
    })
}

fn named(change: &PatchChange, before: &Before) -> Result<(PackageName, apt::Architecture)> {
    let package = before.packages.get(&change.patch).ok_or_else(|| {
        Error::new(
            ErrorKind::ProviderFault,
            format!("{} is not in the baseline", change.patch),
        )
    })?;
    let (name, _) = PackageName::parse_qualified(change.patch.as_str())?;
    Ok((name, package.arch.clone()))
}

fn deb(version: &Version) -> Result<DebVersion> {
    DebVersion::parse(version.as_str())
}

/// The way back from a change to what the baseline says was there.
fn back(change: &Change, before: Option<&Before>) -> Option<Change> {
    let patches: Vec<PatchChange> = change
        .patches
        .iter()
        .map(|patch| {
            let mut reversed = patch.reversed();
            if let Some(was) = before.and_then(|b| b.packages.get(&patch.patch)) {
                reversed.to.clone_from(&was.version);
            }
            reversed
        })
        .filter(|p| p.from != p.to)
        .collect();
    (!patches.is_empty()).then(|| Change::new(change.component.clone(), patches))
}
