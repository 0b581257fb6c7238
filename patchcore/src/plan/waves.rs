//! Which components of a ring move together.

use std::collections::{BTreeMap, BTreeSet};

use super::{GroupFloor, Target};
use crate::id::{ComponentId, GroupName};

/// Splits one ring into waves: at most `at_once` together, nobody before those it comes after, and no group
/// below its floor. Every group must let at least one go, which the planner sees to before.
pub(super) fn waves(
    ring: &[&Target],
    at_once: usize,
    groups: &BTreeMap<GroupName, GroupFloor>,
) -> Vec<Vec<ComponentId>> {
    let in_ring: BTreeSet<&ComponentId> = ring.iter().map(|t| &t.component).collect();
    let mut open: Vec<&Target> = ring.to_vec();
    let mut gone: BTreeSet<&ComponentId> = BTreeSet::new();
    let mut waves = Vec::new();
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
                .any(|a| in_ring.contains(a) && !gone.contains(a));
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
    waves
}
