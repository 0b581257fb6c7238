//! The machines behind the reference provider, with a package tool that runs jobs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use patchcore::{
    Error, ErrorKind, Failure, Result,
    clock::{Clock, SharedClock},
    estate::{Available, Patch, PatchClass, Scan},
    id::{ComponentId, OpKey, PatchId, Version},
    provider::{Change, DeployRequest, Evidence, Op, PortRequest, Settled, SubjectResult},
    sim::{Locks, VirtualClock},
};
use serde_json::json;

use crate::fixture::Seen;

/// How long every job takes: longer than one observation, so that there is something to wait for.
pub(super) const JOB: Duration = Duration::from_secs(90);

/// One machine.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) installed: BTreeMap<PatchId, Version>,
    pub(super) pending: BTreeMap<PatchId, Version>,
    /// Versions on offer, oldest first.
    pub(super) offer: BTreeMap<PatchId, Vec<Version>>,
    pub(super) waits_for_restart: BTreeSet<PatchId>,
    pub(super) does_not_go_in: BTreeSet<PatchId>,
    pub(super) active: BTreeSet<String>,
    pub(super) kept: BTreeSet<OpKey>,
    pub(super) boots: u64,
    pub(super) locked: bool,
    pub(super) tool_lies: bool,
    writes: u64,
    catalogue: u64,
}

impl Machine {
    /// Puts patches in until one fails, and reads back what is there.
    pub(super) fn put_in(&mut self, change: &Change) -> std::result::Result<(), Failure> {
        let mut culprit = None;
        for patch in change.patches.iter().filter(|_| !self.tool_lies) {
            if self.does_not_go_in.contains(&patch.patch) {
                culprit = Some(patch.patch.clone());
                break;
            }
            let versions = if self.waits_for_restart.contains(&patch.patch) {
                &mut self.pending
            } else {
                &mut self.installed
            };
            match &patch.to {
                Some(to) => versions.insert(patch.patch.clone(), to.clone()),
                None => versions.remove(&patch.patch),
            };
            self.writes += 1;
        }
        let component = &change.component;
        if let Some(culprit) = culprit {
            let error = Error::new(
                ErrorKind::InstallFailed,
                format!("{component}: the script of {culprit} failed"),
            )
            .hint("repair the package, then plan again");
            return Err(Failure::from(&error.blame(culprit)));
        }
        let missing = change.patches.iter().find(|p| {
            let there = self.installed.get(&p.patch) == p.to.as_ref();
            !there && self.pending.get(&p.patch) != p.to.as_ref()
        });
        match missing {
            None => Ok(()),
            Some(patch) => {
                let error = Error::new(
                    ErrorKind::VerifyFailed,
                    format!(
                        "{component}: the tool said that it was done, and {patch} is not there"
                    ),
                );
                Err(Failure::from(&error))
            }
        }
    }

    fn restart(&mut self) {
        self.boots += 1;
        self.writes += 1;
        let pending = std::mem::take(&mut self.pending);
        self.installed.extend(pending);
    }
}

/// Work that goes on without its caller.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: DeployRequest,
    key: OpKey,
    ends: Timestamp,
    pub(super) result: Option<Settled>,
}

/// Everything there is.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) machines: BTreeMap<ComponentId, Machine>,
    pub(super) jobs: BTreeMap<String, Job>,
    pub(super) locks: Locks,
}

impl State {
    /// The machine, or that there is none.
    pub(super) fn machine(&self, component: &ComponentId) -> Result<&Machine> {
        self.machines
            .get(component)
            .ok_or_else(|| no_machine(component))
    }

    pub(super) fn machine_mut(&mut self, component: &ComponentId) -> Result<&mut Machine> {
        self.machines
            .get_mut(component)
            .ok_or_else(|| no_machine(component))
    }

    fn pass(&mut self, now: Timestamp) {
        let mut over: Vec<&mut Job> = self
            .jobs
            .values_mut()
            .filter(|j| j.result.is_none() && j.ends <= now)
            .collect();
        over.sort_by_key(|j| j.ends);
        for job in over {
            job.result = Some(end(job, &mut self.machines));
        }
    }
}

fn no_machine(component: &ComponentId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no machine {component}"),
    )
    .hint("list the components again")
}

/// The effect of a job at its end, and what was read back then.
fn end(job: &Job, machines: &mut BTreeMap<ComponentId, Machine>) -> Settled {
    let mut settled = Settled::default();
    for component in job.request.subjects() {
        let Some(machine) = machines.get_mut(&component) else {
            continue;
        };
        let result = match &job.request {
            DeployRequest::Apply { changes, .. } | DeployRequest::RollBack { changes, .. } => {
                changes
                    .iter()
                    .filter(|c| c.component == component)
                    .try_for_each(|c| machine.put_in(c))
                    .map(|()| "read back: everything at the planned version")
            }
            DeployRequest::Stage { .. } => {
                machine.kept.insert(job.key.clone());
                Ok("everything needed is on the machine")
            }
            DeployRequest::Discard { staged, .. } => {
                machine.kept.remove(staged);
                Ok("nothing is kept")
            }
            DeployRequest::Reboot { .. } => {
                machine.restart();
                Ok("another boot identity")
            }
            _ => {
                machine.catalogue += 1;
                Ok("the catalogue is of now")
            }
        };
        let result = match result {
            Ok(saw) => SubjectResult::Done(Evidence::observed(job.ends, saw).with_claim("exit 0")),
            Err(failure) => SubjectResult::Failed(failure),
        };
        settled.subjects.insert(component, result);
    }
    settled
}

/// A shared outside.
#[derive(Debug, Clone)]
pub(super) struct Outside {
    pub(super) clock: VirtualClock,
    state: Arc<Mutex<State>>,
}

impl Outside {
    pub(super) fn new(machines: BTreeMap<ComponentId, Machine>) -> Self {
        // Any moment will do; a fixed one makes messages the same every time.
        let start = Timestamp::UNIX_EPOCH + Duration::from_secs(1_750_000_000);
        Self {
            clock: VirtualClock::starting(start),
            state: Arc::new(Mutex::new(State {
                machines,
                ..State::default()
            })),
        }
    }

    /// Everything as it is now.
    pub(super) fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.pass(self.clock.now());
        state
    }

    pub(super) fn shared_clock(&self) -> SharedClock {
        Arc::new(self.clock.clone())
    }

    pub(super) fn start(&self, op: &Op<DeployRequest>) {
        let job = Job {
            request: op.request.clone(),
            key: op.key.clone(),
            ends: self.clock.now() + JOB,
            result: None,
        };
        self.now().jobs.insert(op.key.token(), job);
    }

    pub(super) fn seen(&self, component: &ComponentId) -> Result<Seen> {
        let state = self.now();
        let machine = state.machine(component)?;
        Ok(Seen {
            versions: machine.installed.clone(),
            trace: json!({
                "writes": machine.writes,
                "catalogue": machine.catalogue,
                "kept": machine.kept.len(),
                "pending": machine.pending,
            }),
        })
    }

    pub(super) fn meddle(
        &self,
        component: &ComponentId,
        patch: &PatchId,
        version: &Version,
    ) -> Result<()> {
        let mut state = self.now();
        let machine = state.machine_mut(component)?;
        machine.installed.insert(patch.clone(), version.clone());
        machine.writes += 1;
        Ok(())
    }

    pub(super) fn scan(&self, component: &ComponentId) -> Result<Scan> {
        let state = self.now();
        let machine = state.machine(component)?;
        let mut scan = Scan::new(self.clock.now(), machine.installed.clone());
        scan.boot_id = Some(format!("{component}-boot-{}", machine.boots));
        let wanted = machine.pending.iter();
        scan.reboot_wanted = Some(
            wanted
                .map(|(p, v)| format!("{p} {v} waits for it"))
                .collect(),
        );
        scan.running_old = Some(Vec::new());
        scan.pending_activation = machine.pending.clone();
        Ok(scan)
    }

    pub(super) fn available(&self, component: &ComponentId) -> Result<Available> {
        let state = self.now();
        let machine = state.machine(component)?;
        let mut available = Available::nothing(self.clock.now());
        for (patch, versions) in &machine.offer {
            let there = machine.installed.get(patch);
            if let Some(newest) = versions.last().filter(|v| Some(*v) != there) {
                let id = patch.clone();
                let patch = Patch::new(id, there.cloned(), newest.clone(), PatchClass::Security);
                available.patches.push(patch);
            }
        }
        Ok(available)
    }
}
