//! Redundancy groups and the policy's limits: how many of their members stay up, and who may never go.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    GroupFloor, Target, WhyLeftOut,
    sorted::{Sorted, blocked},
};
use crate::{
    error::{Error, ErrorKind},
    estate::{Component, Inventory, Relation, RelationKind},
    id::{ComponentId, GroupName},
    policy::{Limit, Policy},
};

/// What one limit counts together with this component: those with the same value of its label.
fn counted(limit: &Limit, component: &Component) -> Option<GroupName> {
    let fact = |key: &str| component.fact(key);
    let value = fact(&limit.per).filter(|_| limit.select.matches(&fact))?;
    let among = match limit.select.is_all() {
        true => String::new(),
        false => format!(" and {}", limit.select),
    };
    Some(format!("{} = {value}{among}", limit.per).as_str().into())
}

/// The groups that the policy's limits count this component in.
pub(super) fn limited_by<'p>(
    policy: &'p Policy,
    component: &'p Component,
) -> impl Iterator<Item = GroupName> + 'p {
    policy
        .limits
        .iter()
        .filter_map(|limit| counted(limit, component))
}

/// The members of each group, and how many of them stay up.
fn groups(
    inventory: &Inventory,
    policy: &Policy,
) -> BTreeMap<GroupName, (usize, BTreeSet<ComponentId>)> {
    let mut all: BTreeMap<GroupName, (usize, BTreeSet<ComponentId>)> = BTreeMap::new();
    for limit in &policy.limits {
        let mut of: BTreeMap<GroupName, BTreeSet<ComponentId>> = BTreeMap::new();
        for component in inventory.components.values() {
            if let Some(group) = counted(limit, component) {
                of.entry(group).or_default().insert(component.id.clone());
            }
        }
        for (name, members) in of {
            all.insert(name, (limit.keeps(members.len()), members));
        }
    }
    for group in inventory.groups.values() {
        let keep_up = group.keep_up as usize;
        let own = (keep_up, group.members.iter().cloned().collect());
        // An estate may have called a group as a limit is called: then both hold for the members of both.
        all.entry(group.name.clone())
            .and_modify(|(most, members)| {
                *most = keep_up.max(*most);
                members.extend(group.members.iter().cloned());
            })
            .or_insert(own);
    }
    all
}

/// The floors of all groups that the plan touches, by a member or by the host that one runs on. A target that no floor lets go is left out.
pub(super) fn floors(
    inventory: &Inventory,
    policy: &Policy,
    sorted: &mut Sorted,
) -> BTreeMap<GroupName, GroupFloor> {
    let all: BTreeMap<GroupName, GroupFloor> = groups(inventory, policy)
        .into_iter()
        .map(|(name, (keep_up, members))| {
            let down_already = members.intersection(&sorted.down).cloned().collect();
            let floor = GroupFloor {
                name: name.clone(),
                keep_up,
                members: members.into_iter().collect(),
                down_already,
            };
            (name, floor)
        })
        .collect();
    let keeps = |target: &Target| {
        let full = |g: &&GroupName| all.get(*g).is_none_or(|floor| floor.may_go_down() == 0);
        target.groups.iter().find(full).cloned()
    };
    let stuck: Vec<(ComponentId, GroupName)> = sorted
        .targets
        .values()
        .filter_map(|t| keeps(t).map(|group| (t.component.clone(), group)))
        .collect();
    for (component, group) in stuck {
        sorted.targets.remove(&component);
        sorted.busy.remove(&component);
        let why = floor_reached(&component, &group, &all);
        sorted.left_out.insert(component, why);
    }
    let touched: BTreeSet<&GroupName> = sorted.targets.values().flat_map(|t| &t.groups).collect();
    // Whoever runs on a host that is patched moves or stops for it.
    let runs_there =
        |r: &&Relation| r.kind == RelationKind::RunsOn && sorted.targets.contains_key(&r.to);
    let guests = inventory.relations.iter().filter(runs_there);
    let guests: BTreeSet<&ComponentId> = guests.map(|relation| &relation.from).collect();
    all.into_iter()
        .filter(|(name, floor)| {
            touched.contains(name) || floor.members.iter().any(|m| guests.contains(m))
        })
        .collect()
}

fn floor_reached(
    component: &ComponentId,
    group: &GroupName,
    groups: &BTreeMap<GroupName, GroupFloor>,
) -> WhyLeftOut {
    let floor = groups.get(group);
    let down: Vec<&str> = floor
        .into_iter()
        .flat_map(|f| f.down_already.iter().map(ComponentId::as_str))
        .collect();
    let found = match (floor, down.is_empty()) {
        (Some(f), true) => format!(
            "{} members of which {} must stay up",
            f.members.len(),
            f.keep_up
        ),
        (Some(f), false) => {
            format!(
                "{} members of which {} must stay up, and nobody can say that {} is up",
                f.members.len(),
                f.keep_up,
                down.join(", ")
            )
        }
        (None, _) => "no such group".to_owned(),
    };
    let error = Error::new(
        ErrorKind::Unhealthy,
        format!("{component} may not go down: group {group} is at its floor"),
    )
    .found(found)
    .hint("bring the missing members back, add one, or lower the floor where it is set: in the estate's group, or in the policy's [[limit]]");
    blocked([error])
}
