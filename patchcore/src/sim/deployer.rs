//! The deployer of the simulated estate: the operation protocol over the world's jobs.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    guest::Power,
    provider::{SimPorts, each},
    readiness::Standing,
    scripts::Delivery,
    world::World,
};
use crate::{
    error::{Error, ErrorKind, Failure, Result},
    estate::{PatchChange, Scan},
    id::{ComponentId, PatchId, Version},
    provider::{
        Baseline, Begun, Blocker, Change, DeployRequest, Deployer, DeployerCapabilities, Evidence,
        Guarantee, Handle, Located, Observed, Op, OpContext, Operations, PerComponent, PortRequest,
        Prepared, Readiness, Settled, SubjectResult, Undo,
    },
};

/// The version of the shape of baselines and handles.
const V: u16 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Before {
    boot_ids: BTreeMap<ComponentId, String>,
    versions: BTreeMap<ComponentId, BTreeMap<PatchId, Version>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct JobHandle {
    job: u64,
}

#[async_trait]
impl Deployer for SimPorts {
    fn capabilities(&self) -> DeployerCapabilities {
        DeployerCapabilities::all()
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        let world = self.world(ctx)?;
        Ok(each(components, |c| world.scan(c)))
    }
}

#[async_trait]
impl Operations<DeployRequest> for SimPorts {
    fn guarantee(&self, op: &Op<DeployRequest>) -> Guarantee {
        self.world_now().guarantees.of(op.request.verb())
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
                    .filter_map(|c| back(c, before.as_ref()))
                    .collect();
                if changes.is_empty() {
                    return Undo::Nothing;
                }
                Undo::By(DeployRequest::RollBack {
                    changes,
                    staged: staged.clone(),
                })
            }
            DeployRequest::Refresh { .. }
            | DeployRequest::Reboot { .. }
            | DeployRequest::RollBack { .. }
            | DeployRequest::Discard { .. } => Undo::Nothing,
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &DeployRequest) -> Result<Prepared> {
        let world = self.world(ctx)?;
        let subjects = request.subjects();
        let promise = world.guarantees.of(request.verb());
        let state_only = matches!(promise, Guarantee::StateOnly { .. } | Guarantee::Blind);
        if state_only && subjects.len() > 1 {
            // What is judged by its state, or by a person, is judged one component at a time.
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{} takes one component at a time here", request.verb()),
            )
            .expected("1 component")
            .found(format!("{} components", subjects.len()))
            .operation("prepare"));
        }
        let mut answers = BTreeMap::new();
        for subject in &subjects {
            let readiness = match world.standing(subject, request) {
                Ok(Standing::Ready) => Readiness::Ready,
                Ok(Standing::Holds(evidence)) => Readiness::AlreadyHolds(evidence),
                Ok(Standing::Blocked(reasons)) => {
                    Readiness::Blocked(reasons.iter().map(Blocker::from_error).collect())
                }
                // One that cannot be asked must not hide the answers of the others.
                Err(error) if subjects.len() > 1 => {
                    Readiness::Blocked(vec![Blocker::from_error(&error)])
                }
                Err(error) => return Err(error.operation("prepare")),
            };
            answers.insert(subject.clone(), readiness);
        }
        Ok(Prepared {
            baseline: before(&world, &subjects)?,
            subjects: answers,
        })
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Begun> {
        let mut world = self.world(ctx)?;
        let subjects = op.request.subjects();
        for subject in &subjects {
            world.reached(subject).map_err(|e| e.operation("begin"))?;
        }
        match world.scripts.delivery(op.request.verb(), &subjects) {
            Delivery::Whole => world.begin(op, ctx.fence()),
            Delivery::ReplyLost => {
                world.begin(op, ctx.fence())?;
                Err(no_reply(&subjects))
            }
            Delivery::RequestLost => Err(no_reply(&subjects)),
        }
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Located> {
        let mut world = self.world(ctx)?;
        world.heard(op, ctx.fence());
        world.locate(op).map_err(|e| e.operation("locate"))
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        let mut world = self.world(ctx)?;
        world.heard(op, ctx.fence());
        let JobHandle { job } = handle.read(V)?;
        let Some(job) = world.jobs.get(job).filter(|j| j.key == op.key) else {
            return Ok(Observed::Lost {
                why: format!("there is no job {job} of this operation"),
            });
        };
        for subject in op.request.subjects() {
            world
                .heard_of(&subject, &op.request)
                .map_err(|e| e.operation("observe"))?;
        }
        Ok(match job.settled() {
            Some(settled) => Observed::Settled(settled),
            None => {
                let (progress, poll_after) = job.progress(world.now);
                Observed::Running {
                    progress,
                    poll_after,
                }
            }
        })
    }
}

impl World {
    /// Begins an operation that has reached its target.
    fn begin(&mut self, op: &Op<DeployRequest>, fence: u64) -> Result<Begun> {
        if let Some(refused) = self.turned_away(op, fence) {
            return Ok(refused);
        }
        self.calls.entry(op.key.clone()).or_default().begins += 1;
        let guarantee = self.guarantees.of(op.request.verb());
        if let Guarantee::Keyed { .. } = guarantee
            && let Some((id, job)) = self.jobs.by_key(&op.key, guarantee, self.now)
        {
            if job.request != op.request {
                let error = Error::new(
                    ErrorKind::InvalidInput,
                    format!("the key {} belongs to another request", op.key),
                )
                .expected(format!("{:?}", job.request))
                .found(format!("{:?}", op.request))
                .consequence("nothing was begun")
                .hint("give every operation a key of its own");
                return Ok(Begun::Refused(Failure::from(&error)));
            }
            return begun(self, id);
        }
        for subject in op.request.subjects() {
            if let Standing::Blocked(reasons) = self.standing(&subject, &op.request)?
                && let Some(first) = reasons.first()
            {
                return Ok(Begun::Refused(Failure::from(first)));
            }
        }
        let id = self.start(op);
        self.calls.entry(op.key.clone()).or_default().starts += 1;
        begun(self, id)
    }

    fn locate(&self, op: &Op<DeployRequest>) -> Result<Located> {
        let guarantee = self.guarantees.of(op.request.verb());
        let subjects = op.request.subjects();
        for subject in &subjects {
            self.heard_of(subject, &op.request)?;
        }
        if let Some((id, job)) = self.jobs.by_key(&op.key, guarantee, self.now) {
            return Ok(match job.settled() {
                Some(settled) => Located::Settled(settled),
                None => Located::Running(Handle::new(V, &JobHandle { job: id })?),
            });
        }
        Ok(match guarantee {
            Guarantee::Blind => Located::Unknown {
                why: "the tool keeps no trace of what it was asked".to_owned(),
            },
            Guarantee::StateOnly { .. } => self
                .by_state(op)?
                .map_or(Located::NotFound, Located::Settled),
            Guarantee::Locatable { .. } if matches!(op.request, DeployRequest::Reboot { .. }) => {
                self.by_state(op)?
                    .map_or(Located::NotFound, Located::Settled)
            }
            Guarantee::Keyed { .. } | Guarantee::Locatable { .. } => Located::NotFound,
        })
    }

    /// The result as far as the state alone shows one on every subject.
    fn by_state(&self, op: &Op<DeployRequest>) -> Result<Option<Settled>> {
        let mut settled = Settled::default();
        for subject in op.request.subjects() {
            let guest = self.guest(&subject)?;
            let evidence = match &op.request {
                DeployRequest::Reboot { .. } => {
                    let before: Before = op.baseline.read(V)?;
                    let earlier = before.boot_ids.get(&subject);
                    earlier.filter(|b| **b != guest.boot_id).map(|b| {
                        let facts =
                            serde_json::json!({"boot_id_before": b, "boot_id": guest.boot_id});
                        Evidence::observed(self.now, "boot id changed").with_facts(facts)
                    })
                }
                DeployRequest::Stage { .. } => guest
                    .stages
                    .contains_key(&op.key)
                    .then(|| Evidence::observed(self.now, "what will go in is fetched")),
                // Nobody can see by whom or when a catalogue was fetched.
                DeployRequest::Refresh { .. } => None,
                request => match self.standing(&subject, request)? {
                    Standing::Holds(evidence) => Some(evidence),
                    _ => None,
                },
            };
            let Some(evidence) = evidence else {
                return Ok(None);
            };
            settled
                .subjects
                .insert(subject, SubjectResult::Done(evidence));
        }
        Ok(Some(settled))
    }

    /// Whether a job on a component can be asked about. A restart is followed from outside.
    fn heard_of(&self, component: &ComponentId, request: &DeployRequest) -> Result<()> {
        let cut_off = self.scripts.unreachable(component, self.now);
        let down = self.guest(component)?.power != Power::On;
        if down && !cut_off && matches!(request, DeployRequest::Reboot { .. }) {
            return Ok(());
        }
        self.reached(component).map(|_| ())
    }
}

fn begun(world: &World, id: u64) -> Result<Begun> {
    Ok(match world.jobs.get(id).and_then(|j| j.settled()) {
        Some(settled) => Begun::Settled(settled),
        None => Begun::Started(Handle::new(V, &JobHandle { job: id })?),
    })
}

fn before(world: &World, subjects: &BTreeSet<ComponentId>) -> Result<Baseline> {
    let guests = subjects
        .iter()
        .filter_map(|s| Some((s, world.guests.get(s)?)));
    let before = Before {
        boot_ids: guests
            .clone()
            .map(|(s, g)| (s.clone(), g.boot_id.clone()))
            .collect(),
        versions: guests
            .map(|(s, g)| (s.clone(), g.installed.clone()))
            .collect(),
    };
    Baseline::new(V, &before)
}

/// The way back from a change to what the baseline says was there.
fn back(change: &Change, before: Option<&Before>) -> Option<Change> {
    let was = before.and_then(|b| b.versions.get(&change.component));
    let patches: Vec<PatchChange> = change
        .patches
        .iter()
        .map(|p| {
            let mut reversed = p.reversed();
            if let Some(was) = was {
                reversed.to = was.get(&p.patch).cloned();
            }
            reversed
        })
        .filter(|p| p.from != p.to)
        .collect();
    (!patches.is_empty()).then(|| Change::new(change.component.clone(), patches))
}

fn no_reply(subjects: &BTreeSet<ComponentId>) -> Error {
    let names: Vec<&str> = subjects.iter().map(ComponentId::as_str).collect();
    Error::new(
        ErrorKind::Unreachable,
        format!("{} did not reply", names.join(", ")),
    )
    .operation("begin")
    .consequence("nobody knows whether it began")
    .retryable(None)
}
