//! The cluster as it is now, as the planner takes it, and the roll of what is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    away,
    decide::RollInput,
    next::{RollMoment, Stand, stand},
    state::task_of,
};
use crate::{
    id::ComponentId,
    plan::roll::{self, Answer, Cluster, Host, HostState, Roll, Rule, Vm, Wish},
    provider::{ClusterView, VmPower},
};

/// Plans what is left of a roll from the cluster as it is, through the planner and its checker.
#[must_use]
pub fn replan(moment: &RollMoment<'_>, view: &ClusterView, stop: &dyn Fn() -> bool) -> RollInput {
    let cluster = match observed(moment, view) {
        Ok(cluster) => cluster,
        Err(why) => return RollInput::NoPlan { why },
    };
    if !cluster.hosts.iter().any(|host| host.needs_patch) {
        return nothing_left(cluster);
    }
    let mut wish = Wish::new(moment.roll.objective);
    wish.allow_partial = moment.roll.roll.partial;
    match roll::plan(&cluster, &wish, stop) {
        Ok(Answer::Planned(planned)) => {
            RollInput::Planned(Box::new(cluster), Box::new(planned.best))
        }
        Ok(Answer::Infeasible(infeasible)) => RollInput::NoPlan {
            why: format!("what is left of the roll cannot be planned: {infeasible}"),
        },
        Ok(Answer::NotFound(found)) => {
            let left: Vec<&str> = found.left.iter().map(ComponentId::as_str).collect();
            let why = format!(
                "no roll of what is left was found: {} could not be emptied, which does not say that there is none",
                left.join(", ")
            );
            RollInput::NoPlan { why }
        }
        Err(error) => RollInput::NoPlan { why: error.chain() },
    }
}

/// Nothing is to be patched any more: what goes back goes back by itself.
fn nothing_left(cluster: Cluster) -> RollInput {
    let empty = Roll {
        schema: Roll::SCHEMA.to_owned(),
        steps: Vec::new(),
        left_out: Vec::new(),
        partial: false,
    };
    match roll::check(&cluster, empty) {
        Ok(checked) => RollInput::Planned(Box::new(cluster), Box::new(checked)),
        Err(breaches) => RollInput::NoPlan {
            why: breaches.to_string(),
        },
    }
}

/// What is left, from the cluster that was planned and the one that is there.
fn observed(moment: &RollMoment<'_>, view: &ClusterView) -> Result<Cluster, String> {
    let was = &*moment.roll.cluster;
    if view.resources != was.resources {
        return Err(format!(
            "its resources are {} now and were {} when it was planned",
            view.resources.join(", "),
            was.resources.join(", ")
        ));
    }
    let mut cluster = was.clone();
    for host in &mut cluster.hosts {
        host_now(moment, view, host);
    }
    let since = moment.now.duration_since(moment.roll.begins).unsigned_abs();
    cluster.vms = machines(moment, view, &cluster, since);
    // A plan in between was made while others were stopped: rooms and rules are those of the first.
    cluster.rules.clone_from(&moment.roll.first.rules);
    for (host, first) in cluster.hosts.iter_mut().zip(&moment.roll.first.hosts) {
        host.reserve.clone_from(&first.reserve);
    }
    keep_rooms(moment, view, &mut cluster);
    let kept = away::keep_places(moment, view, &cluster);
    let there: BTreeSet<&ComponentId> = cluster.vms.iter().map(|vm| &vm.id).collect();
    cluster.rules.retain_mut(|rule| prune(rule, &there));
    cluster.rules.extend(kept);
    let passed = since.as_secs();
    let windows = &mut cluster.limits.windows;
    if !windows.is_empty() {
        for window in windows.iter_mut() {
            window.from_s = window.from_s.saturating_sub(passed);
            window.until_s = window.until_s.saturating_sub(passed);
        }
        windows.retain(|window| window.until_s > 0);
        if windows.is_empty() {
            return Err("the last window in which hosts may be touched is over".to_owned());
        }
    }
    Ok(cluster)
}

fn host_now(moment: &RollMoment<'_>, view: &ClusterView, host: &mut Host) {
    let roll = moment.roll;
    let stand = stand(moment.components.get(&host.id));
    let seen = view.hosts.get(&host.id);
    let ours = roll.entered.contains(&host.id)
        && roll.owed.iter().any(|owed| {
            task_of(owed).is_some_and(|task| task == super::Task::Exit(host.id.clone()))
        });
    host.needs_patch = match stand {
        Stand::Waits => moment.open,
        Stand::WaitsBack => true,
        _ => false,
    };
    host.state = match seen {
        Some(seen) if seen.responds => match (stand, seen.maintenance) {
            (Stand::AtWork | Stand::Broken, _) => HostState::Down,
            (_, false) => HostState::Open,
            (_, true) if ours => HostState::Closed,
            (_, true) => HostState::Down,
        },
        _ => HostState::Down,
    };
    if stand == Stand::Patched
        && let Some(level) = host.cpu_level_patched.take()
    {
        host.cpu_level = level;
    }
}

fn machines(
    moment: &RollMoment<'_>,
    view: &ClusterView,
    cluster: &Cluster,
    since: Duration,
) -> Vec<Vm> {
    let first = moment.roll.first.vms.iter();
    let mut was: BTreeMap<&ComponentId, &Vm> = first.map(|v| (&v.id, v)).collect();
    was.extend(moment.roll.cluster.vms.iter().map(|v| (&v.id, v)));
    let before: BTreeMap<&ComponentId, &Host> = moment
        .roll
        .cluster
        .hosts
        .iter()
        .map(|h| (&h.id, h))
        .collect();
    let now: BTreeMap<&ComponentId, &Host> = cluster.hosts.iter().map(|h| (&h.id, h)).collect();
    let stands = |host: &ComponentId| {
        now.get(host)
            .is_some_and(|host| host.state != HostState::Down)
    };
    let running = view.vms.iter().filter(|(_, seen)| {
        // What is on a host that is not there can neither be moved nor counted on.
        seen.power == VmPower::On && stands(&seen.host)
    });
    running
        .map(|(id, seen)| match was.get(id) {
            Some(vm) => {
                let mut vm = (*vm).clone();
                let started_on = before.get(&vm.host).map_or(0, |host| host.cpu_level);
                if vm.cpu_level.is_none() && !moment.roll.restarted.contains(id) {
                    vm.cpu_level = Some(started_on);
                }
                vm.host = seen.host.clone();
                vm.notice_s = vm.notice_s.saturating_sub(since.as_secs());
                vm.ends_in_s = vm.ends_in_s.map(|s| s.saturating_sub(since.as_secs()));
                vm
            }
            None => {
                let mut vm = Vm::new(
                    id.clone(),
                    seen.host.clone(),
                    seen.demand.clone(),
                    seen.mem_mib,
                );
                vm.cpu_level = now.get(&seen.host).map(|host| host.cpu_level);
                vm
            }
        })
        .collect()
}

/// Machines that we shut down have their room kept where they were.
fn keep_rooms(moment: &RollMoment<'_>, view: &ClusterView, cluster: &mut Cluster) {
    let dims = cluster.resources.len();
    for (_, host, seen) in away::stopped(moment, view) {
        let Some(host) = cluster.hosts.iter_mut().find(|h| h.id == *host) else {
            continue;
        };
        host.reserve.resize(dims, Some(0));
        for (kept, amount) in host.reserve.iter_mut().zip(&seen.demand) {
            *kept = kept.map(|kept| kept.saturating_add(*amount));
        }
    }
}

/// A rule without those who are not there any more; none where nothing is left of it.
fn prune(rule: &mut Rule, there: &BTreeSet<&ComponentId>) -> bool {
    let vms = match rule {
        Rule::AntiAffinity { vms, .. }
        | Rule::Affinity { vms, .. }
        | Rule::Fence { vms, .. }
        | Rule::Avoid { vms, .. } => vms,
        Rule::KeepUp { vms, keep } => {
            vms.retain(|vm| there.contains(vm));
            *keep = (*keep).min(u32::try_from(vms.len()).unwrap_or(u32::MAX));
            return !vms.is_empty();
        }
        Rule::Order { .. } | Rule::Exclusive { .. } => return true,
    };
    vms.retain(|vm| there.contains(vm));
    !vms.is_empty()
}
