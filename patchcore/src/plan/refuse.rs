//! What is refused before anything is planned, with the place in the policy and the remedy.

use std::collections::BTreeMap;

use super::{RingRules, sorted::Sorted};
use crate::{
    error::{Error, ErrorKind, Result},
    estate::{Component, Inventory},
    id::ComponentId,
    policy::{Policy, Ring},
};

/// An estate without components, and a policy that selects none of them.
pub(super) fn refuse_empty(inventory: &Inventory, policy: &Policy, rings: &[Ring]) -> Result<()> {
    if inventory.components.is_empty() {
        return Err(nothing_seen(inventory)
            .operation("plan")
            .consequence("nothing was planned"));
    }
    let selects = |component: &Component| {
        rings
            .iter()
            .any(|r| r.select.matches(&|key: &str| component.fact(key)))
    };
    if !inventory.components.values().any(selects) {
        let place = policy
            .place("/ring")
            .or_else(|| policy.place("/ring/0"))
            .map(|p| format!("{p}: "));
        let selectors: Vec<String> = rings
            .iter()
            .map(|r| format!("{} selects \"{}\"", r.name, r.select))
            .collect();
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "{}policy {} selects none of the {} components",
                place.unwrap_or_default(),
                policy.name,
                inventory.components.len()
            ),
        )
        .operation("plan")
        .found(selectors.join(", "))
        .consequence("nothing was planned")
        .hint("correct the selectors, or end with a ring that selects \"*\""));
    }
    Ok(())
}

/// An estate that could not be read is another one than an estate that is empty.
fn nothing_seen(inventory: &Inventory) -> Error {
    let estate = &inventory.estate;
    let Some(first) = inventory.gaps.first() else {
        let what = format!("estate {estate} has no components");
        return Error::new(ErrorKind::InvalidInput, what).hint("add a provider that lists some");
    };
    let gaps = inventory.gaps.iter();
    let said: Vec<String> = gaps
        .map(|gap| format!("{}: {}", gap.provider, gap.failure))
        .collect();
    let hint = first.failure.hint.as_deref();
    Error::new(
        first.failure.kind,
        format!("no component of estate {estate} could be read"),
    )
    .found(said.join("; "))
    .hint(hint.unwrap_or("look at what each provider says of it"))
}

/// An order that asks for a later ring first.
pub(super) fn refuse_order_against_rings(
    ring_of: &BTreeMap<ComponentId, usize>,
    component: &ComponentId,
    before: &BTreeMap<ComponentId, String>,
    places: &BTreeMap<String, String>,
    rings: &[Ring],
) -> Result<()> {
    let name = |c: &ComponentId| {
        ring_of
            .get(c)
            .and_then(|r| rings.get(*r))
            .map(|r| r.name.clone())
    };
    for (earlier, why) in before {
        if ring_of.get(earlier) > ring_of.get(component)
            && let (Some(late), Some(early)) = (name(earlier), name(component))
        {
            return Err(Error::new(
                ErrorKind::Cycle,
                format!("{earlier} must come before {component}, but its ring {late} comes after ring {early}"),
            )
            .operation("plan")
            .found(match places.get(why) {
                Some(place) => format!("{place}: {why}"),
                None => why.clone(),
            })
            .consequence("nothing was planned")
            .hint(format!("select both in one ring, or {earlier} in an earlier one")));
        }
    }
    Ok(())
}

/// A ring that waits for more components than there are.
pub(super) fn refuse_rings_that_never_start(
    policy: &Policy,
    rings: &[RingRules],
    sorted: &Sorted,
) -> Result<()> {
    let mut mistakes = Vec::new();
    for (i, ring) in rings.iter().enumerate() {
        let Some(after) = &ring.start_after else {
            continue;
        };
        if !sorted.targets.values().any(|t| t.ring == ring.name) {
            continue;
        }
        let Some(earlier) = rings.iter().find(|r| r.name == after.ring) else {
            continue;
        };
        let members = sorted
            .targets
            .values()
            .filter(|t| t.ring == earlier.name)
            .count()
            + earlier.up_to_date;
        if members < after.at_least as usize {
            let place = policy
                .place(&format!("/ring/{i}/start_after"))
                .or_else(|| policy.place(&format!("/ring/{i}")))
                .map(|p| format!("{p}: "))
                .unwrap_or_default();
            mistakes.push(format!(
                "{place}ring \"{}\" can never start: at_least = {}, but ring \"{}\" has {members} component{} that can count",
                ring.name,
                after.at_least,
                earlier.name,
                if members == 1 { "" } else { "s" },
            ));
        }
    }
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, mistakes.join("\n"))
        .operation("plan")
        .consequence("nothing was planned")
        .hint("lower at_least, or select more components in the earlier ring"))
}
