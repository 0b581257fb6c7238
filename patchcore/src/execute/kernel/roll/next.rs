//! What a roll does now, derived from its state and from where the components of its hosts are.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    event::{RollEvent, Task},
    state::{RollPhase, RollState, TRIES, task_of},
};
use crate::{
    clock::later,
    execute::kernel::{
        ComponentState, Components, End, Moment, OpState, Phase, Wait,
        floors::{WhyUp, at_its_floor},
    },
    id::{ComponentId, OpKey, RunId},
    mutant::{self, Mutant},
    plan::roll::{Action, How, Migration, Step},
    provider::{DrainRequest, MoveKind, PortCall},
};

/// Everything that a roll is decided from.
#[derive(Debug, Clone, Copy)]
pub struct RollMoment<'a> {
    /// Which cluster.
    pub cluster: &'a ComponentId,
    /// The roll.
    pub roll: &'a RollState,
    /// All components of the run.
    pub components: &'a Components,
    /// Whether hosts that wait for their turn are to be patched: the run is neither halted nor brought to an end.
    pub open: bool,
    /// Whether something new may begin.
    pub may_begin: bool,
    /// Whether the run is brought to an end.
    pub ending: bool,
    /// The run that it is part of; none where what is left is planned anew.
    pub run: Option<Moment<'a>>,
    /// The time now.
    pub now: Timestamp,
}

/// What must be in flight for a task.
#[derive(Debug, Clone, PartialEq)]
pub enum RollEffect {
    /// Make sure that this operation happened, exactly once.
    Ensure {
        /// Under which key.
        key: OpKey,
        /// What, where it is not yet journaled.
        request: DrainRequest,
        /// What the journal says of it, where it is.
        journaled: Option<Box<OpState>>,
    },
    /// Read the cluster.
    View,
    /// Read the cluster after a while.
    ViewLater,
    /// Read the cluster when nothing moves any more, and plan what is left.
    Plan,
}

/// Where the component of a host is, as far as its cluster is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// It is as it was before the run, or is no part of it.
    Untouched,
    /// It waits for its turn to be patched.
    Waits,
    /// It failed in service and waits to be rolled back.
    WaitsBack,
    /// It is worked on, or a person decides.
    AtWork,
    /// It is patched and healthy.
    Patched,
    /// Its part is over, it is not patched, and it is as before.
    AsBefore,
    /// Its part is over, and nobody says that it is healthy.
    Broken,
}

pub(super) fn stand(component: Option<&ComponentState>) -> Stand {
    let Some(state) = component else {
        return Stand::Untouched;
    };
    match state.phase {
        Phase::Waiting => Stand::Waits,
        Phase::AwaitWayBack => Stand::WaitsBack,
        Phase::InService | Phase::ConfirmVersions | Phase::ConfirmHealth => Stand::Patched,
        Phase::GivingBack(end) | Phase::Ended(end) => match end {
            End::Done | End::Unsoaked | End::Attested => Stand::Patched,
            End::RolledBack | End::Untouched | End::Skipped => Stand::AsBefore,
            End::LeftAsIs => Stand::Broken,
        },
        _ => Stand::AtWork,
    }
}

impl<'a> RollMoment<'a> {
    fn stand(&self, host: &ComponentId) -> Stand {
        stand(self.components.get(host))
    }

    /// Whether a host in maintenance mode is still needed there.
    fn wanted(&self, host: &ComponentId) -> bool {
        if matches!(self.roll.phase, RollPhase::Stopped { .. }) || !self.roll.patches(host) {
            return false;
        }
        match self.stand(host) {
            Stand::Waits => !self.ending,
            Stand::WaitsBack => true,
            _ => false,
        }
    }

    /// Everything that follows by itself.
    #[must_use]
    pub fn events(&self) -> Vec<RollEvent> {
        let stopped = matches!(self.roll.phase, RollPhase::Stopped { .. });
        for host in self.roll.cluster.hosts.iter().filter(|_| !stopped) {
            let stand = self.stand(&host.id);
            let patches = self.roll.patches(&host.id);
            let gone = match stand {
                Stand::Patched if patches && self.roll.entered.contains(&host.id) => {
                    let host = host.id.clone();
                    return vec![RollEvent::Patched { host }];
                }
                Stand::AsBefore | Stand::Broken => patches && !self.ending,
                Stand::WaitsBack => !patches,
                _ => false,
            };
            let told = self.roll.given_up.contains(&host.id);
            let mut left_out = self.roll.roll.left_out.iter();
            if stand == Stand::WaitsBack
                && told
                && self.roll.phase == RollPhase::Rolling
                && left_out.any(|left| left.host == host.id)
            {
                // To plan it anew at once would come to the same for ever.
                let why = format!(
                    "{} failed in service and cannot go back: no roll takes it as it is now",
                    host.id
                );
                let keeps = Vec::new();
                return vec![RollEvent::Stopped { why, keeps }];
            }
            let known = told && stand != Stand::WaitsBack;
            if gone && !known && self.roll.phase == RollPhase::Rolling {
                let why = match stand {
                    Stand::WaitsBack => format!("{} failed in service and goes back", host.id),
                    _ => format!("{} did not come back patched and healthy", host.id),
                };
                let host = Some(host.id.clone());
                return vec![RollEvent::Surprised { why, host }];
            }
        }
        let keeps: Vec<OpKey> = self.kept().map(|owed| owed.taken_by.clone()).collect();
        let told = stopped && !self.ending;
        if !keeps.is_empty() && !told && self.is_finished() && self.tasks().is_empty() {
            let names: Vec<&str> = self.kept().map(|owed| owed.what.as_str()).collect();
            let why = format!("{}, and stays so", names.join("; "));
            return vec![RollEvent::Stopped { why, keeps }];
        }
        Vec::new()
    }

    /// Whether no host is left to be patched or to go back.
    fn nobody_waits(&self) -> bool {
        let mut hosts = self.roll.cluster.hosts.iter();
        hosts.all(|host| !matches!(self.stand(&host.id), Stand::Waits | Stand::WaitsBack))
    }

    /// Whether no step begins any more.
    fn is_finished(&self) -> bool {
        let waits_back = |host: &crate::plan::roll::Host| self.stand(&host.id) == Stand::WaitsBack;
        let goes_back = self.roll.cluster.hosts.iter().any(waits_back);
        let through = self.roll.phase == RollPhase::Rolling && self.roll.is_through();
        let stopped = matches!(self.roll.phase, RollPhase::Stopped { .. });
        stopped || (through || self.ending) && !goes_back
    }

    /// Loans that stay for a person: on hosts that nobody calls healthy, those that somebody else changed, and those
    /// that could not be given back.
    fn kept(&self) -> impl Iterator<Item = &'a super::super::Owed> {
        let this = *self;
        this.roll.owed.iter().filter(move |owed| {
            let failed = |task| this.roll.fails.get(&task).is_some_and(|n| *n >= TRIES);
            if this.roll.keeps.contains(&owed.taken_by) || task_of(owed).is_some_and(failed) {
                return true;
            }
            let host = match &owed.give_back {
                PortCall::Drain {
                    request:
                        DrainRequest::ExitMaintenance { host, .. } | DrainRequest::Start { host, .. },
                    ..
                } => host,
                _ => return false,
            };
            this.stand(host) == Stand::Broken
        })
    }

    /// Whether nothing is left to be done or given back.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_finished() && self.roll.ops.is_empty() && self.roll.owed.is_empty()
    }

    /// When time alone will let a step begin.
    #[must_use]
    pub fn wake(&self) -> Option<Timestamp> {
        let pending = self.roll.pending();
        let times = pending.filter_map(|(_, step)| step.not_before_ms);
        let begins = times.map(|ms| later(self.roll.begins, Duration::from_millis(ms)));
        begins.filter(|at| *at > self.now).min()
    }

    /// Whatever must be in flight now.
    #[must_use]
    pub fn tasks(&self) -> Vec<Task> {
        let roll = self.roll;
        let mut tasks: Vec<Task> = roll.ops.keys().cloned().collect();
        self.give_back(&mut tasks);
        match roll.phase {
            RollPhase::Stopped { .. } => {}
            RollPhase::Surprised { .. } => {
                // Where nobody is left to be patched, nothing is begun by planning.
                if tasks.is_empty() && (self.may_begin || !self.ending && self.nobody_waits()) {
                    tasks.push(Task::Plan);
                }
            }
            RollPhase::Rolling if self.is_finished() => {}
            RollPhase::Rolling if self.may_begin => self.steps(&mut tasks),
            RollPhase::Rolling => {}
        }
        tasks
    }

    /// Those that begin now, beside the ones whose effect is on its way.
    #[must_use]
    pub fn begins(&self, on_their_way: &BTreeSet<Task>) -> Vec<Task> {
        let mut begins: Vec<Task> = Vec::new();
        for task in self.tasks() {
            // What may begin any moment would make a plan or a setting one of yesterday.
            let alone = matches!(task, Task::Plan | Task::Restore(_));
            let others = !on_their_way.is_empty() || !begins.is_empty();
            if !(alone && others || on_their_way.contains(&task) || begins.contains(&task)) {
                begins.push(task);
            }
        }
        begins
    }

    /// What is not needed any more goes back, whatever else stands.
    fn give_back(&self, tasks: &mut Vec<Task>) {
        let roll = self.roll;
        let kept: Vec<&OpKey> = self.kept().map(|owed| &owed.taken_by).collect();
        let mut around_hosts = false;
        for owed in roll.owed.iter().rev() {
            if kept.contains(&&owed.taken_by) {
                continue;
            }
            let Some(task) = task_of(owed) else { continue };
            let now = match &owed.give_back {
                PortCall::Drain {
                    request: DrainRequest::ExitMaintenance { host, .. },
                    ..
                } => {
                    around_hosts = true;
                    let entering = roll.ops.contains_key(&Task::Enter(host.clone()));
                    // What did not come to its end is given back before it is tried again.
                    let wanted = self.wanted(host) && roll.entered.contains(host);
                    !entering && !wanted && self.stand(host) != Stand::AtWork
                }
                PortCall::Drain {
                    request: DrainRequest::Start { vm, host, .. },
                    ..
                } => {
                    around_hosts = true;
                    let in_maintenance = roll.entered.contains(host)
                        || roll.ops.contains_key(&Task::Enter(host.clone()))
                        || roll.owed.iter().any(|other| {
                            task_of(other).as_ref() == Some(&Task::Exit(host.clone()))
                        });
                    let stopping = roll.ops.contains_key(&Task::ShutDown(vm.clone()));
                    // Only what was truly stopped waits for its host.
                    let waits = roll.stopped.contains(vm)
                        && (self.wanted(host) || self.stand(host) == Stand::AtWork);
                    !in_maintenance && !stopping && !waits
                }
                _ => continue,
            };
            if now && !tasks.contains(&task) {
                tasks.push(task);
            }
        }
        if around_hosts || !tasks.is_empty() || !self.is_finished() {
            return;
        }
        // The newest first, and one after the other.
        let owed = roll.owed.iter().rev();
        let ours = owed.filter(|owed| !kept.contains(&&owed.taken_by));
        let settings = ours.filter_map(task_of);
        tasks.extend(settings.filter(|t| matches!(t, Task::Restore(_))).take(1));
    }

    /// The hosts that the roll still empties to have them patched.
    fn still_patches(&self) -> Vec<ComponentId> {
        let pending = self.roll.pending();
        let patched = pending.filter_map(|(_, step)| match &step.action {
            Action::Patch { host } => Some(host.clone()),
            _ => None,
        });
        patched.collect()
    }

    /// Steps whose needs are over.
    fn steps(&self, tasks: &mut Vec<Task>) {
        let roll = self.roll;
        let held = roll.settings.iter().filter(|s| !roll.held.contains(s));
        let missing: Vec<Task> = held.map(|setting| Task::Hold(*setting)).collect();
        if !missing.is_empty() {
            tasks.extend(missing.into_iter().filter(|t| !roll.ops.contains_key(t)));
            return;
        }
        let mut slots = Slots::of(self);
        let mut taken = BTreeSet::new();
        for (_, step) in roll.pending().filter(|(_, step)| self.may(step)) {
            let task = match &step.action {
                Action::Close { host } => Task::Close(host.clone()),
                Action::Migrate { vm, from, to, .. } => {
                    let task = Task::Move(vm.clone());
                    let stays = self.keeps_up(vm, false, &taken).is_some();
                    if stays || roll.ops.contains_key(&task) || !slots.take(from, to) {
                        continue;
                    }
                    taken.insert(vm);
                    task
                }
                Action::AwaitEnd { vm, .. } => Task::AwaitEnd(vm.clone()),
                Action::Stop { vm, .. } => {
                    if self.keeps_up(vm, true, &taken).is_some() {
                        continue;
                    }
                    taken.insert(vm);
                    Task::ShutDown(vm.clone())
                }
                Action::Patch { host } if !roll.entered.contains(host) => {
                    // A loan of a try that came to nothing goes back first.
                    let exit = Task::Exit(host.clone());
                    if roll.owed.iter().any(|o| task_of(o).as_ref() == Some(&exit)) {
                        continue;
                    }
                    Task::Enter(host.clone())
                }
                // The component's own kernel works; what goes back goes back by itself.
                Action::Patch { .. } | Action::Reopen { .. } | Action::Start { .. } => continue,
            };
            if !tasks.contains(&task) {
                tasks.push(task);
            }
        }
    }

    fn keeps_up(
        &self,
        vm: &ComponentId,
        stops: bool,
        taken: &BTreeSet<&ComponentId>,
    ) -> Option<WhyUp<'a>> {
        self.run?.keeps_up(vm, stops, taken)
    }

    /// Machines that could be taken away now if their groups could spare them.
    pub(in crate::execute::kernel) fn held_up(&self) -> Vec<Wait> {
        if self.roll.phase != RollPhase::Rolling || !self.may_begin || self.is_finished() {
            return Vec::new();
        }
        let steps = self.roll.pending().filter(|(_, step)| self.may(step));
        let held = steps.filter_map(|(_, step)| {
            let (vm, task, stops) = match &step.action {
                Action::Migrate { vm, .. } => (vm, Task::Move(vm.clone()), false),
                Action::Stop { vm, .. } => (vm, Task::ShutDown(vm.clone()), true),
                _ => return None,
            };
            if self.roll.ops.contains_key(&task) {
                return None;
            }
            match self.keeps_up(vm, stops, &BTreeSet::new())? {
                WhyUp::WorkedOn => None,
                WhyUp::Floor { group, down } => Some(Wait::Floor {
                    component: vm.clone(),
                    group: at_its_floor(group, down),
                }),
            }
        });
        held.collect()
    }

    fn may(&self, step: &Step) -> bool {
        let begins = |ms| later(self.roll.begins, Duration::from_millis(ms));
        let over = |need| self.roll.done.contains(need) || mutant::is(Mutant::NeedsIgnored);
        step.needs.iter().all(over) && step.not_before_ms.is_none_or(|ms| begins(ms) <= self.now)
    }

    /// What a task comes to.
    #[must_use]
    pub fn effect(&self, task: &Task, journal: &str, run: RunId) -> Option<RollEffect> {
        let roll = self.roll;
        if let Some(op) = roll.ops.get(task)
            && !mutant::is(Mutant::RollOpForgotten)
        {
            let PortCall::Drain { request, .. } = &op.request else {
                return None;
            };
            return Some(RollEffect::Ensure {
                key: op.key.clone(),
                request: request.clone(),
                journaled: Some(Box::new(op.clone())),
            });
        }
        let request = match task {
            Task::Plan => return Some(RollEffect::Plan),
            Task::Close(_) => return Some(RollEffect::View),
            Task::AwaitEnd(_) => return Some(RollEffect::ViewLater),
            Task::Hold(setting) => DrainRequest::HoldSetting {
                cluster: self.cluster.clone(),
                setting: *setting,
                hosts: self.still_patches(),
            },
            Task::Enter(host) => DrainRequest::EnterMaintenance { host: host.clone() },
            Task::Exit(_) | Task::Start(_) | Task::Restore(_) => {
                match &roll.giving(task)?.give_back {
                    PortCall::Drain { request, .. } => request.clone(),
                    _ => return None,
                }
            }
            Task::Move(machine) => self.step_of(|action| match action {
                Action::Migrate { vm, from, to, how } if vm == machine => {
                    Some(DrainRequest::Migrate {
                        vm: vm.clone(),
                        from: from.clone(),
                        to: to.clone(),
                        how: kind(*how),
                    })
                }
                _ => None,
            })?,
            Task::ShutDown(machine) => self.step_of(|action| match action {
                Action::Stop { vm, host, suspend } if vm == machine => {
                    Some(DrainRequest::ShutDown {
                        vm: vm.clone(),
                        host: host.clone(),
                        suspend: *suspend,
                    })
                }
                _ => None,
            })?,
        };
        let mut generation = roll.generations.get(task).copied().unwrap_or(0) + 1;
        if roll.ops.contains_key(task) {
            // Only where a fault is planted above.
            generation += 1;
        }
        let key = OpKey::of(
            journal,
            run,
            request_subject(&request),
            task.slug(),
            generation,
        );
        Some(RollEffect::Ensure {
            key,
            request,
            journaled: None,
        })
    }

    fn step_of<T>(&self, found: impl Fn(&Action) -> Option<T>) -> Option<T> {
        let mut pending = self.roll.pending();
        pending.find_map(|(_, step)| found(&step.action).filter(|_| self.may(step)))
    }
}

const fn request_subject(request: &DrainRequest) -> &ComponentId {
    request.subject()
}

const fn kind(how: How) -> MoveKind {
    match how {
        How::Live => MoveKind::Live,
        How::Cold => MoveKind::Cold,
        How::Storage => MoveKind::Storage,
    }
}

/// Which hosts may move one more machine at once.
struct Slots<'a> {
    cluster: &'a crate::plan::roll::Cluster,
    hosts: BTreeMap<&'a ComponentId, Option<Migration>>,
    into: BTreeMap<ComponentId, u32>,
    out_of: BTreeMap<ComponentId, u32>,
    all: u32,
}

impl<'a> Slots<'a> {
    fn of(moment: &RollMoment<'a>) -> Self {
        let cluster = &*moment.roll.cluster;
        let hosts = cluster.hosts.iter();
        let mut slots = Self {
            cluster,
            hosts: hosts
                .map(|h| (&h.id, h.migration.or(cluster.migration)))
                .collect(),
            into: BTreeMap::new(),
            out_of: BTreeMap::new(),
            all: 0,
        };
        for op in moment.roll.ops.values() {
            if let PortCall::Drain {
                request: DrainRequest::Migrate { from, to, .. },
                ..
            } = &op.request
            {
                slots.count(from, to);
            }
        }
        slots
    }

    fn take(&mut self, from: &ComponentId, to: &ComponentId) -> bool {
        let most = |host: &ComponentId| self.hosts.get(host).copied().flatten();
        let fits = |used: &BTreeMap<ComponentId, u32>, host, most: Option<u32>| {
            most.is_none_or(|most| used.get(host).copied().unwrap_or(0) < most.max(1))
        };
        let limits = &self.cluster.limits;
        if limits
            .max_migrations
            .is_some_and(|most| self.all >= most.max(1))
            || !fits(&self.into, to, most(to).map(|m| m.in_slots))
            || !fits(&self.out_of, from, most(from).map(|m| m.out_slots))
        {
            return false;
        }
        self.count(from, to);
        true
    }

    fn count(&mut self, from: &ComponentId, to: &ComponentId) {
        *self.into.entry(to.clone()).or_default() += 1;
        *self.out_of.entry(from.clone()).or_default() += 1;
        self.all += 1;
    }
}
