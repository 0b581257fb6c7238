//! What may be closed at once: the reserve for failures, limits, exclusive hosts, and who goes before whom.

use std::collections::BTreeMap;

use super::{
    breach::{BreachKind, Found},
    graph::Graph,
    hosts::Cycle,
    view::{Act, View},
};
use crate::plan::roll::{cluster::HostState, limits::Ha, rule::Rule};

/// Hosts of which only so many may be closed or down at once.
struct Counter {
    kind: BreachKind,
    what: String,
    most: usize,
    down: usize,
}

/// The state of the cluster in which the most hosts are closed.
struct Closed<'r> {
    view: &'r View<'r>,
    counters: Vec<Counter>,
    /// The counters of each host.
    of_host: Vec<Vec<usize>>,
    /// What the open hosts have, of each resource: how many hosts have so much.
    open: Vec<BTreeMap<u64, usize>>,
    sum: Vec<u64>,
    demand: Vec<u64>,
    dedicated_open: usize,
}

pub(super) fn closes(
    view: &View<'_>,
    graph: &mut Graph<'_>,
    cycles: &[Option<Cycle>],
    found: &mut Found,
) {
    orders(view, graph, cycles, found);
    let mut closed = Closed::of(view);
    for host in 0..view.cluster.hosts.len() {
        if view.state(host) == HostState::Open {
            closed.count_open(host);
        } else {
            closed.count_down(host);
        }
    }
    let reopened: Vec<usize> = view
        .acts
        .iter()
        .filter_map(|act| match act {
            Act::Reopen(host) => Some(*host),
            _ => None,
        })
        .collect();
    let counts = |host: &&usize| cycles[**host].is_some();
    let mut opened = 0;
    for (step, act) in view.acts.iter().enumerate() {
        let Act::Close(host) = *act else { continue };
        if cycles[host].is_none() {
            continue;
        }
        let sure = graph.opened(step);
        for host in reopened.iter().take(sure).skip(opened).filter(counts) {
            closed.opens(*host);
        }
        // A close that is sure of less than the one before it sees those hosts closed again.
        for host in reopened.iter().take(opened).skip(sure).filter(counts) {
            closed.closes(*host);
        }
        opened = sure;
        if view.state(host) == HostState::Open {
            closed.closes(host);
        }
        closed.judge(step, host, found);
    }
}

impl<'r> Closed<'r> {
    fn of(view: &'r View<'r>) -> Self {
        let hosts = view.cluster.hosts.len();
        let limits = &view.cluster.limits;
        let mut this = Self {
            view,
            counters: Vec::new(),
            of_host: vec![Vec::new(); hosts],
            open: vec![BTreeMap::new(); view.dims],
            sum: vec![0; view.dims],
            demand: vec![0; view.dims],
            dedicated_open: 0,
        };
        for vm in 0..view.cluster.vms.len() {
            for (sum, amount) in this.demand.iter_mut().zip(view.demand_of(vm)) {
                *sum += amount;
            }
        }
        if let Some(most) = limits.max_hosts_down {
            this.counter(BreachKind::TooManyDown, "hosts", most, 0..hosts);
        }
        let domains = [
            (limits.max_down_per_rack, "hosts of rack"),
            (limits.max_down_per_site, "hosts of site"),
        ];
        for (at, (most, what)) in domains.into_iter().enumerate() {
            let Some(most) = most else { continue };
            let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (host, known) in view.cluster.hosts.iter().enumerate() {
                let name = if at == 0 { &known.rack } else { &known.site };
                let name = name.as_deref().unwrap_or_default();
                by_name.entry(name).or_default().push(host);
            }
            for (name, members) in by_name {
                let what = format!("{what} {name}");
                this.counter(BreachKind::TooManyDown, &what, most, members);
            }
        }
        for (at, rule) in view.cluster.rules.iter().enumerate() {
            if let Rule::Exclusive { hosts } = rule {
                let members = hosts.iter().filter_map(|h| view.names.host(h.as_str()));
                let what = format!("hosts of rules[{at}]");
                this.counter(BreachKind::Exclusive, &what, 1, members);
            }
        }
        this
    }

    fn counter(
        &mut self,
        kind: BreachKind,
        what: &str,
        most: u32,
        members: impl IntoIterator<Item = usize>,
    ) {
        for host in members {
            self.of_host[host].push(self.counters.len());
        }
        self.counters.push(Counter {
            kind,
            what: what.to_owned(),
            most: most as usize,
            down: 0,
        });
    }

    fn count_down(&mut self, host: usize) {
        for counter in &self.of_host[host] {
            self.counters[*counter].down += 1;
        }
    }

    fn count_open(&mut self, host: usize) {
        if self.view.dedicated[host] {
            self.dedicated_open += 1;
            return;
        }
        for (dim, room) in self.view.room_of(host).iter().enumerate() {
            *self.open[dim].entry(*room).or_default() += 1;
            self.sum[dim] += room;
        }
    }

    fn closes(&mut self, host: usize) {
        self.count_down(host);
        if self.view.dedicated[host] {
            self.dedicated_open -= 1;
            return;
        }
        for (dim, room) in self.view.room_of(host).iter().enumerate() {
            self.sum[dim] -= room;
            if let Some(count) = self.open[dim].get_mut(room) {
                *count -= 1;
                if *count == 0 {
                    self.open[dim].remove(room);
                }
            }
        }
    }

    fn opens(&mut self, host: usize) {
        for counter in &self.of_host[host] {
            self.counters[*counter].down -= 1;
        }
        self.count_open(host);
    }

    fn judge(&self, step: usize, host: usize, found: &mut Found) {
        // Whatever is down at once of what a counter counts was seen at the last close of one of these.
        for counter in self.of_host[host].iter().map(|at| &self.counters[*at]) {
            if counter.down > counter.most {
                let message = format!(
                    "{} {} could be closed or down at once, and at most {} may",
                    counter.down, counter.what, counter.most
                );
                found.add(counter.kind, Some(step), message);
            }
        }
        for dim in 0..self.view.dims {
            if let Some(lacks) = self.lacks(dim) {
                let message = format!(
                    "with {} closed, {lacks} {} of the reserve for failures would be gone",
                    self.view.host_name(host),
                    self.view.cluster.resources[dim]
                );
                found.add(BreachKind::HaReserve, Some(step), message);
            }
        }
        if let Ha::Dedicated { keep, .. } = self.view.cluster.limits.ha
            && self.dedicated_open < keep as usize
        {
            let message = format!(
                "{} of the hosts kept for failures would be open, and {keep} must be",
                self.dedicated_open
            );
            found.add(BreachKind::HaReserve, Some(step), message);
        }
    }

    /// By how much the open hosts miss all demand and the reserve.
    fn lacks(&self, dim: usize) -> Option<u64> {
        let (open, demand) = (self.sum[dim], self.demand[dim]);
        let usable = match self.view.cluster.limits.ha {
            // Nothing is reserved in sum: whether all fit is what the hosts' own room says.
            Ha::None | Ha::Dedicated { .. } => return None,
            Ha::Failures(hosts) => {
                let mut left = hosts as usize;
                let mut lost = 0;
                for (room, count) in self.open[dim].iter().rev() {
                    let fail = left.min(*count);
                    lost += room * fail as u64;
                    left -= fail;
                    if left == 0 {
                        break;
                    }
                }
                open - lost
            }
            // In 128 bits: an amount times a hundred may leave 64.
            Ha::Percent(percent) => {
                let share = u128::from(open) * u128::from(100 - percent.min(100)) / 100;
                u64::try_from(share).unwrap_or(u64::MAX)
            }
        };
        demand.checked_sub(usable).filter(|lacks| *lacks > 0)
    }
}

fn orders(view: &View<'_>, graph: &mut Graph<'_>, cycles: &[Option<Cycle>], found: &mut Found) {
    for (at, rule) in view.cluster.rules.iter().enumerate() {
        let Rule::Order { before, after } = rule else {
            continue;
        };
        let hosts = |names: &[crate::id::ComponentId]| -> Vec<usize> {
            names
                .iter()
                .filter_map(|h| view.names.host(h.as_str()))
                .collect()
        };
        for then in hosts(after) {
            let Some(cycle) = cycles[then] else { continue };
            for first in hosts(before) {
                let over = match cycles[first] {
                    Some(first) => graph.before(first.reopen, cycle.close),
                    None => !view.wants_patch(first),
                };
                if !over {
                    let message = format!(
                        "{} could close before {} is patched and open, against rules[{at}]",
                        view.host_name(then),
                        view.host_name(first)
                    );
                    found.add(BreachKind::Order, Some(cycle.close), message);
                }
            }
        }
    }
}
