//! The full way: a correct provider over the reference machines.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Failure, Result, Secret,
    clock::Clock,
    estate::{Available, ComponentKind, IdentityKind, Scan, Sighting},
    id::{ComponentId, PatchId, Version},
    provider::{
        Baseline, Begun, Blocker, Bracket, Change, Claim, ClusterDrainer, DeployRequest, Deployer,
        DeployerCapabilities, Evidence, Guarantee, Handle, HealthProbe, Held, InventorySource,
        Listing, Located, Observed, Op, OpContext, Operations, PatchSource, PerComponent,
        PortRequest, Ports, Prepared, ProbeAnswer, ProbeKind, ProbeRequest, ProbeVerdict, Progress,
        Provider, ProviderInfo, Readiness, Taken, TargetLock, Undo,
    },
};
use serde::{Deserialize, Serialize};

use super::outside::{JOB, Job, Machine, Outside, State};

/// How long the machines remember a job.
const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Debug)]
pub(super) struct FullProvider {
    info: ProviderInfo,
    ports: Arc<FullPorts>,
    brackets: Arc<dyn Bracket>,
    drainer: Option<Arc<dyn ClusterDrainer>>,
}

#[derive(Debug)]
struct FullPorts {
    outside: Outside,
    #[expect(
        dead_code,
        reason = "there to be found by the check that looks for secrets"
    )]
    password: Secret,
}

impl FullProvider {
    pub(super) fn new(
        outside: Outside,
        password: Secret,
        brackets: Arc<dyn Bracket>,
        drainer: Option<Arc<dyn ClusterDrainer>>,
    ) -> Self {
        Self {
            info: ProviderInfo::new("reference", "1.0.0"),
            ports: Arc::new(FullPorts { outside, password }),
            brackets,
            drainer,
        }
    }
}

impl Provider for FullProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        let mut ports = Ports::none()
            .with_inventory(self.ports.clone())
            .with_source(self.ports.clone())
            .with_deployer(self.ports.clone())
            .with_probe(self.ports.clone())
            .with_lock(self.ports.clone())
            .with_bracket(self.brackets.clone());
        ports.drainer = self.drainer.clone();
        ports
    }
}

/// Every machine as a sighting, for both ways.
pub(super) fn sightings(outside: &Outside) -> Vec<Sighting> {
    let at = outside.clock.now();
    let state = outside.now();
    let names = state.machines.keys();
    names
        .map(|name| {
            Sighting::new(name.clone(), ComponentKind::Guest, at)
                .with_label("tier", "web")
                .with_identity(IdentityKind::Fqdn, &format!("{name}.example.org"))
                .with_identity(IdentityKind::Serial, &format!("sn-{name}"))
        })
        .collect()
}

#[async_trait]
impl InventorySource for FullPorts {
    async fn list(&self, _ctx: &OpContext) -> Result<Listing> {
        Ok(Listing::of(sightings(&self.outside)))
    }
}

#[async_trait]
impl PatchSource for FullPorts {
    async fn available(
        &self,
        _ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Available>> {
        let answer = |c: &ComponentId| (c.clone(), self.outside.available(c));
        Ok(components.iter().map(answer).collect())
    }
}

#[async_trait]
impl HealthProbe for FullPorts {
    fn kinds(&self) -> &'static [&'static str] {
        &["command"]
    }

    async fn probe(&self, _ctx: &OpContext, request: &ProbeRequest) -> Result<ProbeAnswer> {
        let ProbeKind::Command { argv } = &request.kind else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("no check of kind {}", request.kind.slug()),
            ));
        };
        let state = self.outside.now();
        let machine = state.machine(&request.component)?;
        match argv.as_slice() {
            [program, service] if program == "is-active" => {
                let active = machine.active.contains(service);
                let (verdict, word) = if active {
                    (ProbeVerdict::Healthy, "active")
                } else {
                    (ProbeVerdict::Unhealthy, "inactive")
                };
                Ok(ProbeAnswer {
                    verdict,
                    saw: format!("{service} {word}"),
                })
            }
            _ => Err(Error::new(
                ErrorKind::Io,
                format!("{} cannot be run on {}", request.kind, request.component),
            )),
        }
    }
}

#[async_trait]
impl Deployer for FullPorts {
    fn capabilities(&self) -> DeployerCapabilities {
        DeployerCapabilities::all()
    }

    async fn scan(
        &self,
        _ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        let answer = |c: &ComponentId| (c.clone(), self.outside.scan(c));
        Ok(components.iter().map(answer).collect())
    }
}

#[derive(Serialize, Deserialize)]
struct JobHandle {
    job: String,
}

#[derive(Serialize)]
struct Before {
    versions: BTreeMap<ComponentId, BTreeMap<PatchId, Version>>,
}

/// Why a change of one machine cannot begin: another version is there.
fn drift(machine: &Machine, change: &Change) -> Vec<Error> {
    let word =
        |v: Option<&Version>| v.map_or_else(|| "not installed".to_owned(), ToString::to_string);
    change
        .patches
        .iter()
        .map(|p| (p, machine.installed.get(&p.patch)))
        .filter(|(p, there)| *there != p.to.as_ref() && *there != p.from.as_ref())
        .map(|(p, there)| {
            let component = &change.component;
            Error::new(
                ErrorKind::PlanDrift,
                format!("{component}: {} is not as planned", p.patch),
            )
            .expected(word(p.from.as_ref()))
            .found(word(there))
            .hint("plan again and have the new plan approved")
        })
        .collect()
}

fn obstacles(machine: &Machine, component: &ComponentId, request: &DeployRequest) -> Vec<Error> {
    let mut errors = Vec::new();
    if machine.locked {
        errors.push(
            Error::new(
                ErrorKind::Busy,
                format!("{component}: the package tool is locked by another-tool (pid 7)"),
            )
            .hint("wait until it is done")
            .retryable(None),
        );
    }
    if let DeployRequest::Apply { changes, staged } | DeployRequest::RollBack { changes, staged } =
        request
    {
        let own = changes.iter().filter(|c| &c.component == component);
        errors.extend(own.flat_map(|c| drift(machine, c)));
        if !machine.kept.contains(staged) {
            errors.push(
                Error::new(
                    ErrorKind::NotFound,
                    format!("{component}: nothing was staged under {staged}"),
                )
                .hint("stage it first"),
            );
        }
    }
    errors
}

fn holds(machine: &Machine, component: &ComponentId, request: &DeployRequest) -> bool {
    match request {
        DeployRequest::Apply { changes, .. } | DeployRequest::RollBack { changes, .. } => changes
            .iter()
            .filter(|c| &c.component == component)
            .flat_map(|c| &c.patches)
            .all(|p| machine.installed.get(&p.patch) == p.to.as_ref()),
        DeployRequest::Discard { staged, .. } => !machine.kept.contains(staged),
        _ => false,
    }
}

fn answer(state: &State, job: &str) -> Result<Option<Located>> {
    state.jobs.get(job).map(|j| located(j, job)).transpose()
}

fn located(job: &Job, token: &str) -> Result<Located> {
    Ok(match &job.result {
        Some(settled) => Located::Settled(settled.clone()),
        None => Located::Running(Handle::new(
            1,
            &JobHandle {
                job: token.to_owned(),
            },
        )?),
    })
}

#[async_trait]
impl Operations<DeployRequest> for FullPorts {
    fn guarantee(&self, _op: &Op<DeployRequest>) -> Guarantee {
        Guarantee::Keyed { memory: MEMORY }
    }

    fn undo(&self, op: &Op<DeployRequest>) -> Undo<DeployRequest> {
        match &op.request {
            DeployRequest::Apply { changes, staged } => Undo::By(DeployRequest::RollBack {
                changes: changes.iter().map(Change::reversed).collect(),
                staged: staged.clone(),
            }),
            DeployRequest::Stage { changes } => Undo::By(DeployRequest::Discard {
                components: changes.iter().map(|c| c.component.clone()).collect(),
                staged: op.key.clone(),
            }),
            DeployRequest::RollBack { .. } => Undo::Unavailable {
                why: "a roll-back is itself the way back".to_owned(),
            },
            _ => Undo::Nothing,
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &DeployRequest) -> Result<Prepared> {
        let state = self.outside.now();
        let mut versions = BTreeMap::new();
        let mut subjects = BTreeMap::new();
        for component in request.subjects() {
            let machine = match state.machine(&component) {
                Ok(machine) => machine,
                Err(error) => {
                    let blocked = Readiness::Blocked(vec![Blocker::from_error(&error)]);
                    subjects.insert(component, blocked);
                    continue;
                }
            };
            versions.insert(component.clone(), machine.installed.clone());
            let readiness = if holds(machine, &component, request) {
                Readiness::AlreadyHolds(Evidence::observed(ctx.now(), "it is so already"))
            } else {
                match obstacles(machine, &component, request) {
                    none if none.is_empty() => Readiness::Ready,
                    errors => Readiness::Blocked(errors.iter().map(Blocker::from_error).collect()),
                }
            };
            subjects.insert(component, readiness);
        }
        let Some((first, readiness)) = subjects.pop_first() else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a request without subjects",
            ));
        };
        let mut prepared = Prepared::ready(first.clone(), Baseline::new(1, &Before { versions })?);
        prepared.subjects.insert(first, readiness);
        prepared.subjects.extend(subjects);
        Ok(prepared)
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Begun> {
        let token = op.key.token();
        {
            let state = self.outside.now();
            for component in op.request.subjects() {
                let now = self.outside.clock.now();
                if let Err(error) = state.locks.admits(&component, ctx.fence(), now) {
                    return Ok(Begun::Refused(Failure::from(&error)));
                }
            }
            if let Some(job) = state.jobs.get(&token) {
                if job.request != op.request {
                    let error = Error::new(
                        ErrorKind::ProviderFault,
                        format!("{} stands for other work", op.key),
                    );
                    return Ok(Begun::Refused(Failure::from(&error)));
                }
                return Ok(match located(job, &token)? {
                    Located::Settled(settled) => Begun::Settled(settled),
                    _ => Begun::Started(Handle::new(1, &JobHandle { job: token })?),
                });
            }
            if let Err(error) = ctx.check() {
                return Ok(Begun::Refused(Failure::from(&error)));
            }
            for component in op.request.subjects() {
                let machine = state.machine(&component)?;
                if let Some(error) = obstacles(machine, &component, &op.request).first() {
                    return Ok(Begun::Refused(Failure::from(error)));
                }
            }
        }
        self.outside.start(op);
        Ok(Begun::Started(Handle::new(1, &JobHandle { job: token })?))
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Located> {
        for component in op.request.subjects() {
            let now = self.outside.clock.now();
            self.outside.now().locks.seen(&component, ctx.fence(), now);
        }
        let found = answer(&self.outside.now(), &op.key.token())?;
        Ok(found.unwrap_or(Located::NotFound))
    }

    async fn observe(
        &self,
        _ctx: &OpContext,
        _op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        let JobHandle { job } = handle.read(1)?;
        Ok(match answer(&self.outside.now(), &job)? {
            Some(Located::Settled(settled)) => Observed::Settled(settled),
            Some(_) => Observed::Running {
                progress: Progress::message("at work"),
                poll_after: JOB / 3,
            },
            None => Observed::Lost {
                why: format!("there is no job {job}"),
            },
        })
    }
}

#[async_trait]
impl TargetLock for FullPorts {
    async fn take(&self, ctx: &OpContext, component: &ComponentId, claim: &Claim) -> Result<Taken> {
        let mut state = self.outside.now();
        state.machine(component)?;
        Ok(state.locks.take(component, claim, ctx.now()))
    }

    async fn give_back(&self, _ctx: &OpContext, component: &ComponentId, fence: u64) -> Result<()> {
        let mut state = self.outside.now();
        state.machine(component)?;
        state.locks.give_back(component, fence);
        Ok(())
    }

    async fn look(&self, ctx: &OpContext, component: &ComponentId) -> Result<Option<Held>> {
        let state = self.outside.now();
        state.machine(component)?;
        Ok(state.locks.look(component, ctx.now()))
    }
}
