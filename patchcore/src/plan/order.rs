//! Who must be back in service before whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    error::{Error, ErrorKind, Result},
    estate::{Inventory, RelationKind},
    id::ComponentId,
    policy::Policy,
};

/// Before each planned component: those that must be back in service first, and why.
pub(super) type Before = BTreeMap<ComponentId, BTreeMap<ComponentId, String>>;

/// The order that the policy's `[[order]]` and the estate's `depends_on` relations ask for, among `planned`.
///
/// # Errors
/// `Cycle`, naming the whole circle with the rule behind each step.
pub(super) fn before(
    inventory: &Inventory,
    policy: &Policy,
    planned: &BTreeSet<ComponentId>,
) -> Result<Before> {
    let mut before: Before = BTreeMap::new();
    for relation in &inventory.relations {
        let depends = relation.kind == RelationKind::DependsOn;
        if depends && planned.contains(&relation.from) && planned.contains(&relation.to) {
            let why = format!("{} depends on {}", relation.from, relation.to);
            before
                .entry(relation.from.clone())
                .or_default()
                .insert(relation.to.clone(), why);
        }
    }
    for order in &policy.order {
        let mut families: BTreeMap<String, Vec<BTreeSet<ComponentId>>> = BTreeMap::new();
        for id in planned {
            let Some(component) = inventory.components.get(id) else {
                continue;
            };
            let fact = |key: &str| component.fact(key);
            let Some(family) = fact(&order.within) else {
                continue;
            };
            // The first step that selects it counts, as with rings.
            if let Some(step) = order.steps.iter().position(|step| step.matches(&fact)) {
                let steps = families
                    .entry(family)
                    .or_insert_with(|| vec![BTreeSet::new(); order.steps.len()]);
                if let Some(members) = steps.get_mut(step) {
                    members.insert(id.clone());
                }
            }
        }
        for (family, steps) in families {
            let filled: Vec<(usize, &BTreeSet<ComponentId>)> = steps
                .iter()
                .enumerate()
                .filter(|(_, members)| !members.is_empty())
                .collect();
            for pair in filled.windows(2) {
                let [(a, first), (b, then)] = pair else {
                    continue;
                };
                for later in *then {
                    for earlier in *first {
                        let why = format!(
                            "order within {} \"{family}\": {} before {}",
                            order.within, order.steps[*a], order.steps[*b]
                        );
                        before
                            .entry(later.clone())
                            .or_default()
                            .entry(earlier.clone())
                            .or_insert(why);
                    }
                }
            }
        }
    }
    refuse_cycle(&before)?;
    Ok(before)
}

fn refuse_cycle(before: &Before) -> Result<()> {
    let mut done: BTreeSet<&ComponentId> = BTreeSet::new();
    for start in before.keys() {
        let mut path: Vec<&ComponentId> = Vec::new();
        if let Some(circle) = walk(start, before, &mut done, &mut path) {
            let mut steps = Vec::new();
            for pair in circle.windows(2) {
                if let [later, earlier] = pair
                    && let Some(why) = before.get(*later).and_then(|b| b.get(*earlier))
                {
                    steps.push(format!("{later} after {earlier} ({why})"));
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
