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
    let ground = scene.ground;
    let name = |host: usize| ground.cluster.hosts[host].id.as_str();
    let is_final = scene.is_final(to);
    // One more than are named is enough to know that there are many.
    let could: Vec<usize> = (0..ground.cluster.hosts.len())
        .filter(|host| *host != from && scene.is_final(*host) == is_final)
        .filter(|host| *host == to || scene.could_take(*host, vm))
        .take(NAMED + 1)
        .collect();
    let kind = if is_final {
        "patched host"
    } else {
        "host that is open"
    };
    let names: Vec<&str> = could.iter().map(|host| name(*host)).collect();
    let fits = match could.len() {
        1 => format!("fits only {kind} {}", name(to)),
        many if many <= NAMED && is_final => {
            format!("fits only patched hosts {}", names.join(", "))
        }
        many if many <= NAMED => format!("fits only open hosts {}", names.join(", ")),
        _ if is_final => "fits many patched hosts".to_owned(),
        _ => "fits many open hosts".to_owned(),
    };
    let left = (0..ground.dims)
        .map(|dim| {
            let (room, used) = (ground.room_of(to)[dim], scene.used_of(to)[dim]);
            (
                room,
                room.saturating_sub(used + ground.demand_of(vm)[dim]),
                dim,
            )
        })
        // The scarcest is that of which the least part is left.
        .min_by_key(|(room, left, _)| u128::from(*left) * 1_000_000 / u128::from((*room).max(1)));
    let keeps = left.map_or(String::new(), |(_, left, dim)| {
        let left = units::amount(&ground.cluster.resources[dim], left);
        format!("; {} keeps {left} free", name(to))
    });
    let first = match reason {
        Reason::IntoPatched => return format!("{fits}{keeps}"),
        Reason::Spill { patched: 0 } => {
            format!(
                "no host is patched yet, so it moves again with {}",
                name(to)
            )
        }
        Reason::Spill { patched } => format!(
            "none of {patched} patched hosts has room, so it moves again with {}",
            name(to)
        ),
        other => other.to_string(),
    };
    format!("{first}; {fits}{keeps}")
}
