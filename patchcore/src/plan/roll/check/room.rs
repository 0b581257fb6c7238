//! That a host has room for all that could be on it at once, both ends of every move counted.

use std::collections::BTreeMap;

use super::{
    breach::{BreachKind, Found},
    graph::Graph,
    trail::{Stay, Trails},
    view::{Act, View},
};

/// Checks every host, before and after its patch: between the two it is empty.
pub(super) fn room(view: &View<'_>, graph: &mut Graph<'_>, trails: &Trails, found: &mut Found) {
    let hosts = view.cluster.hosts.len();
    let cap = u128::from(view.cluster.limits.fill_cap_percent);
    let capped: Vec<u64> = view
        .room
        .iter()
        .map(|room| u64::try_from(u128::from(*room) * cap / 100).unwrap_or(u64::MAX))
        .collect();
    let phase_of = |stay: &Stay| stay.host * 2 + usize::from(stay.patched);
    let mut all = vec![0_u64; hosts * 2 * view.dims];
    for stay in &trails.stays {
        let phase = phase_of(stay);
        let sums = &mut all[phase * view.dims..(phase + 1) * view.dims];
        for (sum, amount) in sums.iter_mut().zip(view.demand_of(stay.vm)) {
            *sum += amount;
        }
    }
    // Where all that ever comes fits at once, the order does not matter.
    let mut tight: BTreeMap<usize, Vec<Stay>> = BTreeMap::new();
    for (phase, sums) in all.chunks_exact(view.dims).enumerate() {
        let capped = &capped[phase / 2 * view.dims..(phase / 2 + 1) * view.dims];
        if sums.iter().zip(capped).any(|(sum, cap)| sum > cap) {
            tight.insert(phase, Vec::new());
        }
    }
    if tight.is_empty() {
        return;
    }
    for stay in &trails.stays {
        if let Some(stays) = tight.get_mut(&phase_of(stay)) {
            stays.push(*stay);
        }
    }
    for (at, mut stays) in tight {
        stays.sort_by_key(|stay| stay.from);
        let host = at / 2;
        let capped = &capped[host * view.dims..(host + 1) * view.dims];
        phase(view, graph, host, &stays, capped, found);
    }
}

fn phase(
    view: &View<'_>,
    graph: &mut Graph<'_>,
    host: usize,
    stays: &[Stay],
    capped: &[u64],
    found: &mut Found,
) {
    let arrivals = stays.iter().position(|stay| stay.from.is_some());
    let Some(arrivals) = arrivals else { return };
    let room = view.room_of(host);
    // The last that has come is one of these; who was listed before it may be there unless it is sure to be gone.
    let mut come = vec![0_u64; view.dims];
    let mut leaving: Vec<&Stay> = Vec::new();
    for (at, stay) in stays.iter().enumerate() {
        for (sum, amount) in come.iter_mut().zip(view.demand_of(stay.vm)) {
            *sum += amount;
        }
        if stay.until.is_some() {
            leaving.push(stay);
        }
        let Some(step) = stay.from.filter(|_| at >= arrivals) else {
            continue;
        };
        // A machine that starts again where it was stopped fills nothing that it did not fill before.
        if !matches!(view.acts[step], Act::Move { .. }) {
            continue;
        }
        if come.iter().zip(capped).all(|(come, cap)| come <= cap) {
            continue;
        }
        let mut there = come.clone();
        for gone in &leaving {
            if gone.until.is_some_and(|until| graph.before(until, step)) {
                for (sum, amount) in there.iter_mut().zip(view.demand_of(gone.vm)) {
                    *sum -= amount;
                }
            }
        }
        for dim in 0..view.dims {
            let resource = &view.cluster.resources[dim];
            let name = view.host_name(host);
            if there[dim] > room[dim] {
                let message = format!(
                    "{} {resource} could be taken on {name} at once, and it has {} for machines",
                    there[dim], room[dim]
                );
                found.add(BreachKind::TooFull, Some(step), message);
            } else if there[dim] > capped[dim] && view.demand_of(stay.vm)[dim] > 0 {
                let message = format!(
                    "{} {resource} could be taken on {name} at once, and a move may fill it to {}",
                    there[dim], capped[dim]
                );
                found.add(BreachKind::FillCap, Some(step), message);
            }
        }
    }
}
