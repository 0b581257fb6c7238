//! Who must be back in service before whom.

use std::collections::{BTreeMap, BTreeSet};

use super::Chain;
use crate::{
    error::{Error, ErrorKind, Result},
    estate::{Inventory, RelationKind},
    id::ComponentId,
    policy::{Order, Policy, Selector},
};

/// Before each planned component: those that must be back in service first, and why.
pub(super) type Before = BTreeMap<ComponentId, BTreeMap<ComponentId, String>>;

/// What goes before what among the planned components.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// For each component.
    pub(super) before: Before,
    /// By rule, for people.
    pub(super) chains: Vec<Chain>,
    /// Where the rules of the policy stand, by their words.
    pub(super) places: BTreeMap<String, String>,
}

impl Sequence {
    fn add(&mut self, later: &ComponentId, earlier: &ComponentId, why: &str) {
        self.before
            .entry(later.clone())
            .or_default()
            .entry(earlier.clone())
            .or_insert_with(|| why.to_owned());
    }
}

/// The order that the policy's `[[order]]` and the estate's `depends_on` relations ask for, among `planned`.
///
/// # Errors
/// `Cycle`, naming the whole circle with the rule behind each step.
pub(super) fn sequence(
    inventory: &Inventory,
    policy: &Policy,
    planned: &BTreeSet<ComponentId>,
) -> Result<Sequence> {
    let mut sequence = Sequence::default();
    dependencies(inventory, planned, &mut sequence);
    for (i, rule) in policy.order.iter().enumerate() {
        let place = policy
            .place(&format!("/order/{i}"))
            .map(ToString::to_string);
        families(inventory, rule, planned, place, &mut sequence);
    }
    refuse_cycle(&sequence)?;
    Ok(sequence)
}

/// A component waits for what it depends on, also where something that is not in the plan stands between.
fn dependencies(inventory: &Inventory, planned: &BTreeSet<ComponentId>, sequence: &mut Sequence) {
    let mut needs: BTreeMap<&ComponentId, BTreeSet<&ComponentId>> = BTreeMap::new();
    for relation in &inventory.relations {
        if relation.kind == RelationKind::DependsOn {
            needs
                .entry(&relation.from)
                .or_default()
                .insert(&relation.to);
        }
    }
    for dependent in planned {
        let mut first: BTreeSet<ComponentId> = BTreeSet::new();
        let mut seen: BTreeSet<&ComponentId> = BTreeSet::new();
        let mut open: Vec<&ComponentId> = vec![dependent];
        while let Some(at) = open.pop() {
            for needed in needs.get(at).into_iter().flatten() {
                if planned.contains(*needed) {
                    let itself = *needed == dependent;
                    // A circle through what is not planned asks nothing of this plan; one of its own does.
                    if !itself || at == dependent {
                        first.insert((*needed).clone());
                    }
                } else if seen.insert(needed) {
                    open.push(needed);
                }
            }
        }
        if first.is_empty() {
            continue;
        }
        for earlier in &first {
            sequence.add(
                dependent,
                earlier,
                &format!("{dependent} depends on {earlier}"),
            );
        }
        sequence.chains.push(Chain {
            steps: vec![first.into_iter().collect(), vec![dependent.clone()]],
            because: format!("{dependent} depends on what goes before it"),
        });
    }
}

/// Inside each family that shares the label, one step after the other.
fn families(
    inventory: &Inventory,
    rule: &Order,
    planned: &BTreeSet<ComponentId>,
    place: Option<String>,
    sequence: &mut Sequence,
) {
    let mut families: BTreeMap<String, Vec<Vec<ComponentId>>> = BTreeMap::new();
    for id in planned {
        let Some(component) = inventory.components.get(id) else {
            continue;
        };
        let fact = |key: &str| component.fact(key);
        let Some(family) = fact(&rule.within) else {
            continue;
        };
        // The first step that selects it counts, as with rings.
        if let Some(step) = rule.steps.iter().position(|step| step.matches(&fact)) {
            let steps = families
                .entry(family)
                .or_insert_with(|| vec![Vec::new(); rule.steps.len()]);
            if let Some(members) = steps.get_mut(step) {
                members.push(id.clone());
            }
        }
    }
    for (family, steps) in families {
        let filled: Vec<(&Selector, Vec<ComponentId>)> = rule
            .steps
            .iter()
            .zip(steps)
            .filter(|(_, members)| !members.is_empty())
            .collect();
        if filled.len() < 2 {
            continue;
        }
        let words: Vec<String> = filled.iter().map(|(step, _)| step.to_string()).collect();
        let because = format!("{} \"{family}\": {}", rule.within, words.join(", then "));
        if let Some(place) = &place {
            sequence.places.insert(because.clone(), place.clone());
        }
        for pair in filled.windows(2) {
            if let [(_, first), (_, then)] = pair {
                for (later, earlier) in then.iter().flat_map(|l| first.iter().map(move |e| (l, e)))
                {
                    sequence.add(later, earlier, &because);
                }
            }
        }
        sequence.chains.push(Chain {
            steps: filled.into_iter().map(|(_, members)| members).collect(),
            because,
        });
    }
}

fn refuse_cycle(sequence: &Sequence) -> Result<()> {
    let before = &sequence.before;
    let mut done: BTreeSet<&ComponentId> = BTreeSet::new();
    for start in before.keys() {
        let mut path: Vec<&ComponentId> = Vec::new();
        if let Some(circle) = walk(start, before, &mut done, &mut path) {
            let mut steps = Vec::new();
            for pair in circle.windows(2) {
                if let [later, earlier] = pair
                    && let Some(why) = before.get(*later).and_then(|b| b.get(*earlier))
                {
                    steps.push(match sequence.places.get(why) {
                        Some(place) => format!("{later} after {earlier} ({place}: {why})"),
                        // A dependency says by itself what comes after what.
                        None if why.starts_with(later.as_str()) => why.clone(),
                        None => format!("{later} after {earlier} ({why})"),
                    });
                }
            }
            let names: Vec<&str> = circle.iter().map(|c| c.as_str()).collect();
            return Err(Error::new(
                ErrorKind::Cycle,
                format!("the order runs in a circle: {}", names.join(" after ")),
            )
            .operation("plan")
            .found(steps.join("; "))
            .consequence("nothing was planned")
            .hint(
                "take one of these rules out of the policy, or one relation out of the inventory",
            ));
        }
    }
    Ok(())
}

/// Depth first; returns the circle with its first member repeated at the end.
fn walk<'a>(
    start: &'a ComponentId,
    before: &'a Before,
    done: &mut BTreeSet<&'a ComponentId>,
    path: &mut Vec<&'a ComponentId>,
) -> Option<Vec<&'a ComponentId>> {
    // An explicit stack: chains of thousands of components must not overflow the thread's.
    let mut stack: Vec<(&ComponentId, Vec<&ComponentId>)> = vec![(start, next(start, before))];
    path.push(start);
    while let Some((_, open)) = stack.last_mut() {
        match open.pop() {
            Some(id) if done.contains(id) => {}
            Some(id) => {
                if let Some(at) = path.iter().position(|p| *p == id) {
                    let mut circle = path[at..].to_vec();
                    circle.push(id);
                    return Some(circle);
                }
                path.push(id);
                stack.push((id, next(id, before)));
            }
            None => {
                if let Some((finished, _)) = stack.pop() {
                    done.insert(finished);
                }
                path.pop();
            }
        }
    }
    None
}

fn next<'a>(id: &ComponentId, before: &'a Before) -> Vec<&'a ComponentId> {
    before
        .get(id)
        .map(|b| b.keys().collect())
        .unwrap_or_default()
}
