//! What holds between machines: apart, together, and enough of them up.

use std::collections::BTreeMap;

use super::{
    breach::{BreachKind, Found},
    graph::Graph,
    trail::Trails,
    view::View,
};
use crate::{
    id::ComponentId,
    plan::roll::rule::{Level, Rule},
};

pub(super) fn groups(view: &View<'_>, graph: &mut Graph<'_>, trails: &Trails, found: &mut Found) {
    for (at, rule) in view.cluster.rules.iter().enumerate() {
        match rule {
            Rule::AntiAffinity {
                vms,
                level,
                max_per,
                soft: None,
            } => {
                let most = *max_per as usize;
                for (place, visits) in visits(view, trails, vms, *level) {
                    apart(graph, at, &place, visits, most, found);
                }
            }
            Rule::Affinity {
                vms,
                level,
                soft: None,
            } => together(view, trails, at, vms, *level, found),
            Rule::KeepUp { vms, keep } => keep_up(view, graph, trails, at, vms, *keep, found),
            _ => {}
        }
    }
}

fn members(view: &View<'_>, vms: &[ComponentId]) -> Vec<usize> {
    vms.iter()
        .filter_map(|vm| view.names.vm(vm.as_str()))
        .collect()
}

fn place(view: &View<'_>, host: usize, level: Level) -> String {
    let known = &view.cluster.hosts[host];
    match level {
        Level::Host => known.id.to_string(),
        Level::Rack => known.rack.clone().unwrap_or_default(),
        Level::Site => known.site.clone().unwrap_or_default(),
    }
}

/// From which step to which a machine is in one place.
type Visit = (Option<usize>, Option<usize>);

fn visits(
    view: &View<'_>,
    trails: &Trails,
    vms: &[ComponentId],
    level: Level,
) -> BTreeMap<String, Vec<Visit>> {
    let mut all: BTreeMap<String, Vec<Visit>> = BTreeMap::new();
    for vm in members(view, vms) {
        let mut last: Option<(String, Visit)> = None;
        for stay in trails.of(vm) {
            let here = place(view, stay.host, level);
            match &mut last {
                // From one host to the next in the same place: it was there all the time.
                Some((place, visit)) if *place == here => visit.1 = stay.until,
                _ => {
                    if let Some((place, visit)) = last.take() {
                        all.entry(place).or_default().push(visit);
                    }
                    last = Some((here, (stay.from, stay.until)));
                }
            }
        }
        if let Some((place, visit)) = last {
            all.entry(place).or_default().push(visit);
        }
    }
    all
}

fn apart(
    graph: &mut Graph<'_>,
    rule: usize,
    place: &str,
    mut visits: Vec<Visit>,
    most: usize,
    found: &mut Found,
) {
    if visits.len() <= most {
        return;
    }
    visits.sort_by_key(|visit| visit.0);
    for (at, (from, _)) in visits.iter().enumerate() {
        let Some(step) = *from else { continue };
        let mut there = 1;
        for (_, until) in &visits[..at] {
            let gone = until.is_some_and(|until| graph.before(until, step));
            there += usize::from(!gone);
        }
        if there > most {
            let message = format!(
                "{there} machines of rules[{rule}] could be in {place} at once, at most {most} may"
            );
            found.add(BreachKind::AntiAffinity, Some(step), message);
        }
    }
}

/// All go the same way. While they are moving they are apart, which no move of several machines avoids.
fn together(
    view: &View<'_>,
    trails: &Trails,
    rule: usize,
    vms: &[ComponentId],
    level: Level,
    found: &mut Found,
) {
    let mut ways = members(view, vms).into_iter().map(|vm| {
        let mut way: Vec<String> = Vec::new();
        let mut last = None;
        for stay in trails.of(vm) {
            let here = place(view, stay.host, level);
            if way.last() != Some(&here) {
                way.push(here);
            }
            last = Some(stay);
        }
        // One that ended is nowhere any more.
        let ended = last.is_none_or(|stay| stay.until.is_some());
        (vm, way, ended)
    });
    let Some((first, way, _)) = ways.find(|(_, _, ended)| !ended) else {
        return;
    };
    for (other, another, ended) in ways {
        if !ended && another != way {
            let message = format!(
                "{} goes {} and {} goes {}, and rules[{rule}] keeps them together",
                view.vm_name(first),
                way.join(", "),
                view.vm_name(other),
                another.join(", ")
            );
            found.add(BreachKind::Affinity, None, message);
        }
    }
}

fn keep_up(
    view: &View<'_>,
    graph: &mut Graph<'_>,
    trails: &Trails,
    rule: usize,
    vms: &[ComponentId],
    keep: u32,
    found: &mut Found,
) {
    let members = members(view, vms);
    let most = members.len().saturating_sub(keep as usize);
    let mut away: Vec<(usize, usize)> = members
        .iter()
        .flat_map(|vm| trails.away[*vm].iter().copied())
        .collect();
    if away.len() <= most {
        return;
    }
    away.sort_unstable();
    for (at, (from, _)) in away.iter().enumerate() {
        let mut at_once = 1;
        for (_, until) in &away[..at] {
            at_once += usize::from(!graph.before(*until, *from));
        }
        if at_once > most {
            let message = format!(
                "{at_once} machines of rules[{rule}] could be moving or stopped at once, and {keep} must be up"
            );
            found.add(BreachKind::KeepUp, Some(*from), message);
        }
    }
}
