//! When each step begins and ends, from the steps' needs and the hosts' slots alone.

use std::{cmp::Reverse, collections::BinaryHeap};

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
            let (memory, disk) = view.copies[vm];
            let rate = slots[from].mib_per_s.min(slots[to].mib_per_s);
            // MiB times thousandths over MiB per second are milliseconds.
            let memory = (memory * costs.overhead_permille).div_ceil(rate);
            let disk = (disk * 1000).div_ceil(rate);
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

/// Steps of which the one that is listed first comes out first.
type Queue = BinaryHeap<Reverse<u32>>;

/// Nowhere does a step wait.
const NOWHERE: u32 = u32::MAX;

/// A place where moves wait for a slot: out of a host, into it, or in the whole cluster.
fn place(host: usize, into: bool) -> usize {
    host * 2 + usize::from(into)
}

/// Slots that are in use, and moves that wait for one.
struct Slots<'r> {
    pacing: &'r Pacing<'r>,
    out: Vec<u32>,
    into: Vec<u32>,
    all: u32,
    most: u32,
    ready: Queue,
    /// Who waits at each place; the last of them is the whole cluster.
    waits: Vec<Queue>,
    /// The place at which each step waits. One that has left stays in the queue until it is its first.
    at: Vec<u32>,
    /// Who waits first at each place where a slot is free, and whether a step is one of these.
    heads: Queue,
    headed: Vec<bool>,
}

impl<'r> Slots<'r> {
    fn of(pacing: &'r Pacing<'r>) -> Self {
        let hosts = pacing.slots.len();
        let steps = pacing.needs.len();
        let limits = &pacing.view.cluster.limits;
        Self {
            pacing,
            out: vec![0; hosts],
            into: vec![0; hosts],
            all: 0,
            most: limits.max_migrations.unwrap_or(u32::MAX),
            ready: Queue::new(),
            waits: vec![Queue::new(); hosts * 2 + 1],
            at: vec![NOWHERE; steps],
            heads: Queue::new(),
            headed: vec![false; steps],
        }
    }

    /// Takes the slots of a move, or puts it where the first slot that it lacks will be free.
    fn takes(&mut self, step: u32, from: usize, to: usize) -> bool {
        let at = if self.out[from] >= self.pacing.slots[from].out_slots {
            place(from, false)
        } else if self.into[to] >= self.pacing.slots[to].in_slots {
            place(to, true)
        } else if self.all >= self.most {
            self.waits.len() - 1
        } else {
            self.out[from] += 1;
            self.into[to] += 1;
            self.all += 1;
            return true;
        };
        self.at[step as usize] = short(at);
        self.waits[at].push(Reverse(step));
        false
    }

    /// Gives the slots back.
    fn gives(&mut self, from: usize, to: usize) {
        self.out[from] -= 1;
        self.into[to] -= 1;
        self.all -= 1;
        self.calls(place(from, false));
        self.calls(place(to, true));
    }

    /// Who waits first at a place.
    fn first(&mut self, at: usize) -> Option<u32> {
        while let Some(Reverse(step)) = self.waits[at].peek().copied() {
            if self.at[step as usize] == short(at) {
                return Some(step);
            }
            self.waits[at].pop();
        }
        None
    }

    /// Lets the first of those who wait at a place try again, as long as a slot is free there. All of them at once
    /// would be the square of them, and none begins that this one does not let by.
    fn calls(&mut self, at: usize) {
        let host = at / 2;
        let known = self.pacing.slots[host];
        let free = match at % 2 {
            0 => self.out[host] < known.out_slots,
            _ => self.into[host] < known.in_slots,
        };
        if free
            && let Some(first) = self.first(at)
            && !std::mem::replace(&mut self.headed[first as usize], true)
        {
            self.heads.push(Reverse(first));
        }
    }

    /// The next step that may begin, and the place at which it waited. Of those that wait for a slot of the whole
    /// cluster only as many try again as there are slots, for the same reason.
    fn next(&mut self) -> Option<(u32, Option<usize>)> {
        let whole = self.waits.len() - 1;
        let waits = match self.all < self.most {
            true => self.first(whole),
            false => None,
        };
        let ready = self.ready.peek().map(|Reverse(step)| *step);
        let head = self.heads.peek().map(|Reverse(step)| *step);
        let first = [ready, waits, head].into_iter().flatten().min()?;
        if ready == Some(first) {
            self.ready.pop();
            return Some((first, None));
        }
        let at = std::mem::replace(&mut self.at[first as usize], NOWHERE) as usize;
        if waits == Some(first) {
            return Some((first, None));
        }
        self.heads.pop();
        self.headed[first as usize] = false;
        Some((first, Some(at)))
    }
}

/// A number of a step or of a place: a roll has fewer than 2^32 steps.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NOWHERE)
}

/// Runs the steps as early as their needs and the slots allow; who is listed first goes first.
pub(super) fn timeline(pacing: &Pacing<'_>, pace: Pace) -> Timeline {
    let view = pacing.view;
    let mut spans = vec![(0, 0); view.acts.len()];
    let mut waits = pacing.needs.clone();
    let mut slots = Slots::of(pacing);
    // When which step may begin, or ends.
    let mut later = BinaryHeap::new();
    for (step, waits) in (0_u32..).zip(&waits) {
        if *waits == 0 {
            later.push(Reverse((pacing.not_before[step as usize], step, false)));
        }
    }
    while let Some(Reverse((now, step, ends))) = later.pop() {
        if ends {
            let step = step as usize;
            if let Act::Move { from, to, .. } = view.acts[step] {
                slots.gives(from, to);
            }
            for next in &pacing.then[pacing.first[step]..pacing.first[step + 1]] {
                let at = *next as usize;
                waits[at] -= 1;
                if waits[at] == 0 && pacing.not_before[at] <= now {
                    slots.ready.push(Reverse(*next));
                } else if waits[at] == 0 {
                    later.push(Reverse((pacing.not_before[at], *next, false)));
                }
            }
        } else {
            slots.ready.push(Reverse(step));
        }
        // All that happens at one moment is seen before anything begins at it.
        if later.peek().is_some_and(|Reverse((at, ..))| *at == now) {
            continue;
        }
        while let Some((step, at)) = slots.next() {
            let begins = match view.acts[step as usize] {
                Act::Move { from, to, .. } => slots.takes(step, from, to),
                _ => true,
            };
            if let Some(at) = at {
                slots.calls(at);
            }
            if !begins {
                continue;
            }
            let [usual, slow] = pacing.lasts[step as usize];
            let lasts = if pace == Pace::P50 { usual } else { slow };
            let until = now.saturating_add(lasts);
            spans[step as usize] = (now, until);
            later.push(Reverse((until, step, true)));
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
    for vm in 0..view.cluster.vms.len() {
        for (from, until) in trails
            .away_of(vm)
            .iter()
            .filter(|(from, until)| from < until)
        {
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
