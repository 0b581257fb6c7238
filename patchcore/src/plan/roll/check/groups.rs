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
    let mut places = Places::of(view);
    for (at, rule) in view.cluster.rules.iter().enumerate() {
        match rule {
            Rule::AntiAffinity {
                vms,
                level,
                max_per,
                soft: None,
            } => {
                let most = *max_per as usize;
                let mut visits = visits(view, trails, vms, places.at(*level));
                visits.sort_unstable();
                for there in visits.chunk_by(|a, b| a.0 == b.0) {
                    let place = || places.name(*level, there[0].0);
                    apart(graph, at, place, there, most, found);
                }
            }
            Rule::Affinity {
                vms,
                level,
                soft: None,
            } => {
                let all = places.at(*level);
                if let Some([first, other]) = strays(view, trails, vms, all) {
                    let message = format!(
                        "{} goes {} and {} goes {}, and rules[{at}] keeps them together",
                        view.vm_name(first.0),
                        places.names(*level, &first.1),
                        view.vm_name(other.0),
                        places.names(*level, &other.1)
                    );
                    found.add(BreachKind::Affinity, None, message);
                }
            }
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

/// The place of each host, by the number of the first host in it.
struct Places<'r> {
    view: &'r View<'r>,
    levels: [Vec<usize>; 3],
}

impl<'r> Places<'r> {
    fn of(view: &'r View<'r>) -> Self {
        Self {
            view,
            levels: [Vec::new(), Vec::new(), Vec::new()],
        }
    }

    fn word(&self, level: Level, host: usize) -> &'r str {
        let known = &self.view.cluster.hosts[host];
        match level {
            Level::Host => known.id.as_str(),
            Level::Rack => known.rack.as_deref().unwrap_or_default(),
            Level::Site => known.site.as_deref().unwrap_or_default(),
        }
    }

    /// The places at a level; they are looked for when a rule first asks.
    fn at(&mut self, level: Level) -> &[usize] {
        if self.levels[level as usize].is_empty() {
            let mut first: BTreeMap<&str, usize> = BTreeMap::new();
            let hosts = 0..self.view.cluster.hosts.len();
            let places = hosts.map(|host| *first.entry(self.word(level, host)).or_insert(host));
            self.levels[level as usize] = places.collect();
        }
        &self.levels[level as usize]
    }

    fn name(&self, level: Level, place: usize) -> &'r str {
        self.word(level, place)
    }

    fn names(&self, level: Level, way: &[usize]) -> String {
        let names: Vec<&str> = way.iter().map(|place| self.word(level, *place)).collect();
        names.join(", ")
    }
}

/// From which step to which a machine is in one place.
type Visit = (usize, Option<usize>, Option<usize>);

fn visits(view: &View<'_>, trails: &Trails, vms: &[ComponentId], places: &[usize]) -> Vec<Visit> {
    let mut all: Vec<Visit> = Vec::new();
    for vm in members(view, vms) {
        let own = all.len();
        for stay in trails.of(vm) {
            let here = places[stay.host];
            match all[own..].last_mut() {
                // From one host to the next in the same place: it was there all the time.
                Some(visit) if visit.0 == here => visit.2 = stay.until,
                _ => all.push((here, stay.from, stay.until)),
            }
        }
    }
    all
}

/// Visits of one place, in the order in which they begin.
fn apart<'p>(
    graph: &mut Graph<'_>,
    rule: usize,
    place: impl Fn() -> &'p str,
    visits: &[Visit],
    most: usize,
    found: &mut Found,
) {
    if visits.len() <= most {
        return;
    }
    for (at, (_, from, _)) in visits.iter().enumerate() {
        let Some(step) = *from else { continue };
        let mut there = 1;
        for (_, _, until) in &visits[..at] {
            let gone = until.is_some_and(|until| graph.before(until, step));
            there += usize::from(!gone);
        }
        if there > most {
            let message = format!(
                "{there} machines of rules[{rule}] could be in {} at once, at most {most} may",
                place()
            );
            found.add(BreachKind::AntiAffinity, Some(step), message);
        }
    }
}

/// A machine and the places that it goes through.
type Route = (usize, Vec<usize>);

/// The first two that do not go the same way. While they are moving they are apart, which no move of several machines
/// avoids.
fn strays(
    view: &View<'_>,
    trails: &Trails,
    vms: &[ComponentId],
    places: &[usize],
) -> Option<[Route; 2]> {
    let mut routes = members(view, vms).into_iter().filter_map(|vm| {
        let mut way: Vec<usize> = Vec::new();
        for stay in trails.of(vm) {
            if way.last() != Some(&places[stay.host]) {
                way.push(places[stay.host]);
            }
        }
        // One that ended is nowhere any more.
        let remains = trails.of(vm).last()?.until.is_none();
        remains.then_some((vm, way))
    });
    let first = routes.next()?;
    let other = routes.find(|(_, way)| *way != first.1)?;
    Some([first, other])
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
        .flat_map(|vm| trails.away_of(*vm).iter().copied())
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
