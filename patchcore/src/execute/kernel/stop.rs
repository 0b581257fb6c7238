//! When failures stop a run: each limit of the policy stands for itself, and the first that is passed counts.

use super::{
    component::ComponentState,
    phase::{End, Phase},
    run::Components,
};
use crate::{
    id::{ComponentId, RingName},
    judge::{self, RingCount},
    plan::Envelope,
    policy::OnComponentFailure,
};

/// Why nothing new may start, and in which ring, where it is one that says so.
pub(super) fn must_halt(
    envelope: &Envelope,
    components: &Components,
) -> Option<(String, Option<RingName>)> {
    in_a_ring(envelope, components)
        .or_else(|| in_the_run(envelope, components).map(|why| (why, None)))
        .or_else(|| in_a_row(envelope, components).map(|why| (why, None)))
        .or_else(|| of_a_kind(envelope, components).map(|why| (why, None)))
}

fn in_a_ring(envelope: &Envelope, components: &Components) -> Option<(String, Option<RingName>)> {
    let on_fail = &envelope.on_fail;
    for rules in &envelope.rings {
        let halts = |why| Some((why, Some(rules.name.clone())));
        let mut count = RingCount::default();
        for target in envelope.targets.iter().filter(|t| t.ring == rules.name) {
            let Some(state) = components.get(&target.component) else {
                continue;
            };
            count.planned += 1;
            count.failed += usize::from(state.counts_as_failed());
            let left = state.phase == Phase::Ended(End::LeftAsIs) && state.counts_as_failed();
            if left && on_fail.component == OnComponentFailure::Stop {
                return halts(format!("{} failed, and policy says stop", target.component));
            }
            if left && on_fail.component == OnComponentFailure::RollBack {
                return halts(format!("{} failed and has no way back", target.component));
            }
        }
        if !judge::tolerated(on_fail.tolerate, &count) {
            return halts(format!(
                "{} of {} failed in ring {}, policy tolerates {}",
                count.failed, count.planned, rules.name, on_fail.tolerate
            ));
        }
    }
    None
}

fn failed(components: &Components) -> impl Iterator<Item = &ComponentState> {
    components.values().filter(|s| s.counts_as_failed())
}

fn in_the_run(envelope: &Envelope, components: &Components) -> Option<String> {
    let tolerate = envelope.on_fail.tolerate_in_run?;
    let (failed, planned) = (failed(components).count(), components.len());
    (!tolerate.allows(failed, planned)).then(|| {
        format!("{failed} of {planned} failed in the run, policy tolerates {tolerate} in a run")
    })
}

/// By the order in which they had their turn, which a restart does not change; who is still at it does not count.
fn in_a_row(envelope: &Envelope, components: &Components) -> Option<String> {
    let most = usize::try_from(envelope.on_fail.in_a_row?).unwrap_or(usize::MAX);
    let mut over: Vec<(&ComponentId, &ComponentState)> = components
        .iter()
        .filter(|(_, s)| s.begun.is_some() && (s.counts_as_failed() || s.phase.is_settled()))
        .collect();
    over.sort_by_key(|(id, s)| (s.begun, *id));
    over.chunk_by(|(_, a), (_, b)| a.counts_as_failed() == b.counts_as_failed())
        .find(|row| row.len() >= most && row.iter().any(|(_, s)| s.counts_as_failed()))
        .map(|row| {
            let names: Vec<&str> = row.iter().map(|(id, _)| id.as_str()).collect();
            format!(
                "{} in a row failed ({}), policy stops at {most}",
                names.len(),
                names.join(", ")
            )
        })
}

/// By the first error of each, which is what the others follow from.
fn of_a_kind(envelope: &Envelope, components: &Components) -> Option<String> {
    let planned = components.len();
    envelope.on_fail.kind.iter().find_map(|limit| {
        let failed = failed(components)
            .filter(|s| s.failures.first().is_some_and(|f| f.kind == limit.kind))
            .count();
        (!limit.tolerate.allows(failed, planned)).then(|| {
            format!(
                "{failed} of {planned} failed with {}, policy tolerates {} with that",
                limit.kind, limit.tolerate
            )
        })
    })
}
