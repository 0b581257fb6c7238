//! What works on a cluster on behalf of one operation, and what it comes to.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    chance::{draw, duration},
    cluster::{ClusterChange, HELD, Mode},
    world::{Due, World},
};
use crate::{
    clock::later,
    error::{Error, ErrorKind, Failure},
    estate::Estimate,
    id::{ComponentId, OpKey},
    provider::{
        DrainRequest, Evidence, Guarantee, Op, PortRequest, Progress, SubjectResult, VmPower,
    },
};

/// What one move copies in a second, in MiB.
const MIB_PER_S: u64 = 640;

/// One operation on a cluster.
#[derive(Debug, Clone)]
pub(super) struct DrainJob {
    pub(super) key: OpKey,
    pub(super) request: DrainRequest,
    cluster: ComponentId,
    began: Timestamp,
    ends: Timestamp,
    pub(super) result: Option<SubjectResult>,
}

impl DrainJob {
    /// How far it is, and when to ask again.
    pub(super) fn progress(&self, now: Timestamp) -> (Progress, Duration) {
        let left = Duration::try_from(self.ends.duration_since(now)).unwrap_or_default();
        let whole = Duration::try_from(self.ends.duration_since(self.began)).unwrap_or_default();
        let percent = (100 * whole.saturating_sub(left).as_millis())
            .checked_div(whole.as_millis())
            .unwrap_or_default();
        let progress = Progress {
            percent: u8::try_from(percent).ok(),
            message: None,
        };
        (progress, left.min(Duration::from_secs(30)))
    }
}

impl World {
    /// Begins what is ready. Returns the job.
    pub(super) fn drains(&mut self, op: &Op<DrainRequest>, cluster: &ComponentId) -> u64 {
        let id = self.clusters.jobs.keys().next_back().map_or(1, |n| n + 1);
        let (now, subject) = (self.now, op.request.subject());
        let takes = self.drain_takes(op, cluster);
        if let Some(cluster) = self.clusters.all.get_mut(cluster) {
            if let Some(vm) = cluster.vms.get_mut(subject) {
                vm.job = Some(id);
            }
            match &op.request {
                DrainRequest::Migrate { vm, to, .. } => {
                    if let Some(vm) = cluster.vms.get_mut(vm) {
                        vm.moving_to = Some(to.clone());
                    }
                    let (vm, to) = (vm.clone(), to.clone());
                    cluster.note(now, ClusterChange::Moving { vm, to });
                }
                DrainRequest::EnterMaintenance { host } => {
                    if let Some(host) = cluster.hosts.get_mut(host) {
                        host.mode = Mode::Entering(id);
                    }
                    let host = host.clone();
                    cluster.note(now, ClusterChange::EntersMaintenance { host });
                }
                _ => {}
            }
        }
        let ends = later(now, takes);
        let job = DrainJob {
            key: op.key.clone(),
            request: op.request.clone(),
            cluster: cluster.clone(),
            began: now,
            ends,
            result: None,
        };
        self.clusters.jobs.insert(id, job);
        self.clusters.by_key.insert(op.key.clone(), id);
        if takes.is_zero() {
            self.drain_ends(id);
        } else {
            self.when(ends, Due::DrainEnds { job: id });
        }
        id
    }

    fn drain_takes(&self, op: &Op<DrainRequest>, cluster: &ComponentId) -> Duration {
        let vms = self.clusters.all.get(cluster).map(|c| &c.vms);
        let seconds = match &op.request {
            DrainRequest::HoldSetting { .. } | DrainRequest::RestoreSetting { .. } => {
                return Duration::ZERO;
            }
            DrainRequest::Migrate { vm, .. } => {
                let mem = vms.and_then(|vms| vms.get(vm)).map_or(0, |vm| vm.mem_mib);
                8 + mem.saturating_mul(11) / 10 / MIB_PER_S
            }
            DrainRequest::ShutDown { .. } | DrainRequest::Start { .. } => 60,
            DrainRequest::EnterMaintenance { .. } | DrainRequest::ExitMaintenance { .. } => 10,
        };
        let usual = Estimate::new(
            Duration::from_secs(seconds),
            Duration::from_secs(seconds + seconds / 2),
        );
        let subject = op.request.subject();
        let about = [op.request.verb(), subject.as_str(), op.key.as_str()];
        let drawn = duration(usual, draw(self.seed, &about));
        self.scripts.slowed(subject, op.request.verb(), drawn)
    }

    /// A job's time has come.
    pub(super) fn drain_ends(&mut self, id: u64) {
        let Some(job) = self.clusters.jobs.get(&id).cloned() else {
            return;
        };
        let result = match self.drained(id, &job) {
            Ok(saw) => SubjectResult::Done(Evidence::observed(self.now, saw)),
            Err(error) => SubjectResult::Failed(Failure::from(&error)),
        };
        let subject = job.request.subject();
        if let Some(vm) = self
            .clusters
            .all
            .get_mut(&job.cluster)
            .and_then(|c| c.vms.get_mut(subject))
            .filter(|vm| vm.job == Some(id))
        {
            vm.job = None;
            vm.moving_to = None;
        }
        if let Some(job) = self.clusters.jobs.get_mut(&id) {
            job.result = Some(result);
        }
    }

    fn drained(&mut self, id: u64, job: &DrainJob) -> Result<String, Error> {
        let now = self.now;
        if let DrainRequest::Migrate { vm, to, .. } = &job.request {
            let fails = self.scripts.migration_fails(vm) || !self.responds(to);
            let on = |vm: &super::cluster::SimVm| vm.power == VmPower::On;
            let lost = !self
                .clusters
                .all
                .get(&job.cluster)
                .and_then(|c| c.vms.get(vm))
                .is_some_and(on);
            if fails || lost {
                if let Some(cluster) = self.clusters.all.get_mut(&job.cluster) {
                    let (vm, to) = (vm.clone(), to.clone());
                    cluster.note(now, ClusterChange::MoveFailed { vm, to });
                }
                return Err(Error::new(
                    ErrorKind::Unhealthy,
                    format!("{vm} could not be moved to {to}: the copy was broken off"),
                )
                .consequence("it is where it was"));
            }
        }
        let host_is_up = match &job.request {
            DrainRequest::EnterMaintenance { host } => self.responds(host),
            _ => true,
        };
        let Some(cluster) = self.clusters.all.get_mut(&job.cluster) else {
            return Ok("nothing is there".to_owned());
        };
        Ok(match job.request.clone() {
            DrainRequest::Migrate { vm, to, .. } => {
                if let Some(found) = cluster.vms.get_mut(&vm) {
                    found.host = to.clone();
                }
                let saw = format!("{vm} runs on {to}");
                let by = Some(job.key.clone());
                cluster.note(now, ClusterChange::Moved { vm, to, by });
                saw
            }
            DrainRequest::ShutDown { vm, suspend, .. } => {
                if let Some(found) = cluster.vms.get_mut(&vm) {
                    found.power = if suspend {
                        VmPower::Suspended
                    } else {
                        VmPower::Off
                    };
                    found.stopped_by = Some(job.key.clone());
                }
                let saw = format!("{vm} does not run");
                cluster.note(now, ClusterChange::Stopped { vm });
                saw
            }
            DrainRequest::Start { vm, .. } => {
                if let Some(found) = cluster.vms.get_mut(&vm) {
                    found.power = VmPower::On;
                    found.stopped_by = None;
                }
                let saw = format!("{vm} runs");
                cluster.note(now, ClusterChange::Started { vm });
                saw
            }
            DrainRequest::EnterMaintenance { host } => {
                let ours =
                    |h: &&mut super::cluster::SimHost| h.mode == Mode::Entering(id) && host_is_up;
                let Some(found) = cluster.hosts.get_mut(&host).filter(ours) else {
                    if let Some(found) = cluster.hosts.get_mut(&host) {
                        found.mode = Mode::Out;
                    }
                    cluster.note(now, ClusterChange::LeftMaintenance { host: host.clone() });
                    let what = format!("{host} did not go into maintenance mode");
                    return Err(Error::new(ErrorKind::Unhealthy, what));
                };
                found.mode = Mode::In(Some(job.key.clone()));
                let saw = format!("{host} is in maintenance mode, and nothing runs on it");
                cluster.note(now, ClusterChange::InMaintenance { host });
                saw
            }
            DrainRequest::ExitMaintenance { host, .. } => {
                if let Some(found) = cluster.hosts.get_mut(&host) {
                    found.mode = Mode::Out;
                }
                let saw = format!("{host} takes machines");
                cluster.note(now, ClusterChange::LeftMaintenance { host });
                saw
            }
            DrainRequest::HoldSetting { setting, .. } => {
                self.set(&job.cluster, setting, HELD);
                format!("{} is {HELD}", setting.slug())
            }
            DrainRequest::RestoreSetting { setting, to, .. } => {
                self.set(&job.cluster, setting, &to);
                format!("{} is {to}", setting.slug())
            }
        })
    }

    /// The job of a key, as long as its target tells of it.
    pub(super) fn drain_job(&self, key: &OpKey, guarantee: Guarantee) -> Option<(u64, &DrainJob)> {
        let id = *self.clusters.by_key.get(key)?;
        let job = self.clusters.jobs.get(&id)?;
        let since =
            |time: Timestamp| Duration::try_from(self.now.duration_since(time)).unwrap_or_default();
        let (delay, memory) = match guarantee {
            Guarantee::Keyed { memory } => (Duration::ZERO, memory),
            Guarantee::Locatable {
                consistency_delay,
                memory,
            } => (consistency_delay, memory),
            Guarantee::StateOnly { .. } | Guarantee::Blind => return None,
        };
        let forgotten = job.result.is_some() && since(job.ends) > memory;
        (since(job.began) >= delay && !forgotten).then_some((id, job))
    }
}
