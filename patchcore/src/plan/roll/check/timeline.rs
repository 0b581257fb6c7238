//! When each step begins and ends, from the steps' needs and the hosts' slots alone.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

use super::{
    breach::{BreachKind, Found},
    hosts::Cycle,
    trail::Trails,
    view::{Act, View},
};
use crate::plan::roll::{
    cluster::{Migration, PatchTime},
    limits::RollWindow,
    step::How,
};

/// How fast things go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// As in half of the cases.
    P50,
    /// As in 95 % of the cases.
    P95,
}

/// When each step begins and ends, in milliseconds after the roll began.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub(super) spans: Vec<(u64, u64)>,
}

impl Timeline {
    pub(super) fn makespan(&self) -> u64 {
        self.spans.iter().map(|span| span.1).max().unwrap_or(0)
    }
}

const NO_SLOTS: Migration = Migration {
    in_slots: 1,
    out_slots: 1,
    mib_per_s: 1,
};

fn slots(view: &View<'_>, host: usize) -> Migration {
    let own = view.cluster.hosts[host].migration;
    own.or(view.cluster.migration).unwrap_or(NO_SLOTS)
}

/// How long a step takes, in milliseconds.
fn lasts(view: &View<'_>, act: Act, pace: Pace) -> u64 {
    let costs = &view.cluster.costs;
    let usual = match act {
        Act::Close(_) | Act::Reopen(_) | Act::AwaitEnd { .. } => return 0,
        Act::Patch(host) => {
            let own = view.cluster.hosts[host].patch_time;
            let time = own
                .or(view.cluster.patch_time)
                .unwrap_or(PatchTime { p50_s: 0, p95_s: 0 });
            return 1000
                * if pace == Pace::P50 {
                    time.p50_s
                } else {
                    time.p95_s
                };
        }
        Act::Stop { .. } => costs.stop_s * 1000,
        Act::Start { .. } => costs.start_s * 1000,
        Act::Move { vm, from, to, how } => {
            let vm = &view.cluster.vms[vm];
            let rate = slots(view, from).mib_per_s.min(slots(view, to).mib_per_s);
            // MiB times thousandths over MiB per second are milliseconds.
            let memory = (vm.mem_mib.unwrap_or(0) * costs.overhead_permille).div_ceil(rate);
            let disk = (vm.disk_mib * 1000).div_ceil(rate);
            match how {
                How::Live => costs.fixed_ms + memory,
                How::Storage => costs.fixed_ms + memory + disk,
                How::Cold => (costs.stop_s + costs.start_s) * 1000 + disk,
            }
        }
    };
    match pace {
        Pace::P50 => usual,
        Pace::P95 => {
            usual / 1000 * costs.p95_permille + (usual % 1000 * costs.p95_permille).div_ceil(1000)
        }
    }
}

/// Slots that are in use, and moves that wait for one.
struct Slots<'r> {
    view: &'r View<'r>,
    out: Vec<u32>,
    into: Vec<u32>,
    all: u32,
    waits_out: Vec<BTreeSet<usize>>,
    waits_into: Vec<BTreeSet<usize>>,
    waits: BTreeSet<usize>,
}

impl Slots<'_> {
    /// Takes the slots of a move, or puts it where the first slot that it lacks will be free.
    fn takes(&mut self, step: usize, from: usize, to: usize) -> bool {
        let most = self.view.cluster.limits.max_migrations.unwrap_or(u32::MAX);
        if self.out[from] >= slots(self.view, from).out_slots {
            self.waits_out[from].insert(step);
        } else if self.into[to] >= slots(self.view, to).in_slots {
            self.waits_into[to].insert(step);
        } else if self.all >= most {
            self.waits.insert(step);
        } else {
            self.out[from] += 1;
            self.into[to] += 1;
            self.all += 1;
            return true;
        }
        false
    }

    /// Gives the slots back; whoever waited for one tries again.
    fn gives(&mut self, from: usize, to: usize, ready: &mut BTreeSet<usize>) {
        self.out[from] -= 1;
        self.into[to] -= 1;
        self.all -= 1;
        ready.append(&mut self.waits_out[from]);
        ready.append(&mut self.waits_into[to]);
    }

    /// The next step that may begin. Of those that wait for a slot of the whole cluster only as many try again as
    /// there are slots: all of them each time would be the square of them.
    fn next(&mut self, ready: &mut BTreeSet<usize>) -> Option<usize> {
        let most = self.view.cluster.limits.max_migrations.unwrap_or(u32::MAX);
        let waits = self.waits.first().filter(|_| self.all < most);
        match (ready.first(), waits) {
            (Some(ready), Some(waits)) if waits < ready => self.waits.pop_first(),
            (None, Some(_)) => self.waits.pop_first(),
            _ => ready.pop_first(),
        }
    }
}

/// Runs the steps as early as their needs and the slots allow; who is listed first goes first.
pub(super) fn timeline(view: &View<'_>, pace: Pace) -> Timeline {
    let steps = view.acts.len();
    let hosts = view.cluster.hosts.len();
    let mut spans = vec![(0, 0); steps];
    let (first, then) = followers(view);
    let mut waits: Vec<u32> = vec![0; steps];
    let mut ready = BTreeSet::new();
    let mut later = BinaryHeap::new();
    for (step, waits) in waits.iter_mut().enumerate() {
        *waits = u32::try_from(view.roll.steps[step].needs.len()).unwrap_or(u32::MAX);
        if *waits == 0 {
            later.push(Reverse((not_before(view, step), false, step)));
        }
    }
    let mut slots = Slots {
        view,
        out: vec![0; hosts],
        into: vec![0; hosts],
        all: 0,
        waits_out: vec![BTreeSet::new(); hosts],
        waits_into: vec![BTreeSet::new(); hosts],
        waits: BTreeSet::new(),
    };
    while let Some(Reverse((now, ends, step))) = later.pop() {
        if ends {
            if let Act::Move { from, to, .. } = view.acts[step] {
                slots.gives(from, to, &mut ready);
            }
            for next in &then[first[step]..first[step + 1]] {
                waits[*next] -= 1;
                if waits[*next] == 0 {
                    later.push(Reverse((now.max(not_before(view, *next)), false, *next)));
                }
            }
        } else {
            ready.insert(step);
        }
        // All that happens at one moment is seen before anything begins at it.
        if later.peek().is_some_and(|Reverse((at, ..))| *at == now) {
            continue;
        }
        while let Some(step) = slots.next(&mut ready) {
            if let Act::Move { from, to, .. } = view.acts[step]
                && !slots.takes(step, from, to)
            {
                continue;
            }
            let until = now.saturating_add(lasts(view, view.acts[step], pace));
            spans[step] = (now, until);
            later.push(Reverse((until, true, step)));
        }
    }
    Timeline { spans }
}

fn not_before(view: &View<'_>, step: usize) -> u64 {
    view.roll.steps[step].not_before_ms.unwrap_or(0)
}

/// The steps that wait for each step.
fn followers(view: &View<'_>) -> (Vec<usize>, Vec<usize>) {
    let mut first = vec![0; view.acts.len() + 1];
    for need in view.roll.steps.iter().flat_map(|step| &step.needs) {
        first[*need as usize + 1] += 1;
    }
    for step in 1..first.len() {
        first[step] += first[step - 1];
    }
    let mut next = first.clone();
    let mut then = vec![0; first.last().copied().unwrap_or(0)];
    for (at, step) in view.roll.steps.iter().enumerate() {
        for need in &step.needs {
            then[next[*need as usize]] = at;
            next[*need as usize] += 1;
        }
    }
    (first, then)
}

/// Every move, and every host from its close until its machines are back, stays inside one window.
pub(super) fn windows(
    view: &View<'_>,
    cycles: &[Option<Cycle>],
    trails: &Trails,
    timeline: &Timeline,
    found: &mut Found,
) {
    let windows = &view.cluster.limits.windows;
    if windows.is_empty() {
        return;
    }
    let inside = |from: u64, until: u64| {
        let holds =
            |window: &RollWindow| from >= window.from_s * 1000 && until <= window.until_s * 1000;
        windows.iter().any(holds)
    };
    let spans = &timeline.spans;
    for (step, act) in view.acts.iter().enumerate() {
        let (from, until) = spans[step];
        if let Act::Move { vm, .. } = act
            && !inside(from, until)
        {
            let message = format!("{} would move outside of every window", view.vm_name(*vm));
            found.add(BreachKind::OutsideWindow, Some(step), message);
        }
    }
    let mut back: Vec<u64> = vec![0; cycles.len()];
    for (vm, away) in trails.away.iter().enumerate() {
        for (from, until) in away.iter().filter(|(from, until)| from < until) {
            let host = trails.of(vm).iter().find(|stay| stay.until == Some(*from));
            if let Some(stay) = host {
                back[stay.host] = back[stay.host].max(spans[*until].1);
            }
        }
    }
    for (host, cycle) in cycles.iter().enumerate() {
        let Some(cycle) = cycle else { continue };
        let from = spans[cycle.close].0;
        let until = spans[cycle.reopen].1.max(back[host]);
        if !inside(from, until) {
            let message = format!(
                "{} would be closed outside of every window",
                view.host_name(host)
            );
            found.add(BreachKind::OutsideWindow, Some(cycle.close), message);
        }
    }
}
