//! Every order in which the steps of a small roll could run, one by one.

use std::collections::{BTreeSet, HashSet};

use patchcore::plan::roll::{Cluster, Roll};

use crate::world::World;

/// What all orders come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No order breaks anything.
    Safe,
    /// One does.
    Broken(String),
    /// There are too many to look at.
    TooMany,
}

const MOST: usize = 12_000;

/// Looks at every state that can be reached.
pub(crate) fn every_order(cluster: &Cluster, roll: &Roll) -> Verdict {
    if roll.steps.len() > 60 {
        return Verdict::TooMany;
    }
    let left_out: BTreeSet<&str> = roll.left_out.iter().map(|l| l.host.as_str()).collect();
    let mut seen: HashSet<(u64, u64)> = HashSet::new();
    let mut open = vec![(0_u64, 0_u64, World::of(cluster))];
    let all = (1_u64 << roll.steps.len()) - 1;
    while let Some((begun, over, world)) = open.pop() {
        if !seen.insert((begun, over)) {
            continue;
        }
        if seen.len() > MOST {
            return Verdict::TooMany;
        }
        if over == all
            && let Err(what) = world.over(&left_out)
        {
            return Verdict::Broken(what);
        }
        for (at, step) in roll.steps.iter().enumerate() {
            let bit = 1 << at;
            let mut next = world.clone();
            if begun & bit == 0 {
                if !step.needs.iter().all(|need| over >> need & 1 == 1) {
                    continue;
                }
                if let Err(what) = next.begin(step) {
                    return Verdict::Broken(format!("step {at}: {what}"));
                }
                open.push((begun | bit, over, next));
            } else if over & bit == 0 {
                if let Err(what) = next.end(step) {
                    return Verdict::Broken(format!("after step {at}: {what}"));
                }
                open.push((begun, over | bit, next));
            }
        }
    }
    Verdict::Safe
}
