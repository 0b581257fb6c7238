//! What a roll makes of what came back.

use super::{
    event::{RollEvent, Task},
    next::RollMoment,
    state::{RollPhase, TRIES},
};
use crate::{
    error::Failure,
    execute::kernel::OpResult,
    id::ComponentId,
    plan::roll::{Action, CheckedRoll, Cluster, HostState},
    provider::{ClusterView, VmPower},
};

/// What came back from what was in flight.
#[derive(Debug, Clone, PartialEq)]
pub enum RollInput {
    /// From an operation.
    Operation(Task, OpResult),
    /// From reading the cluster.
    Viewed(Task, Result<Box<ClusterView>, Failure>),
    /// A new roll of what is left, checked against the cluster as it was read.
    Planned(Box<Cluster>, Box<CheckedRoll>),
    /// There is none, and why.
    NoPlan {
        /// Why.
        why: String,
    },
}

/// The events that an input leads to.
#[must_use]
pub fn decide(moment: &RollMoment<'_>, input: RollInput) -> Vec<RollEvent> {
    let roll = moment.roll;
    match input {
        RollInput::Operation(task, result) => operation(moment, task, result),
        RollInput::Viewed(Task::Close(host), seen) => closes(moment, host, seen),
        RollInput::Viewed(Task::AwaitEnd(vm), Ok(view)) => {
            let runs = |v: &crate::provider::VmView| v.power == VmPower::On;
            match view.vms.get(&vm).is_some_and(runs) {
                true => Vec::new(),
                false => vec![RollEvent::Settled {
                    evidence: crate::provider::Evidence::observed(
                        view.at,
                        format!("{vm} has ended"),
                    ),
                    task: Task::AwaitEnd(vm),
                    held_already: true,
                }],
            }
        }
        RollInput::Viewed(task, Err(failure)) => failed(moment, task, vec![failure]),
        RollInput::Viewed(..) => Vec::new(),
        RollInput::Planned(..) | RollInput::NoPlan { .. }
            if !matches!(roll.phase, RollPhase::Surprised { .. }) =>
        {
            Vec::new()
        }
        RollInput::Planned(cluster, checked) => vec![RollEvent::Planned {
            by: roll.by.clone(),
            cluster,
            roll: Box::new(checked.into_roll()),
            objective: roll.objective,
            settings: roll.settings.clone(),
            begins: moment.now,
        }],
        RollInput::NoPlan { why } => {
            let keeps = Vec::new();
            vec![RollEvent::Stopped { why, keeps }]
        }
    }
}

fn operation(moment: &RollMoment<'_>, task: Task, result: OpResult) -> Vec<RollEvent> {
    match result {
        OpResult::Done(evidence) => vec![RollEvent::Settled {
            task,
            evidence,
            held_already: false,
        }],
        OpResult::HeldAlready(evidence) => vec![RollEvent::Settled {
            task,
            evidence,
            held_already: true,
        }],
        OpResult::Failed(failures) | OpResult::NotStarted(failures) => {
            failed(moment, task, failures)
        }
        OpResult::Fought { expected, found } => {
            let taken = moment.roll.giving(&task).map(|owed| owed.taken_by.clone());
            let why = format!(
                "somebody else changed what was borrowed: expected {expected} but found {found}; it is not overwritten"
            );
            let fought = RollEvent::Fought {
                task,
                expected,
                found,
            };
            let keeps = taken.into_iter().collect();
            vec![fought, RollEvent::Stopped { why, keeps }]
        }
        OpResult::Unknown { why } => {
            let stopped = format!("nobody can say what became of {}: {why}", named(&task));
            vec![
                RollEvent::Unknown { task, why },
                RollEvent::Stopped {
                    why: stopped,
                    keeps: Vec::new(),
                },
            ]
        }
    }
}

fn failed(moment: &RollMoment<'_>, task: Task, failures: Vec<Failure>) -> Vec<RollEvent> {
    let roll = moment.roll;
    let said: Vec<&str> = failures.iter().map(|f| f.message.as_str()).collect();
    let why = format!("{} failed: {}", named(&task), said.join("; "));
    let times = roll.fails.get(&task).copied().unwrap_or(0) + 1;
    let stops = times >= TRIES;
    let gives_back = task.gives_back();
    let loan = roll.giving(&task).map(|owed| owed.taken_by.clone());
    let keeps = loan.into_iter().collect();
    let failed = RollEvent::Failed { task, failures };
    match &roll.phase {
        RollPhase::Stopped { .. } => vec![failed],
        _ if stops => {
            let why = format!("{why} ({times} times)");
            vec![failed, RollEvent::Stopped { why, keeps }]
        }
        // It is tried again, and nothing else depends on when.
        _ if gives_back => vec![failed],
        RollPhase::Surprised { .. } => vec![failed],
        RollPhase::Rolling => vec![failed, RollEvent::Surprised { why, host: None }],
    }
}

/// A host closes only in a cluster that is as it was planned.
fn closes(
    moment: &RollMoment<'_>,
    host: ComponentId,
    seen: Result<Box<ClusterView>, Failure>,
) -> Vec<RollEvent> {
    let task = Task::Close(host.clone());
    let view = match seen {
        Ok(view) => view,
        Err(failure) => return failed(moment, task, vec![failure]),
    };
    if let Some(why) = differs(moment, &view) {
        return match moment.roll.phase {
            RollPhase::Rolling => vec![RollEvent::Surprised { why, host: None }],
            _ => Vec::new(),
        };
    }
    let saw = format!("the cluster is as planned, and {host} takes no more machines");
    vec![RollEvent::Settled {
        task,
        evidence: crate::provider::Evidence::observed(view.at, saw),
        held_already: false,
    }]
}

/// The first thing that is not as the roll expects it now.
fn differs(moment: &RollMoment<'_>, view: &ClusterView) -> Option<String> {
    let roll = moment.roll;
    for host in &roll.cluster.hosts {
        let Some(seen) = view.hosts.get(&host.id) else {
            return Some(format!("{} is no host of the cluster any more", host.id));
        };
        let ours = roll.entered.contains(&host.id)
            || roll.ops.contains_key(&Task::Enter(host.id.clone()))
            || roll.ops.contains_key(&Task::Exit(host.id.clone()));
        if host.state == HostState::Down || ours {
            continue;
        }
        if !seen.responds {
            return Some(format!("{} does not respond", host.id));
        }
        if seen.maintenance {
            return Some(format!("somebody put {} into maintenance mode", host.id));
        }
    }
    let mut at: std::collections::BTreeMap<&ComponentId, &ComponentId> =
        roll.cluster.vms.iter().map(|v| (&v.id, &v.host)).collect();
    for (place, step) in (0_u32..).zip(&roll.roll.steps) {
        match &step.action {
            Action::Migrate { vm, to, .. } if roll.done.contains(&place) => {
                at.insert(vm, to);
            }
            Action::AwaitEnd { vm, .. } if roll.done.contains(&place) => {
                at.remove(vm);
            }
            _ => {}
        }
    }
    for (vm, seen) in &view.vms {
        let busy = [
            Task::Move(vm.clone()),
            Task::ShutDown(vm.clone()),
            Task::Start(vm.clone()),
        ];
        let in_flight = busy.iter().any(|task| roll.ops.contains_key(task));
        let down = |h: &crate::plan::roll::Host| h.id == seen.host && h.state == HostState::Down;
        if in_flight || roll.stopped.contains(vm) || roll.cluster.hosts.iter().any(down) {
            continue;
        }
        match (at.get(vm), seen.power) {
            (Some(host), VmPower::On) if **host == seen.host && seen.moving_to.is_none() => {}
            (Some(_), VmPower::On) => {
                return Some(format!("somebody moved {vm} to {}", seen.host));
            }
            // Who ends sooner than planned frees room.
            (_, VmPower::Off | VmPower::Suspended) => {}
            (None, VmPower::On) if roll.restarted.contains(vm) => {}
            (None, VmPower::On) => {
                return Some(format!("{vm} appeared on {}", seen.host));
            }
        }
    }
    None
}

/// A task as people read it.
#[must_use]
pub fn named(task: &Task) -> String {
    match task {
        Task::Hold(setting) => format!("holding {}", setting.slug()),
        Task::Close(host) => format!("closing {host}"),
        Task::Move(vm) => format!("the move of {vm}"),
        Task::AwaitEnd(vm) => format!("waiting for the end of {vm}"),
        Task::ShutDown(vm) => format!("shutting {vm} down"),
        Task::Enter(host) => format!("maintenance mode of {host}"),
        Task::Exit(host) => format!("taking {host} out of maintenance mode"),
        Task::Start(vm) => format!("starting {vm}"),
        Task::Plan => "planning what is left".to_owned(),
        Task::Restore(setting) => format!("restoring {}", setting.slug()),
    }
}
