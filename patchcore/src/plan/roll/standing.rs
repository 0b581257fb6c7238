//! Whether a cluster keeps its own rules before anything is done to it.

use std::collections::BTreeMap;

use super::{
    cluster::{Cluster, Host, HostState},
    fault::{FaultKind, Found},
    limits::Ha,
    names::Names,
    rule::{Level, Rule},
};
use crate::id::ComponentId;

/// Looks for what is broken already. A roll keeps what holds; it cannot keep what does not.
pub(super) fn broken_now(cluster: &Cluster, names: &Names<'_>, found: &mut Found) {
    room(cluster, names, found);
    if let Ha::Dedicated { hosts, .. } = &cluster.limits.ha {
        for vm in cluster.vms.iter().filter(|vm| hosts.contains(&vm.host)) {
            found.add(
                FaultKind::BrokenNow,
                "limits.ha.dedicated",
                format!(
                    "machine {} runs on {}, which is kept for failures",
                    vm.id, vm.host
                ),
                "move it away first, or take the host out of the list",
            );
        }
    }
    for (at, rule) in cluster.rules.iter().enumerate() {
        let place = format!("rules[{at}].{}", rule.word());
        match rule {
            Rule::AntiAffinity {
                vms,
                level,
                max_per,
                soft: None,
            } => apart(cluster, names, found, &place, vms, *level, *max_per),
            Rule::Affinity {
                vms,
                level,
                soft: None,
            } => together(cluster, names, found, &place, vms, *level),
            Rule::Fence { vms, hosts } => fence(cluster, names, found, &place, vms, hosts, true),
            Rule::Avoid { vms, hosts } => fence(cluster, names, found, &place, vms, hosts, false),
            _ => {}
        }
    }
}

fn room(cluster: &Cluster, names: &Names<'_>, found: &mut Found) {
    let dims = cluster.resources.len();
    let mut used = vec![0_u64; cluster.hosts.len() * dims];
    for (at, vm) in cluster.vms.iter().enumerate() {
        let Some(host) = names.host(vm.host.as_str()) else {
            continue;
        };
        if cluster.hosts[host].state == HostState::Down {
            found.add(
                FaultKind::BrokenNow,
                format!("vms[{at}].host"),
                format!("machine {} runs on {}, which is down", vm.id, vm.host),
                "leave out a machine that does not run, or name the host it runs on now",
            );
        }
        for (dim, amount) in vm.demand.iter().enumerate() {
            used[host * dims + dim] += amount.unwrap_or(0);
        }
    }
    for (at, host) in cluster.hosts.iter().enumerate() {
        for dim in 0..dims {
            let own = host.reserve.get(dim).copied().flatten().unwrap_or(0);
            let has = host.capacity[dim].unwrap_or(0).saturating_sub(own);
            let takes = used[at * dims + dim];
            if takes > has {
                found.add(
                    FaultKind::BrokenNow,
                    format!("hosts[{at}].capacity[{dim}]"),
                    format!(
                        "the machines on {} take {takes} {}, and it has {has} for them",
                        host.id, cluster.resources[dim]
                    ),
                    "move machines away first, or count what they take and not what they are promised",
                );
            }
        }
    }
}

fn place_of(host: &Host, level: Level) -> &str {
    match level {
        Level::Host => host.id.as_str(),
        Level::Rack => host.rack.as_deref().unwrap_or_default(),
        Level::Site => host.site.as_deref().unwrap_or_default(),
    }
}

/// How many of the machines each place has.
fn counted<'c>(
    cluster: &'c Cluster,
    names: &Names<'_>,
    vms: &[ComponentId],
    level: Level,
) -> BTreeMap<&'c str, u32> {
    let mut count = BTreeMap::new();
    for vm in vms {
        let host = names
            .vm(vm.as_str())
            .and_then(|vm| names.host(cluster.vms[vm].host.as_str()));
        if let Some(host) = host {
            *count
                .entry(place_of(&cluster.hosts[host], level))
                .or_default() += 1;
        }
    }
    count
}

fn apart(
    cluster: &Cluster,
    names: &Names<'_>,
    found: &mut Found,
    place: &str,
    vms: &[ComponentId],
    level: Level,
    max_per: u32,
) {
    for (at, count) in counted(cluster, names, vms, level) {
        if count > max_per {
            found.add(
                FaultKind::BrokenNow,
                place,
                format!(
                    "{count} of its machines are in {} {at} now, at most {max_per} may",
                    level.word()
                ),
                "move them apart first, or make the rule soft",
            );
        }
    }
}

fn together(
    cluster: &Cluster,
    names: &Names<'_>,
    found: &mut Found,
    place: &str,
    vms: &[ComponentId],
    level: Level,
) {
    let count = counted(cluster, names, vms, level);
    if count.len() > 1 {
        let places: Vec<&str> = count.into_keys().collect();
        found.add(
            FaultKind::BrokenNow,
            place,
            format!("its machines are not together now: {}", places.join(", ")),
            "move them together first, or make the rule soft",
        );
    }
}

fn fence(
    cluster: &Cluster,
    names: &Names<'_>,
    found: &mut Found,
    place: &str,
    vms: &[ComponentId],
    hosts: &[ComponentId],
    inside: bool,
) {
    let listed: std::collections::BTreeSet<&ComponentId> = hosts.iter().collect();
    for vm in vms.iter().filter_map(|vm| names.vm(vm.as_str())) {
        let vm = &cluster.vms[vm];
        if listed.contains(&vm.host) != inside {
            found.add(
                FaultKind::BrokenNow,
                place,
                format!(
                    "machine {} runs on {} now, against this rule",
                    vm.id, vm.host
                ),
                "move it first, or change the rule",
            );
        }
    }
}
