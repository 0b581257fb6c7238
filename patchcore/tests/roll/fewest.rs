//! The fewest bytes of a small cluster without levels, pins and windows, by looking at every way.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::plan::roll::{Cluster, Ha, Rule};

/// Where every machine is, and which hosts are patched.
type Node = (Vec<usize>, Vec<bool>);

/// The least memory that any order of single moves and patches copies; none where none patches all.
pub(crate) fn fewest_mib(cluster: &Cluster) -> Option<u64> {
    let host_of = |id: &str| cluster.hosts.iter().position(|h| h.id == *id).unwrap();
    let start: Node = (
        cluster
            .vms
            .iter()
            .map(|vm| host_of(vm.host.as_str()))
            .collect(),
        cluster.hosts.iter().map(|h| !h.needs_patch).collect(),
    );
    let mut done: BTreeSet<Node> = BTreeSet::new();
    let mut open: BTreeMap<(u64, Node), ()> = BTreeMap::new();
    open.insert((0, start), ());
    while let Some(((cost, node), ())) = open.pop_first() {
        if !done.insert(node.clone()) {
            continue;
        }
        let (at, patched) = &node;
        if patched.iter().all(|patched| *patched) {
            return Some(cost);
        }
        for (host, patched) in patched.iter().enumerate() {
            if !patched && !at.contains(&host) && reserve(cluster, host) {
                let mut next = node.clone();
                next.1[host] = true;
                open.insert((cost, next), ());
            }
        }
        for vm in 0..at.len() {
            for to in 0..patched.len() {
                if to != at[vm] && fits(cluster, at, vm, to) {
                    let mut next = node.clone();
                    next.0[vm] = to;
                    open.insert((cost + cluster.vms[vm].mem_mib.unwrap(), next), ());
                }
            }
        }
    }
    None
}

fn reserve(cluster: &Cluster, closed: usize) -> bool {
    (0..cluster.resources.len()).all(|dim| {
        let mut rooms: Vec<u64> = cluster
            .hosts
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != closed)
            .map(|(_, host)| host.capacity[dim].unwrap())
            .collect();
        rooms.sort_unstable();
        let demand: u64 = cluster.vms.iter().map(|vm| vm.demand[dim].unwrap()).sum();
        let sum: u64 = rooms.iter().sum();
        match cluster.limits.ha {
            Ha::Failures(1) => demand + rooms.last().unwrap_or(&0) <= sum,
            Ha::Percent(percent) => demand * 100 <= sum * u64::from(100 - percent),
            _ => true,
        }
    })
}

fn fits(cluster: &Cluster, at: &[usize], vm: usize, to: usize) -> bool {
    let room = (0..cluster.resources.len()).all(|dim| {
        let on = (0..at.len()).filter(|other| at[*other] == to);
        let used: u64 = on
            .map(|other| cluster.vms[other].demand[dim].unwrap())
            .sum();
        used + cluster.vms[vm].demand[dim].unwrap() <= cluster.hosts[to].capacity[dim].unwrap()
    });
    let apart = cluster.rules.iter().all(|rule| match rule {
        Rule::AntiAffinity { vms, .. } if vms.contains(&cluster.vms[vm].id) => !vms
            .iter()
            .filter_map(|id| cluster.vms.iter().position(|other| other.id == *id))
            .any(|other| other != vm && at[other] == to),
        _ => true,
    });
    room && apart
}
