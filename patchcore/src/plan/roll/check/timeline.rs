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

/// What both timelines of a roll are made from, in the order of its steps and of its hosts: the cluster itself is
/// too large to be looked at in the order in which things happen.
#[derive(Debug)]
pub(super) struct Pacing<'r> {
    view: &'r View<'r>,
    slots: Vec<Migration>,
    not_before: Vec<u64>,
    needs: Vec<u32>,
    /// How long each step takes at the usual pace, and at the slow one.
    lasts: Vec<[u64; 2]>,
    /// The steps that wait for each step.
    first: Vec<usize>,
    then: Vec<u32>,
}

const NO_SLOTS: Migration = Migration {
    in_slots: 1,
    out_slots: 1,
    mib_per_s: 1,
};

impl<'r> Pacing<'r> {
    pub(super) fn of(view: &'r View<'r>) -> Self {
        let all = view.cluster.migration.unwrap_or(NO_SLOTS);
        let hosts = view.cluster.hosts.iter();
        let slots: Vec<Migration> = hosts.map(|host| host.migration.unwrap_or(all)).collect();
        let steps = view.roll.steps.iter();
        let count = |needs: &Vec<u32>| u32::try_from(needs.len()).unwrap_or(u32::MAX);
        let (first, then) = followers(view);
        Self {
            not_before: steps
                .clone()
                .map(|s| s.not_before_ms.unwrap_or(0))
                .collect(),
            needs: steps.map(|step| count(&step.needs)).collect(),
            lasts: view
                .acts
                .iter()
                .map(|act| lasts(view, &slots, *act))
                .collect(),
            view,
            slots,
            first,
            then,
        }
    }
}

/// How long a step takes in half of the cases and in 95 % of them, in milliseconds.
fn lasts(view: &View<'_>, slots: &[Migration], act: Act) -> [u64; 2] {
    let costs = &view.cluster.costs;
    let usual = match act {
        Act::Close(_) | Act::Reopen(_) | Act::AwaitEnd { .. } => return [0, 0],
        Act::Patch(host) => {
            let own = view.cluster.hosts[host].patch_time;
            let time = own
                .or(view.cluster.patch_time)
                .unwrap_or(PatchTime { p50_s: 0, p95_s: 0 });
            return [1000 * time.p50_s, 1000 * time.p95_s];
        }
        Act::Stop { .. } => costs.stop_s * 1000,
        Act::Start { .. } => costs.start_s * 1000,
        Act::Move { vm, from, to, how } => {
            let vm = &view.cluster.vms[vm];
            let rate = slots[from].mib_per_s.min(slots[to].mib_per_s);
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
    let slow =
        usual / 1000 * costs.p95_permille + (usual % 1000 * costs.p95_permille).div_ceil(1000);
    [usual, slow]
}

/// Slots that are in use, and moves that wait for one.
struct Slots<'r> {
    pacing: &'r Pacing<'r>,
    out: Vec<u32>,
    into: Vec<u32>,
    all: u32,
    waits_out: Vec<BTreeSet<usize>>,
    waits_into: Vec<BTreeSet<usize>>,
    waits: BTreeSet<usize>,
    /// Who waits first at each place where a slot is free, with that place: out of a host, or into it.
    heads: BTreeSet<(usize, bool, usize)>,
}

impl Slots<'_> {
    fn most(&self) -> u32 {
        let limits = &self.pacing.view.cluster.limits;
        limits.max_migrations.unwrap_or(u32::MAX)
    }

    /// Takes the slots of a move, or puts it where the first slot that it lacks will be free.
    fn takes(&mut self, step: usize, from: usize, to: usize) -> bool {
        let most = self.most();
        if self.out[from] >= self.pacing.slots[from].out_slots {
            self.waits_out[from].insert(step);
        } else if self.into[to] >= self.pacing.slots[to].in_slots {
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

    /// Gives the slots back.
    fn gives(&mut self, from: usize, to: usize) {
        self.out[from] -= 1;
        self.into[to] -= 1;
        self.all -= 1;
        self.calls(false, from);
        self.calls(true, to);
    }

    /// Lets the first of those who wait at a place try again, as long as a slot is free there. All of them at once
    /// would be the square of them, and none begins that this one does not let by.
    fn calls(&mut self, into: bool, host: usize) {
        let known = self.pacing.slots[host];
        let (free, waits) = match into {
            false => (self.out[host] < known.out_slots, &self.waits_out[host]),
            true => (self.into[host] < known.in_slots, &self.waits_into[host]),
        };
        if let Some(first) = waits.first().filter(|_| free) {
            self.heads.insert((*first, into, host));
        }
    }

    /// The next step that may begin. Of those that wait for a slot of the whole cluster only as many try again as
    /// there are slots, for the same reason.
    fn next(&mut self, ready: &mut BTreeSet<usize>) -> Option<Next> {
        let most = self.most();
        let waits = self.waits.first().filter(|_| self.all < most);
        let head = self.heads.first().map(|(step, ..)| step);
        let first = [ready.first(), waits, head]
            .into_iter()
            .flatten()
            .min()
            .copied()?;
        if ready.remove(&first) || self.waits.remove(&first) {
            return Some(Next {
                step: first,
                at: None,
            });
        }
        let (step, into, host) = self.heads.pop_first()?;
        let waits = match into {
            false => &mut self.waits_out[host],
            true => &mut self.waits_into[host],
        };
        waits.remove(&step);
        Some(Next {
            step,
            at: Some((into, host)),
        })
    }
}

/// A step that may begin, and the place at which it waited.
struct Next {
    step: usize,
    at: Option<(bool, usize)>,
}

/// Runs the steps as early as their needs and the slots allow; who is listed first goes first.
pub(super) fn timeline(pacing: &Pacing<'_>, pace: Pace) -> Timeline {
    let view = pacing.view;
    let steps = view.acts.len();
    let hosts = view.cluster.hosts.len();
    let mut spans = vec![(0, 0); steps];
    let mut waits = pacing.needs.clone();
    let mut ready = BTreeSet::new();
    let mut later = BinaryHeap::new();
    for (step, waits) in waits.iter().enumerate() {
        if *waits == 0 {
            later.push(Reverse((pacing.not_before[step], false, step)));
        }
    }
    let mut slots = Slots {
        pacing,
        out: vec![0; hosts],
        into: vec![0; hosts],
        all: 0,
        waits_out: vec![BTreeSet::new(); hosts],
        waits_into: vec![BTreeSet::new(); hosts],
        waits: BTreeSet::new(),
        heads: BTreeSet::new(),
    };
    while let Some(Reverse((now, ends, step))) = later.pop() {
        if ends {
            if let Act::Move { from, to, .. } = view.acts[step] {
                slots.gives(from, to);
            }
            for next in &pacing.then[pacing.first[step]..pacing.first[step + 1]] {
                let next = *next as usize;
                waits[next] -= 1;
                if waits[next] == 0 && pacing.not_before[next] <= now {
                    ready.insert(next);
                } else if waits[next] == 0 {
                    later.push(Reverse((pacing.not_before[next], false, next)));
                }
            }
        } else {
            ready.insert(step);
        }
        // All that happens at one moment is seen before anything begins at it.
        if later.peek().is_some_and(|Reverse((at, ..))| *at == now) {
            continue;
        }
        while let Some(Next { step, at }) = slots.next(&mut ready) {
            let begins = match view.acts[step] {
                Act::Move { from, to, .. } => slots.takes(step, from, to),
                _ => true,
            };
            if let Some((into, host)) = at {
                slots.calls(into, host);
            }
            if !begins {
                continue;
            }
            let [usual, slow] = pacing.lasts[step];
            let lasts = if pace == Pace::P50 { usual } else { slow };
            let until = now.saturating_add(lasts);
            spans[step] = (now, until);
            later.push(Reverse((until, true, step)));
        }
    }
    Timeline { spans }
}

/// The steps that wait for each step.
fn followers(view: &View<'_>) -> (Vec<usize>, Vec<u32>) {
    let mut first = vec![0; view.acts.len() + 1];
    for need in view.roll.steps.iter().flat_map(|step| &step.needs) {
        first[*need as usize + 1] += 1;
    }
    for step in 1..first.len() {
        first[step] += first[step - 1];
    }
    let mut next = first.clone();
    let mut then = vec![0; first.last().copied().unwrap_or(0)];
    for (at, step) in (0_u32..).zip(&view.roll.steps) {
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
