//! The world in which the models of other tools act: identical hosts, two resources, moves by slots.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
};

use super::{
    slots::Slots,
    syn::{CAP, Instance},
    twister::Twister,
};

const PATCH_S: f64 = 1200.0;
const SLOTS: u32 = 4;

/// 8 s, and 1.1 times the memory at 0.625 GB/s.
fn lasts(gb: u32) -> f64 {
    8.0 + 1.1 * f64::from(gb) / 0.625
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    Waits,
    Closed,
    Down,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(usize),
    Up(usize),
}

/// How a machine's destination is chosen among those that it fits.
pub(super) enum Rule {
    MostFree,
    LeastFree,
    Random(Box<Twister>),
}

pub(super) struct Sim<'i> {
    pub(super) instance: &'i Instance,
    failures: u32,
    /// In seconds, rounded as in the published models: what is over first among equals depends on it.
    now: f64,
    events: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    pub(super) pos: Vec<usize>,
    pub(super) dst: Vec<Option<usize>>,
    used: Vec<(u32, u32)>,
    out: Vec<u32>,
    pub(super) into: Vec<u32>,
    groups: HashMap<(usize, usize), u32>,
    pub(super) on: Vec<Slots>,
    pub(super) stand: Vec<Stand>,
    pending: Vec<VecDeque<usize>>,
    /// Hosts with moves that wait.
    active: Slots,
    /// Moves that are under way or wait, out of each host and into each.
    coming: Vec<u32>,
    pub(super) moving: u32,
    pub(super) gb: u64,
    open: i64,
}

impl<'i> Sim<'i> {
    pub(super) fn new(instance: &'i Instance, failures: u32) -> Self {
        let hosts = instance.hosts;
        let mut sim = Self {
            instance,
            failures,
            now: 0.0,
            events: 0,
            queue: BinaryHeap::new(),
            pos: instance.pos.clone(),
            dst: vec![None; instance.pos.len()],
            used: vec![(0, 0); hosts],
            out: vec![0; hosts],
            into: vec![0; hosts],
            groups: HashMap::new(),
            on: vec![Slots::new(); hosts],
            stand: vec![Stand::Waits; hosts],
            pending: vec![VecDeque::new(); hosts],
            active: Slots::new(),
            coming: vec![0; hosts],
            moving: 0,
            gb: 0,
            open: i64::try_from(hosts).unwrap_or(0),
        };
        for (vm, host) in instance.pos.iter().enumerate() {
            sim.take(vm, *host);
            sim.on[*host].insert(vm);
        }
        sim
    }

    pub(super) fn fits(&self, vm: usize, host: usize) -> bool {
        let (gb, vcpu) = self.instance.req[vm];
        let (memory, cpus) = self.used[host];
        let apart = self.instance.grp[vm]
            .is_none_or(|group| self.groups.get(&(host, group)).copied().unwrap_or(0) == 0);
        memory + gb <= CAP.0 && cpus + vcpu <= CAP.1 && apart
    }

    /// The smaller free share, exactly, as a fraction of the product of both capacities.
    fn free(&self, host: usize) -> u32 {
        let (memory, cpus) = self.used[host];
        ((CAP.0 - memory) * CAP.1).min((CAP.1 - cpus) * CAP.0)
    }

    pub(super) fn take(&mut self, vm: usize, host: usize) {
        let (gb, vcpu) = self.instance.req[vm];
        self.used[host].0 += gb;
        self.used[host].1 += vcpu;
        if let Some(group) = self.instance.grp[vm] {
            *self.groups.entry((host, group)).or_default() += 1;
        }
    }

    fn drop(&mut self, vm: usize, host: usize) {
        let (gb, vcpu) = self.instance.req[vm];
        self.used[host].0 -= gb;
        self.used[host].1 -= vcpu;
        if let Some(group) = self.instance.grp[vm] {
            *self.groups.entry((host, group)).or_default() -= 1;
        }
    }

    /// Whether one more host may be closed, by sums.
    pub(super) fn may_close(&self) -> bool {
        let left = self.open - 1 - i64::from(self.failures);
        let sum = |of: fn(&(u32, u32)) -> u32| -> i64 {
            self.instance.req.iter().map(|r| i64::from(of(r))).sum()
        };
        left * i64::from(CAP.0) >= sum(|r| r.0) && left * i64::from(CAP.1) >= sum(|r| r.1)
    }

    /// A machine moves to where its room was taken.
    pub(super) fn commit(&mut self, vm: usize, host: usize) {
        self.dst[vm] = Some(host);
        self.coming[host] += 1;
        let from = self.pos[vm];
        self.pending[from].push_back(vm);
        self.active.insert(from);
        self.kick(from);
    }

    fn kick(&mut self, from: usize) {
        for _ in 0..self.pending[from].len() {
            let Some(vm) = self.pending[from].pop_front() else {
                return;
            };
            let Some(to) = self.dst[vm] else { continue };
            if self.out[from] < SLOTS && self.into[to] < SLOTS {
                self.out[from] += 1;
                self.into[to] += 1;
                self.moving += 1;
                let at = self.now + lasts(self.instance.req[vm].0);
                self.push(at, Event::Arrives(vm));
            } else {
                self.pending[from].push_back(vm);
            }
        }
        if self.pending[from].is_empty() {
            self.active.remove(from);
        }
    }

    fn push(&mut self, at: f64, event: Event) {
        self.events += 1;
        // The bits of positive numbers are ordered as they are.
        self.queue.push(Reverse((at.to_bits(), self.events, event)));
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of days at most"
    )]
    pub(super) fn ms(&self) -> u64 {
        (self.now * 1000.0).round() as u64
    }

    pub(super) fn receives(&self, host: usize) -> bool {
        self.coming[host] > 0
    }

    pub(super) fn waits(&self) -> bool {
        self.moving > 0 || !self.active.is_empty()
    }

    pub(super) fn close(&mut self, host: usize) {
        self.stand[host] = Stand::Closed;
        self.open -= 1;
        self.maybe_down(host);
    }

    fn maybe_down(&mut self, host: usize) {
        if self.stand[host] == Stand::Closed && self.on[host].is_empty() {
            self.stand[host] = Stand::Down;
            self.push(self.now + PATCH_S, Event::Up(host));
        }
    }

    pub(super) fn step(&mut self) -> bool {
        let Some(Reverse((at, _, event))) = self.queue.pop() else {
            return false;
        };
        self.now = f64::from_bits(at);
        match event {
            Event::Arrives(vm) => {
                let from = self.pos[vm];
                let Some(to) = self.dst[vm].take() else {
                    return true;
                };
                self.out[from] -= 1;
                self.into[to] -= 1;
                self.coming[to] -= 1;
                self.moving -= 1;
                self.on[from].remove(vm);
                self.on[to].insert(vm);
                self.drop(vm, from);
                self.pos[vm] = to;
                self.gb += u64::from(self.instance.req[vm].0);
                for host in self.active.iter().collect::<Vec<_>>() {
                    self.kick(host);
                }
                self.maybe_down(from);
            }
            Event::Up(host) => {
                self.stand[host] = Stand::Done;
                self.open += 1;
            }
        }
        true
    }

    /// Destinations for all, whose room is taken; nothing is taken where one finds none.
    pub(super) fn pack(
        &mut self,
        vms: &[usize],
        hosts: &[usize],
        rule: &mut Rule,
    ) -> Option<Vec<(usize, usize)>> {
        let mut order = vms.to_vec();
        let share = |vm: &usize| {
            let (gb, vcpu) = self.instance.req[*vm];
            Reverse((gb * CAP.1).max(vcpu * CAP.0))
        };
        order.sort_by_key(share);
        let mut found: Vec<(usize, usize)> = Vec::new();
        for vm in order {
            let fit: Vec<usize> = hosts
                .iter()
                .copied()
                .filter(|host| self.fits(vm, *host))
                .collect();
            let host = match rule {
                // The first of those that are alike.
                Rule::MostFree => fit
                    .iter()
                    .rev()
                    .max_by_key(|host| self.free(**host))
                    .copied(),
                Rule::LeastFree => fit.iter().min_by_key(|host| self.free(**host)).copied(),
                Rule::Random(_) if fit.is_empty() => None,
                Rule::Random(dice) => Some(fit[dice.below(fit.len())]),
            };
            let Some(host) = host else {
                for (vm, host) in found {
                    self.drop(vm, host);
                }
                return None;
            };
            self.take(vm, host);
            found.push((vm, host));
        }
        Some(found)
    }
}
