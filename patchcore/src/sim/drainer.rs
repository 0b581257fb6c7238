//! The drainer of the simulated estate: the operation protocol over the clusters' jobs.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    cluster::{HELD, Mode, SimCluster},
    provider::SimPorts,
    scripts::Delivery,
    world::World,
};
use crate::{
    error::{Error, ErrorKind, Failure, Result},
    id::ComponentId,
    provider::{
        Baseline, Begun, Blocker, ClusterDrainer, ClusterView, DrainRequest, DrainerCapabilities,
        Evidence, Guarantee, Handle, HostView, Located, Observed, Op, OpContext, Operations,
        PortRequest, Prepared, Readiness, Settled, SubjectResult, Undo, VmPower, VmView,
    },
};

/// The version of the shape of baselines and handles.
const V: u16 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Before {
    setting: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct DrainHandle {
    drain: u64,
}

fn drift(what: String) -> Readiness {
    blocked(ErrorKind::PlanDrift, what, false, None)
}

fn blocked(kind: ErrorKind, what: String, passes: bool, holder: Option<String>) -> Readiness {
    let error = Error::new(kind, what)
        .consequence("nothing was begun")
        .hint("look at the cluster as it is now, and plan again");
    Readiness::Blocked(vec![Blocker {
        failure: Failure::from(&error),
        passes,
        holder,
    }])
}

impl World {
    /// The cluster that a request is about.
    fn cluster_of(&self, request: &DrainRequest) -> Result<(ComponentId, &SimCluster)> {
        let subject = request.subject();
        let name = self.clusters.of(subject).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("{subject} is in no simulated cluster"),
            )
            .hint("describe it with Sim::cluster")
        })?;
        Ok((name.clone(), self.cluster(name)?))
    }

    /// Why a host does not stay up; none where it does.
    fn leaves(&self, cluster: &SimCluster, host: &ComponentId) -> Option<String> {
        let found = cluster.hosts.get(host);
        if found.is_none() {
            return Some(format!("{host} is no host of the cluster"));
        }
        if !self.responds(host) {
            return Some(format!("{host} does not respond"));
        }
        found
            .filter(|h| h.mode != Mode::Out)
            .map(|_| format!("{host} is in maintenance mode or on its way there"))
    }

    fn drain_readiness(&self, request: &DrainRequest) -> Result<Readiness> {
        let (_, cluster) = self.cluster_of(request)?;
        let holds = |saw: String| Readiness::AlreadyHolds(Evidence::observed(self.now, saw));
        Ok(match request {
            DrainRequest::HoldSetting { setting, .. } => match cluster.settings.get(setting) {
                Some(now) if now == HELD => holds(format!("{} is {HELD}", setting.slug())),
                _ => Readiness::Ready,
            },
            DrainRequest::RestoreSetting { setting, to, .. } => {
                let now = cluster.settings.get(setting).map_or("", String::as_str);
                match now {
                    now if now == to => holds(format!("{} is {to}", setting.slug())),
                    HELD => Readiness::Ready,
                    other => Readiness::ChangedMeanwhile {
                        expected: format!("{} {HELD}", setting.slug()),
                        found: other.to_owned(),
                    },
                }
            }
            DrainRequest::Migrate { vm, from, to, .. } => {
                let Some(found) = cluster.vms.get(vm) else {
                    return Ok(drift(format!("{vm} is no machine of the cluster")));
                };
                if found.job.is_some() {
                    let what = format!("{vm} is being worked on");
                    return Ok(blocked(ErrorKind::Busy, what, true, None));
                }
                if found.host == *to && found.power == VmPower::On {
                    return Ok(holds(format!("{vm} runs on {to}")));
                }
                if found.host != *from || found.power != VmPower::On {
                    return Ok(drift(format!(
                        "expected {vm} to run on {from} but found it {} on {}",
                        if found.power == VmPower::On {
                            "running"
                        } else {
                            "not running"
                        },
                        found.host
                    )));
                }
                match self.leaves(cluster, to) {
                    Some(why) => drift(format!("{vm} cannot move there: {why}")),
                    None => Readiness::Ready,
                }
            }
            DrainRequest::ShutDown { vm, host, .. } => match cluster.vms.get(vm) {
                None => drift(format!("{vm} is no machine of the cluster")),
                Some(found) if found.job.is_some() => {
                    let what = format!("{vm} is being worked on");
                    blocked(ErrorKind::Busy, what, true, None)
                }
                Some(found) if found.power != VmPower::On => holds(format!("{vm} does not run")),
                Some(found) if found.host != *host => drift(format!(
                    "expected {vm} on {host} but found it on {}",
                    found.host
                )),
                Some(_) => Readiness::Ready,
            },
            DrainRequest::Start { vm, host, taken } => match cluster.vms.get(vm) {
                None => drift(format!("{vm} is no machine of the cluster")),
                Some(found) if found.power == VmPower::On => holds(format!("{vm} runs")),
                Some(found) if found.job.is_some() => {
                    let what = format!("{vm} is being worked on");
                    blocked(ErrorKind::Busy, what, true, None)
                }
                Some(found) if found.stopped_by.as_ref().is_some_and(|by| by != taken) => {
                    Readiness::ChangedMeanwhile {
                        expected: "shut down by us".to_owned(),
                        found: "shut down by somebody else since".to_owned(),
                    }
                }
                Some(_) => match self.leaves(cluster, host) {
                    Some(why) => {
                        let what = format!("{vm} cannot start: {why}");
                        blocked(ErrorKind::Unhealthy, what, true, None)
                    }
                    None => Readiness::Ready,
                },
            },
            DrainRequest::EnterMaintenance { host } => self.may_enter(cluster, host),
            DrainRequest::ExitMaintenance { host, taken } => {
                match cluster.hosts.get(host).map(|h| &h.mode) {
                    None | Some(Mode::Out) => holds(format!("{host} is not in maintenance mode")),
                    Some(Mode::In(by)) if by.as_ref() != Some(taken) => {
                        Readiness::ChangedMeanwhile {
                            expected: "maintenance mode by us".to_owned(),
                            found: "maintenance mode by somebody else".to_owned(),
                        }
                    }
                    Some(_) if !self.responds(host) => {
                        let what = format!("{host} does not respond");
                        blocked(ErrorKind::Unreachable, what, true, None)
                    }
                    Some(_) => Readiness::Ready,
                }
            }
        })
    }

    fn may_enter(&self, cluster: &SimCluster, host: &ComponentId) -> Readiness {
        match cluster.hosts.get(host).map(|h| &h.mode) {
            None => return drift(format!("{host} is no host of the cluster")),
            Some(Mode::In(_)) => {
                let saw = format!("{host} is in maintenance mode");
                return Readiness::AlreadyHolds(Evidence::observed(self.now, saw));
            }
            Some(Mode::Entering(_)) => {
                let what = format!("{host} is on its way into maintenance mode");
                return blocked(ErrorKind::Busy, what, true, None);
            }
            Some(Mode::Out) => {}
        }
        if !self.responds(host) {
            return drift(format!("{host} does not respond"));
        }
        let on_it = cluster.vms.iter().filter(|(_, vm)| {
            vm.host == *host && vm.power == VmPower::On || vm.moving_to.as_ref() == Some(host)
        });
        let blockers: Vec<Blocker> = on_it
            .filter_map(|(vm, _)| match drift(format!("{vm} runs on {host}")) {
                Readiness::Blocked(one) => one.into_iter().next(),
                _ => None,
            })
            .collect();
        match blockers.is_empty() {
            true => Readiness::Ready,
            false => Readiness::Blocked(blockers),
        }
    }

    fn drain_begins(&mut self, op: &Op<DrainRequest>) -> Result<Begun> {
        self.clusters_count(op, false);
        let guarantee = self.guarantees.of(op.request.verb());
        if let (Guarantee::Keyed { .. }, Some((id, job))) =
            (guarantee, self.drain_job(&op.key, guarantee))
        {
            if job.request != op.request {
                let error = Error::new(
                    ErrorKind::InvalidInput,
                    format!("the key {} belongs to another request", op.key),
                )
                .consequence("nothing was begun")
                .hint("give every operation a key of its own");
                return Ok(Begun::Refused(Failure::from(&error)));
            }
            return Ok(match &job.result {
                Some(result) => Begun::Settled(settled(op, result.clone())),
                None => Begun::Started(handle(id)?),
            });
        }
        match self.drain_readiness(&op.request)? {
            Readiness::Ready => {}
            Readiness::AlreadyHolds(evidence) => {
                return Ok(Begun::Settled(settled(op, SubjectResult::Done(evidence))));
            }
            Readiness::Blocked(blockers) => {
                let first = blockers.into_iter().next().map(|b| b.failure);
                let none = || Failure::from(&Error::new(ErrorKind::Unhealthy, "it is blocked"));
                return Ok(Begun::Refused(first.unwrap_or_else(none)));
            }
            Readiness::ChangedMeanwhile { expected, found } => {
                let error = Error::new(
                    ErrorKind::PlanDrift,
                    format!("{}: somebody else changed it", op.request.subject()),
                )
                .expected(expected)
                .found(found)
                .consequence("it was left as it is");
                return Ok(Begun::Refused(Failure::from(&error)));
            }
        }
        self.clusters_count(op, true);
        let (cluster, _) = self.cluster_of(&op.request)?;
        let id = self.drains(op, &cluster);
        let result = self.clusters.jobs.get(&id).and_then(|j| j.result.clone());
        Ok(match result {
            Some(result) => Begun::Settled(settled(op, result)),
            None => Begun::Started(handle(id)?),
        })
    }

    fn clusters_count(&mut self, op: &Op<DrainRequest>, starts: bool) {
        let calls = self.calls.entry(op.key.clone()).or_default();
        match starts {
            true => calls.starts += 1,
            false => calls.begins += 1,
        }
    }

    fn drain_found(&self, op: &Op<DrainRequest>) -> Result<Located> {
        let guarantee = self.guarantees.of(op.request.verb());
        match guarantee {
            Guarantee::Blind => {
                return Ok(Located::Unknown {
                    why: "the tool keeps no trace of what it was asked".to_owned(),
                });
            }
            Guarantee::StateOnly { .. } => {
                return Ok(match self.drain_readiness(&op.request)? {
                    Readiness::AlreadyHolds(saw) => {
                        Located::Settled(settled(op, SubjectResult::Done(saw)))
                    }
                    _ => Located::NotFound,
                });
            }
            _ => {}
        }
        let Some((id, job)) = self.drain_job(&op.key, guarantee) else {
            return Ok(Located::NotFound);
        };
        Ok(match &job.result {
            Some(result) => Located::Settled(settled(op, result.clone())),
            None => Located::Running(handle(id)?),
        })
    }
}

fn settled(op: &Op<DrainRequest>, result: SubjectResult) -> Settled {
    let mut settled = Settled::default();
    let subject = op.request.subject().clone();
    settled.subjects.insert(subject, result);
    settled
}

fn handle(drain: u64) -> Result<Handle> {
    Handle::new(V, &DrainHandle { drain })
}

#[async_trait]
impl ClusterDrainer for SimPorts {
    fn capabilities(&self) -> DrainerCapabilities {
        DrainerCapabilities::all()
    }

    async fn view(&self, ctx: &OpContext, cluster: &ComponentId) -> Result<ClusterView> {
        self.world(ctx)?.cluster_view(cluster.as_str())
    }
}

impl World {
    /// A cluster as it is now.
    ///
    /// # Errors
    /// `NotFound` if there is no such cluster.
    pub fn cluster_view(&self, cluster: &str) -> Result<ClusterView> {
        let found = self.cluster(&cluster.into())?;
        let hosts = found.hosts.iter().map(|(id, host)| {
            let view = HostView {
                responds: self.responds(id),
                maintenance: host.mode != Mode::Out,
            };
            (id.clone(), view)
        });
        let vms = found.vms.iter().map(|(id, vm)| {
            let view = VmView {
                host: vm.host.clone(),
                power: vm.power,
                moving_to: vm.moving_to.clone(),
                demand: vm.demand.clone(),
                mem_mib: vm.mem_mib,
            };
            (id.clone(), view)
        });
        Ok(ClusterView {
            at: self.now,
            resources: found.resources.clone(),
            hosts: hosts.collect(),
            vms: vms.collect(),
        })
    }
}

#[async_trait]
impl Operations<DrainRequest> for SimPorts {
    fn guarantee(&self, op: &Op<DrainRequest>) -> Guarantee {
        self.world_now().guarantees.of(op.request.verb())
    }

    fn undo(&self, op: &Op<DrainRequest>) -> Undo<DrainRequest> {
        let taken = op.key.clone();
        match op.request.clone() {
            DrainRequest::HoldSetting {
                cluster, setting, ..
            } => match op.baseline.read::<Before>(V).ok().and_then(|b| b.setting) {
                Some(to) => Undo::By(DrainRequest::RestoreSetting {
                    cluster,
                    setting,
                    to,
                    taken,
                }),
                None => Undo::Unavailable {
                    why: "nobody read what it was before".to_owned(),
                },
            },
            DrainRequest::ShutDown { vm, host, .. } => {
                Undo::By(DrainRequest::Start { vm, host, taken })
            }
            DrainRequest::EnterMaintenance { host } => {
                Undo::By(DrainRequest::ExitMaintenance { host, taken })
            }
            _ => Undo::Nothing,
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &DrainRequest) -> Result<Prepared> {
        let world = self.world(ctx)?;
        let readiness = world
            .drain_readiness(request)
            .map_err(|e| e.operation("prepare"))?;
        let baseline = match request {
            DrainRequest::HoldSetting { setting, .. } => {
                let (_, cluster) = world.cluster_of(request)?;
                let setting = cluster.settings.get(setting).cloned();
                Baseline::new(V, &Before { setting })?
            }
            _ => Baseline::empty(),
        };
        let subject = request.subject().clone();
        Ok(Prepared {
            baseline,
            subjects: [(subject, readiness)].into(),
        })
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DrainRequest>) -> Result<Begun> {
        let mut world = self.world(ctx)?;
        let no_reply = || {
            Error::new(ErrorKind::Unreachable, "the cluster did not reply")
                .operation("begin")
                .consequence("nobody knows whether it began")
                .retryable(None)
        };
        match world
            .scripts
            .delivery(op.request.verb(), &op.request.subjects())
        {
            Delivery::Whole => world.drain_begins(op),
            Delivery::ReplyLost => {
                world.drain_begins(op)?;
                Err(no_reply())
            }
            Delivery::RequestLost => Err(no_reply()),
        }
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DrainRequest>) -> Result<Located> {
        self.world(ctx)?.drain_found(op)
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<DrainRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        let world = self.world(ctx)?;
        let DrainHandle { drain } = handle.read(V)?;
        let job = world.clusters.jobs.get(&drain);
        let Some(job) = job.filter(|job| job.key == op.key) else {
            return Ok(Observed::Lost {
                why: "the cluster does not know this task".to_owned(),
            });
        };
        Ok(match &job.result {
            Some(result) => Observed::Settled(settled(op, result.clone())),
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
