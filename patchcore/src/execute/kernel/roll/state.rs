//! The state of a roll, as a fold over its events.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    event::{RollEvent, Task},
    moved::MovedVm,
};
use crate::{
    execute::kernel::{OpState, Owed, Step as OpStep},
    id::{ComponentId, OpKey, PersonId, ProviderName},
    mutant::{self, Mutant},
    plan::roll::{Action, Cluster, Objective, Roll},
    provider::{ClusterSetting, DrainRequest, PortCall, Undo},
};

/// Of the same thing so many failures are borne before a person must look.
pub(super) const TRIES: u32 = 3;

/// How a roll stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum RollPhase {
    /// Its steps are carried out.
    #[default]
    Rolling,
    /// Something was not as planned: when nothing is in flight any more, what is left is planned anew.
    Surprised {
        /// What.
        why: String,
    },
    /// A person must look.
    Stopped {
        /// Why.
        why: String,
    },
}

/// Something borrowed that stays where it is, because a person said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollWaived {
    /// What, as a sentence.
    pub what: String,
    /// The operation that took it.
    pub taken_by: OpKey,
    /// Who.
    pub by: PersonId,
    /// Why.
    pub reason: String,
}

/// One cluster's roll.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RollState {
    /// Who drains the cluster.
    pub by: ProviderName,
    /// The cluster that the roll was checked against.
    pub cluster: Box<Cluster>,
    /// The steps that the checker proved.
    pub roll: Box<Roll>,
    /// The cluster as it was planned first: what a machine is like, also while it does not run.
    pub first: Box<Cluster>,
    /// What it was to be good at.
    pub objective: Objective,
    /// Settings that are held while it runs.
    pub settings: Vec<ClusterSetting>,
    /// When its times begin.
    pub begins: Timestamp,
    /// How it stands.
    pub phase: RollPhase,
    /// Steps that are over, by their place in the roll.
    pub done: BTreeSet<u32>,
    /// Operations that are intended and not settled.
    #[serde(with = "pairs")]
    pub ops: BTreeMap<Task, OpState>,
    /// How often each was begun anew.
    #[serde(with = "pairs")]
    pub generations: BTreeMap<Task, u32>,
    /// How often each failed since a person looked last.
    #[serde(with = "pairs")]
    pub fails: BTreeMap<Task, u32>,
    /// Settings that are held now.
    pub held: BTreeSet<ClusterSetting>,
    /// Hosts in maintenance mode that were read back as empty.
    pub entered: BTreeSet<ComponentId>,
    /// Machines that are shut down by us.
    pub stopped: BTreeSet<ComponentId>,
    /// Machines that were started anew, and have the CPU level of where that was.
    pub restarted: BTreeSet<ComponentId>,
    /// Hosts that did not come back as planned.
    pub given_up: BTreeSet<ComponentId>,
    /// What does not get on, and why.
    #[serde(with = "pairs")]
    pub stalled: BTreeMap<Task, String>,
    /// Every move that is over, in the order of time.
    #[serde(default)]
    pub moved: Vec<MovedVm>,
    /// What it owes.
    pub owed: Vec<Owed>,
    /// What it owed until a person waived it.
    pub waived: Vec<RollWaived>,
    /// Loans that a person waives by letting the run go on or ending it.
    pub keeps: Vec<OpKey>,
    /// Who ended the run, and why.
    pub ended_by: Option<(PersonId, String)>,
    /// How often it was planned.
    pub plans: u32,
}

/// Maps whose keys are no text, as lists of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.iter())
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}

impl RollState {
    /// The state that the first roll of a cluster makes; none of another event.
    #[must_use]
    pub fn begin(event: &RollEvent) -> Option<Self> {
        let RollEvent::Planned {
            by,
            cluster,
            roll,
            objective,
            settings,
            begins,
        } = event
        else {
            return None;
        };
        Some(Self {
            by: by.clone(),
            cluster: cluster.clone(),
            first: cluster.clone(),
            roll: roll.clone(),
            objective: *objective,
            settings: settings.clone(),
            begins: *begins,
            phase: RollPhase::Rolling,
            done: BTreeSet::new(),
            ops: BTreeMap::new(),
            generations: BTreeMap::new(),
            fails: BTreeMap::new(),
            held: BTreeSet::new(),
            entered: BTreeSet::new(),
            stopped: BTreeSet::new(),
            restarted: BTreeSet::new(),
            given_up: BTreeSet::new(),
            stalled: BTreeMap::new(),
            moved: Vec::new(),
            owed: Vec::new(),
            waived: Vec::new(),
            keeps: Vec::new(),
            ended_by: None,
            plans: 1,
        })
    }

    /// Records an event. Decides nothing.
    pub fn evolve(&mut self, event: &RollEvent) {
        match event {
            RollEvent::Planned {
                cluster,
                roll,
                objective,
                settings,
                begins,
                ..
            } => {
                self.cluster = cluster.clone();
                self.roll = roll.clone();
                self.objective = *objective;
                self.settings.clone_from(settings);
                self.begins = *begins;
                self.done.clear();
                self.phase = RollPhase::Rolling;
                self.plans += 1;
            }
            RollEvent::Intended {
                task,
                key,
                request,
                baseline,
                guarantee,
                undo,
                owes,
                at,
            } => {
                let op = OpState {
                    step: step_of(task),
                    key: key.clone(),
                    request: request.clone(),
                    baseline: baseline.clone(),
                    guarantee: *guarantee,
                    undo: undo.clone(),
                    since: *at,
                    handle: None,
                    stalled: false,
                };
                self.ops.insert(task.clone(), op);
                if let (Some(what), Undo::By(give_back)) = (owes, undo) {
                    self.owed.push(Owed {
                        what: what.clone(),
                        since: *at,
                        taken_by: key.clone(),
                        give_back: give_back.clone(),
                        give_back_by: None,
                    });
                }
            }
            RollEvent::Begun { task, handle } => {
                if let Some(op) = self.ops.get_mut(task) {
                    op.handle = Some(handle.clone());
                }
            }
            RollEvent::Stalled { task, why } => {
                self.stalled.insert(task.clone(), why.clone());
                if let Some(op) = self.ops.get_mut(task) {
                    op.stalled = true;
                }
            }
            RollEvent::Moved { task } => {
                self.stalled.remove(task);
                if let Some(op) = self.ops.get_mut(task) {
                    op.stalled = false;
                }
            }
            RollEvent::Settled { task, evidence, .. } => {
                self.moved.extend(self.moved_by(task, evidence.as_of));
                self.settle(task);
            }
            RollEvent::Failed { task, .. } => {
                self.over(task);
                *self.fails.entry(task.clone()).or_default() += 1;
            }
            RollEvent::Unknown { task, .. } => {
                self.over(task);
                // Nobody tries it again before a person has looked.
                self.fails.insert(task.clone(), TRIES);
            }
            RollEvent::Fought { task, .. } => self.over(task),
            RollEvent::Patched { host } => {
                if mutant::is(Mutant::MaintenanceForgotten) {
                    let exit = Some(Task::Exit(host.clone()));
                    self.owed.retain(|owed| task_of(owed) != exit);
                }
                self.step_done(|a| matches!(a, Action::Patch { host: h } if h == host));
            }
            RollEvent::Surprised { why, host } => {
                self.given_up.extend(host.clone());
                self.phase = RollPhase::Surprised { why: why.clone() };
            }
            RollEvent::Stopped { why, keeps } => {
                self.keeps.clone_from(keeps);
                self.phase = RollPhase::Stopped { why: why.clone() };
                if let Some((by, reason)) = self.ended_by.clone() {
                    self.waive(&by, &reason);
                }
            }
        }
    }

    /// A person lets the run go on: what is left is planned anew.
    pub(in crate::execute::kernel) fn lifted(&mut self, by: &PersonId, reason: &str) {
        let RollPhase::Stopped { .. } = self.phase else {
            return;
        };
        self.waive(by, reason);
        self.fails.clear();
        let why = format!("{by} lets it go on: {reason}");
        self.phase = RollPhase::Surprised { why };
    }

    /// A person ends the run.
    pub(in crate::execute::kernel) fn ends(&mut self, by: &PersonId, reason: &str) {
        self.ended_by = Some((by.clone(), reason.to_owned()));
        self.fails.clear();
        self.waive(by, reason);
    }

    fn waive(&mut self, by: &PersonId, reason: &str) {
        for key in std::mem::take(&mut self.keeps) {
            for owed in self.owed.extract_if(.., |owed| owed.taken_by == key) {
                self.waived.push(RollWaived {
                    what: owed.what,
                    taken_by: owed.taken_by,
                    by: by.clone(),
                    reason: reason.to_owned(),
                });
            }
        }
    }

    fn over(&mut self, task: &Task) {
        self.ops.remove(task);
        self.stalled.remove(task);
        *self.generations.entry(task.clone()).or_default() += 1;
    }

    fn settle(&mut self, task: &Task) {
        let gives = self.giving(task).map(|owed| owed.taken_by.clone());
        self.over(task);
        self.fails.remove(task);
        if let Some(gives) = gives {
            self.owed.retain(|owed| owed.taken_by != gives);
        }
        match task {
            Task::Hold(setting) => {
                if mutant::is(Mutant::SettingForgotten) {
                    let restore = Some(Task::Restore(*setting));
                    self.owed.retain(|owed| task_of(owed) != restore);
                }
                self.held.insert(*setting);
            }
            Task::Restore(setting) => {
                self.held.remove(setting);
            }
            Task::Close(host) => {
                self.step_done(|a| matches!(a, Action::Close { host: h } if h == host));
            }
            Task::Move(vm) => {
                self.step_done(|a| matches!(a, Action::Migrate { vm: v, .. } if v == vm));
            }
            Task::AwaitEnd(vm) => {
                self.step_done(|a| matches!(a, Action::AwaitEnd { vm: v, .. } if v == vm));
            }
            Task::ShutDown(vm) => {
                self.stopped.insert(vm.clone());
                self.step_done(|a| matches!(a, Action::Stop { vm: v, .. } if v == vm));
            }
            Task::Start(vm) => {
                self.stopped.remove(vm);
                self.restarted.insert(vm.clone());
                self.step_done(|a| matches!(a, Action::Start { vm: v, .. } if v == vm));
            }
            Task::Enter(host) => {
                self.entered.insert(host.clone());
            }
            Task::Exit(host) => {
                if self.loan(task).is_none() {
                    self.entered.remove(host);
                    self.step_done(|a| matches!(a, Action::Reopen { host: h } if h == host));
                }
            }
            Task::Plan => {}
        }
    }

    /// The first step of this kind that is not over is over.
    fn step_done(&mut self, is: impl Fn(&Action) -> bool) {
        let found = (0_u32..)
            .zip(&self.roll.steps)
            .find(|(at, step)| !self.done.contains(at) && is(&step.action));
        if let Some((at, _)) = found {
            self.done.insert(at);
        }
    }

    /// The loan that a task gives back: the one that its operation is for, else the newest.
    #[must_use]
    pub fn giving(&self, task: &Task) -> Option<&Owed> {
        if !task.gives_back() {
            return None;
        }
        let meant = self.ops.get(task).and_then(|op| {
            let back = |owed: &&Owed| owed.give_back == op.request;
            self.owed.iter().rev().find(back)
        });
        meant.or_else(|| self.loan(task))
    }

    /// The newest loan that a task would give back.
    fn loan(&self, task: &Task) -> Option<&Owed> {
        self.owed
            .iter()
            .rev()
            .find(|owed| task_of(owed).as_ref() == Some(task))
    }

    /// Steps that are not over, with their places.
    pub(super) fn pending(&self) -> impl Iterator<Item = (u32, &crate::plan::roll::Step)> {
        (0_u32..)
            .zip(&self.roll.steps)
            .filter(|(at, _)| !self.done.contains(at))
    }

    /// Whether every step is over.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.done.len() == self.roll.steps.len()
    }

    /// Whether a host belongs to its cluster.
    #[must_use]
    pub fn has_host(&self, host: &ComponentId) -> bool {
        self.cluster.hosts.iter().any(|h| h.id == *host)
    }

    /// Whether a host is still to be patched by this roll.
    #[must_use]
    pub fn patches(&self, host: &ComponentId) -> bool {
        self.pending()
            .any(|(_, step)| matches!(&step.action, Action::Patch { host: h } if h == host))
    }

    /// Whether the kernel of a host's component may work on it now: in maintenance mode, and read back as empty.
    #[must_use]
    pub fn lets_in(&self, host: &ComponentId) -> bool {
        self.entered.contains(host)
            && self.patches(host)
            && !self.ops.contains_key(&Task::Exit(host.clone()))
    }
}

/// The task that gives a loan back.
pub(super) fn task_of(owed: &Owed) -> Option<Task> {
    match &owed.give_back {
        PortCall::Drain { request, .. } => match request {
            DrainRequest::ExitMaintenance { host, .. } => Some(Task::Exit(host.clone())),
            DrainRequest::Start { vm, .. } => Some(Task::Start(vm.clone())),
            DrainRequest::RestoreSetting { setting, .. } => Some(Task::Restore(*setting)),
            _ => None,
        },
        _ => None,
    }
}

/// The step of an operation, as the state of a component has one; a roll decides by the task.
#[must_use]
pub const fn step_of(task: &Task) -> OpStep {
    match task.gives_back() {
        true => OpStep::GiveBack,
        false => OpStep::Take,
    }
}
