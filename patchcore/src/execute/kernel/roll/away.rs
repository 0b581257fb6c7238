//! Machines that we shut down and start again where they were, while what is left is planned without them.

use std::collections::BTreeSet;

use super::{event::Task, next::RollMoment, state::RollState};
use crate::{
    id::ComponentId,
    plan::roll::{Cluster, Host, Level, Rule},
    provider::{ClusterView, DrainRequest, PortCall, VmPower, VmView},
};

impl RollState {
    /// Machines that it has away now: on the move, stopped, or not yet started again.
    pub(in crate::execute::kernel) fn away(&self) -> impl Iterator<Item = &ComponentId> {
        let moving = self.ops.keys().filter_map(Task::takes_away);
        let owed = self.owed.iter().filter_map(|owed| match &owed.give_back {
            PortCall::Drain {
                request: DrainRequest::Start { vm, .. },
                ..
            } => Some(vm),
            _ => None,
        });
        moving.chain(owed)
    }
}

/// Each, with the host that it starts on.
pub(super) fn stopped<'m>(
    moment: &'m RollMoment<'_>,
    view: &'m ClusterView,
) -> impl Iterator<Item = (&'m ComponentId, &'m ComponentId, &'m VmView)> {
    moment.roll.owed.iter().filter_map(|owed| {
        let PortCall::Drain {
            request: DrainRequest::Start { vm, host, .. },
            ..
        } = &owed.give_back
        else {
            return None;
        };
        let seen = view.vms.get(vm).filter(|v| v.power != VmPower::On)?;
        Some((vm, host, seen))
    })
}

/// What holds for the others so that no rule is broken when they run again: who must not be with one of them does not
/// come to where it starts, and who belongs to it does not leave.
pub(super) fn keep_places(
    moment: &RollMoment<'_>,
    view: &ClusterView,
    cluster: &Cluster,
) -> Vec<Rule> {
    let mut kept = Vec::new();
    for (vm, host, _) in stopped(moment, view) {
        let Some(host) = cluster.hosts.iter().find(|h| h.id == *host) else {
            continue;
        };
        for rule in &cluster.rules {
            let (vms, level) = match rule {
                Rule::AntiAffinity {
                    vms,
                    level,
                    soft: None,
                    ..
                }
                | Rule::Affinity {
                    vms,
                    level,
                    soft: None,
                } if vms.contains(vm) => (vms, *level),
                _ => continue,
            };
            let there = cluster.hosts.iter();
            let there = there.filter(|other| place(other, level) == place(host, level));
            let hosts: Vec<ComponentId> = there.map(|other| other.id.clone()).collect();
            let inside: BTreeSet<&ComponentId> = hosts.iter().collect();
            let stays = matches!(rule, Rule::Affinity { .. });
            // Whoever is on the wrong side already is somebody else's doing, and no reason not to go on.
            let others = cluster.vms.iter();
            let others = others.filter(|other| vms.contains(&other.id));
            let others = others.filter(|other| inside.contains(&other.host) == stays);
            let vms: Vec<ComponentId> = others.map(|other| other.id.clone()).collect();
            if !vms.is_empty() {
                kept.push(match stays {
                    true => Rule::Fence { vms, hosts },
                    false => Rule::Avoid { vms, hosts },
                });
            }
        }
    }
    kept
}

fn place(host: &Host, level: Level) -> &str {
    match level {
        Level::Host => host.id.as_str(),
        Level::Rack => host.rack.as_deref().unwrap_or_default(),
        Level::Site => host.site.as_deref().unwrap_or_default(),
    }
}
