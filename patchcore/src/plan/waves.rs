//! Which components of a ring move together.

use std::collections::{BTreeMap, BTreeSet};

use super::{GroupFloor, Target};
use crate::id::{ComponentId, GroupName};

/// Splits one ring into waves: at most `at_once` together, nobody before those it comes after, and no group
/// below its floor. Lists what can never go, with the group that keeps it.
pub(super) fn waves(
    ring: &[&Target],
    at_once: usize,
    groups: &BTreeMap<GroupName, GroupFloor>,
) -> (Vec<Vec<ComponentId>>, Vec<(ComponentId, GroupName)>) {
    let in_ring: BTreeSet<&ComponentId> = ring.iter().map(|t| &t.component).collect();
    let mut stuck = Vec::new();
    let mut open: Vec<&Target> = Vec::new();
    for target in ring {
        let floor = target
            .groups
            .iter()
            .find(|g| groups.get(*g).is_some_and(|g| g.may_go_down() == 0));
        match floor {
            Some(group) => stuck.push((target.component.clone(), group.clone())),
            None => open.push(target),
        }
    }
    let mut gone: BTreeSet<&ComponentId> = BTreeSet::new();
    let mut waves = Vec::new();
    let stuck_ids: BTreeSet<ComponentId> = stuck.iter().map(|(c, _)| c.clone()).collect();
    while !open.is_empty() {
        let mut wave: Vec<&Target> = Vec::new();
        let mut down: BTreeMap<&GroupName, usize> = BTreeMap::new();
        for target in &open {
            if wave.len() >= at_once.max(1) {
                break;
            }
            let waits = target
                .after
                .iter()
                .any(|a| in_ring.contains(a) && !stuck_ids.contains(a) && !gone.contains(a));
            let floor = target.groups.iter().any(|g| {
                groups
                    .get(g)
                    .is_some_and(|floor| down.get(g).copied().unwrap_or(0) >= floor.may_go_down())
            });
            if !waits && !floor {
                for group in &target.groups {
                    *down.entry(group).or_default() += 1;
                }
                wave.push(target);
            }
        }
        if wave.is_empty() {
            // Cannot happen: the order has no circle and every group lets at least one go. Were it to
            // happen, the rest is left out of the schedule and the plan's sum would not hold: a test watches.
            break;
        }
        let names: Vec<ComponentId> = wave.iter().map(|t| t.component.clone()).collect();
        gone.extend(wave.iter().map(|t| &t.component));
        open.retain(|t| !gone.contains(&t.component));
        waves.push(names);
    }
    (waves, stuck)
}
