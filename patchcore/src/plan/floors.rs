//! Redundancy groups: how many of their members stay up, and who may never go.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    GroupFloor, Target, WhyLeftOut,
    sorted::{Sorted, blocked},
};
use crate::{
    error::{Error, ErrorKind},
    estate::Inventory,
    id::{ComponentId, GroupName},
};

/// The floors of all groups that the plan touches. A target that no floor lets go is left out.
pub(super) fn floors(
    inventory: &Inventory,
    sorted: &mut Sorted,
) -> BTreeMap<GroupName, GroupFloor> {
    let all: BTreeMap<GroupName, GroupFloor> = inventory
        .groups
        .values()
        .map(|group| {
            let down_already = group
                .members
                .iter()
                .filter(|m| sorted.down.contains(*m))
                .cloned()
                .collect();
            let floor = GroupFloor {
                name: group.name.clone(),
                keep_up: group.keep_up as usize,
                members: group.members.iter().cloned().collect(),
                down_already,
            };
            (group.name.clone(), floor)
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
    all.into_iter()
        .filter(|(name, _)| touched.contains(name))
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
    .hint("bring the missing members back, add one, or lower the group's floor in the inventory");
    blocked([error])
}
