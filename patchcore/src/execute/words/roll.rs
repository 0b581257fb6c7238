//! What happened to the roll of a cluster.

use std::collections::BTreeMap;

use crate::{
    execute::kernel::{RollEvent, task_words},
    id::ComponentId,
    plan::{
        roll::{Action, Roll},
        text::count,
    },
    provider::{DrainRequest, PortCall},
};

/// How many machines move for which reason.
fn why_moved(roll: &Roll) -> String {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for step in &roll.steps {
        if matches!(step.action, Action::Migrate { .. }) {
            *reasons.entry(step.reason.to_string()).or_default() += 1;
        }
    }
    let reasons = reasons.into_iter();
    let said: Vec<String> = reasons.map(|(why, n)| format!("{n}: {why}")).collect();
    match said.is_empty() {
        true => String::new(),
        false => format!(" ({})", said.join("; ")),
    }
}

/// An event of a roll in one line.
pub(super) fn roll_event(cluster: &ComponentId, event: &RollEvent) -> String {
    match event {
        RollEvent::Planned { roll, .. } => {
            let of = |is: fn(&Action) -> bool| roll.steps.iter().filter(|s| is(&s.action)).count();
            let hosts = of(|a| matches!(a, Action::Patch { .. }));
            let moves = of(|a| matches!(a, Action::Migrate { .. }));
            format!(
                "roll of {cluster}: {} to patch, {}{}",
                count(hosts, "host", "hosts"),
                count(moves, "move", "moves"),
                why_moved(roll),
            )
        }
        RollEvent::Intended { task, request, .. } => match request {
            PortCall::Drain {
                request: DrainRequest::Migrate { from, to, .. },
                ..
            } => format!("{cluster}: {} from {from} to {to} begins", task_words(task)),
            _ => format!("{cluster}: {} begins", task_words(task)),
        },
        RollEvent::Begun { task, .. } => format!("{cluster}: {} runs", task_words(task)),
        RollEvent::Stalled { task, why } => {
            format!("{cluster}: {} does not get on: {why}", task_words(task))
        }
        RollEvent::Moved { task } => format!("{cluster}: {} gets on again", task_words(task)),
        RollEvent::Settled { task, evidence, .. } => {
            format!("{cluster}: {}: {evidence}", task_words(task))
        }
        RollEvent::Failed { task, failures } => {
            let said: Vec<&str> = failures.iter().map(|f| f.message.as_str()).collect();
            format!(
                "{cluster}: {} failed: {}",
                task_words(task),
                said.join("; ")
            )
        }
        RollEvent::Unknown { task, why } => format!(
            "{cluster}: nobody can say what became of {}: {why}",
            task_words(task)
        ),
        RollEvent::Fought {
            task,
            expected,
            found,
        } => format!(
            "{cluster}: {}: somebody else changed it: expected {expected} but found {found}",
            task_words(task)
        ),
        RollEvent::Patched { host } => format!("{cluster}: {host} is patched and healthy"),
        RollEvent::Surprised { why, .. } => {
            format!("{cluster}: {why} · what is left is planned anew")
        }
        RollEvent::Stopped { why, .. } => format!("roll of {cluster} stopped: {why}"),
    }
}
