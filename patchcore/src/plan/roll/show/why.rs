//! Why each step is as it is, in one sentence: the planner's reason, and what else was possible at that moment.

use super::{
    scene::{Scene, acts, play},
    units,
};
use crate::plan::roll::{
    check::CheckedRoll,
    planner::{ground::Ground, record::Did},
    step::Reason,
};

/// More hosts than these are not named.
const NAMED: usize = 4;
/// In a cluster of more hosts nobody looks for the other hosts that a machine would have fitted: for all its moves
/// together that is the square of its hosts.
const SEARCHED: usize = 2_000;

/// One sentence for each step.
pub(super) fn sentences(ground: &Ground<'_>, checked: &CheckedRoll) -> Vec<String> {
    let steps = &checked.roll().steps;
    let mut all = vec![String::new(); steps.len()];
    let acts = acts(ground, checked);
    play(
        ground,
        &acts,
        checked.timeline(),
        |scene, step, did| {
            let reason = &steps[step].reason;
            all[step] = match (did, reason) {
                (Did::Move { vm, from, to, .. }, reason) => {
                    moved(scene, vm as usize, from as usize, to as usize, reason)
                }
                (
                    _,
                    Reason::CanBeEmptied {
                        closed,
                        spare,
                        resource,
                    },
                ) => format!(
                    "can be emptied; with {closed} closed, {} beyond demand and HA reserve stay",
                    units::amount(resource, *spare)
                ),
                (_, reason) => reason.to_string(),
            };
        },
        |_, _| {},
    );
    all
}

fn moved(scene: &Scene<'_>, vm: usize, from: usize, to: usize, reason: &Reason) -> String {
    let name = scene.ground.cluster.hosts[to].id.as_str();
    let parts = [
        first(scene, vm, from, name, reason),
        fits(scene, vm, from, to),
        keeps(scene, vm, to),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join("; ")
}

/// What the planner says of it.
fn first(scene: &Scene<'_>, vm: usize, from: usize, to: &str, reason: &Reason) -> Option<String> {
    let searched = scene.ground.cluster.hosts.len() <= SEARCHED;
    Some(match reason {
        // That it moves once is what its destination says.
        Reason::IntoPatched if searched => return None,
        Reason::Spill { patched: 0 } => {
            format!("no host is patched yet, so it moves again with {to}")
        }
        Reason::Spill { patched } if searched && !could(scene, vm, from, true).is_empty() => {
            format!(
                "the room of {patched} patched hosts is for others, so it moves again with {to}"
            )
        }
        Reason::Spill { patched } => {
            format!("none of {patched} patched hosts has room, so it moves again with {to}")
        }
        other => other.to_string(),
    })
}

/// Hosts that could take a machine now, of those that need no more patch or of the others; one more than are named is
/// enough to know that there are many.
fn could(scene: &Scene<'_>, vm: usize, from: usize, is_final: bool) -> Vec<usize> {
    (0..scene.ground.cluster.hosts.len())
        .filter(|host| *host != from && scene.is_final(*host) == is_final)
        .filter(|host| scene.could_take(*host, vm))
        .take(NAMED + 1)
        .collect()
}

/// Where else it would have fitted.
fn fits(scene: &Scene<'_>, vm: usize, from: usize, to: usize) -> Option<String> {
    let hosts = &scene.ground.cluster.hosts;
    if hosts.len() > SEARCHED {
        return None;
    }
    let is_final = scene.is_final(to);
    let kind = if is_final { "patched" } else { "open" };
    let mut could = could(scene, vm, from, is_final);
    // Those that go with it may have taken the room that is looked for, of which its own is a part.
    if could.len() <= NAMED && !could.contains(&to) {
        could.push(to);
        could.sort_unstable();
    }
    let names: Vec<&str> = could.iter().map(|host| hosts[*host].id.as_str()).collect();
    Some(match names[..] {
        [one] => format!("fits only {kind} host {one}"),
        _ if names.len() <= NAMED => format!("fits only {kind} hosts {}", names.join(", ")),
        _ => format!("fits many {kind} hosts"),
    })
}

/// What its new host has left with it, of what is scarcest there.
fn keeps(scene: &Scene<'_>, vm: usize, to: usize) -> Option<String> {
    let ground = scene.ground;
    let part = |dim: usize| {
        let room = ground.room_of(to)[dim];
        let left = scene
            .free(to, dim)
            .saturating_sub(ground.demand_of(vm)[dim]);
        (u128::from(left) * 1_000_000 / u128::from(room.max(1)), left)
    };
    let scarcest = (0..ground.dims).min_by_key(|dim| part(*dim).0)?;
    let left = units::amount(&ground.cluster.resources[scarcest], part(scarcest).1);
    Some(format!("{} keeps {left} free", ground.cluster.hosts[to].id))
}
