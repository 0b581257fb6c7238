//! From what was decided and when, to steps and what each waits for.
//!
//! A step waits for all that made it possible in the planner's own reckoning, so that it is possible in every other:
//! a close for every host that had come back, an arrival for whoever had to leave before it.

use std::collections::HashMap;

use super::{
    ground::{Ground, NONE, Role, short},
    record::{Did, Entry, Record},
};
use crate::plan::roll::step::{Action, HostLeftOut, Reason, Roll, Step, WhyNotRolled};

/// Somebody left a place, or is back in service, with this step.
#[derive(Debug, Clone, Copy)]
struct Over {
    step: u32,
    vm: u32,
    until: u64,
}

/// A host, before or after its patch.
#[derive(Debug, Clone, Default)]
struct Side {
    /// Everything that is ever on it.
    total: Vec<u64>,
    left: Vec<Over>,
}

struct Writer<'g> {
    ground: &'g Ground<'g>,
    record: &'g Record,
    needs: Vec<Vec<u32>>,
    sides: Vec<[Side; 2]>,
    patched: Vec<bool>,
    close: Vec<u32>,
    patch: Vec<u32>,
    reopen: Vec<u32>,
    last: Vec<u32>,
    /// Steps that end somebody's stay before a host's patch, and steps that bring somebody before its close.
    out: Vec<Vec<u32>>,
    into: Vec<Vec<u32>>,
    last_close: u32,
    reopened: Vec<u32>,
    /// Who left which place of which group, and how often the place is visited in all.
    left: HashMap<(u32, u32), Vec<Over>>,
    visits: HashMap<(u32, u32), u32>,
    /// Who of each group is back, and how often somebody of it is away.
    back: Vec<Vec<Over>>,
    away: Vec<usize>,
}

/// The roll of a record.
pub(super) fn steps(ground: &Ground<'_>, record: &Record, left: &[u32], partial: bool) -> Roll {
    let mut writer = Writer::of(ground, record);
    writer.count();
    for at in 0..record.len() {
        writer.write(at);
    }
    let needs = writer.needs;
    let steps = record.iter().zip(needs).map(|(entry, needs)| Step {
        action: action(ground, entry.did),
        needs,
        not_before_ms: not_before(ground, entry),
        reason: reason(ground, entry),
    });
    let id = |host: u32| ground.cluster.hosts[host as usize].id.clone();
    let mut left_out: Vec<HostLeftOut> = ground
        .left_out
        .iter()
        .map(|(host, why)| HostLeftOut {
            host: id(*host),
            why: why.clone(),
        })
        .collect();
    left_out.extend(left.iter().map(|host| HostLeftOut {
        host: id(*host),
        why: WhyNotRolled::NotEmptied,
    }));
    Roll {
        schema: Roll::SCHEMA.to_owned(),
        steps: steps.collect(),
        left_out,
        partial,
    }
}

fn not_before(ground: &Ground<'_>, entry: &Entry) -> Option<u64> {
    let notice = match entry.did {
        Did::Move { vm, .. } | Did::Stop { vm, .. } => {
            ground.cluster.vms[vm as usize].notice_s * 1000
        }
        _ => 0,
    };
    let from = entry.not_before.unwrap_or(0).max(notice);
    (from > 0).then_some(from)
}

fn reason(ground: &Ground<'_>, entry: &Entry) -> Reason {
    let pin = |vm: u32| match &ground.cluster.vms[vm as usize].mobility {
        crate::plan::roll::cluster::Mobility::Pinned(pin) => pin.reason.clone(),
        _ => String::new(),
    };
    match entry.did {
        Did::Stop { vm, .. } => Reason::Pinned { reason: pin(vm) },
        _ => entry.reason.clone(),
    }
}

fn action(ground: &Ground<'_>, did: Did) -> Action {
    let host_of = |host: u32| ground.cluster.hosts[host as usize].id.clone();
    let vm_of = |vm: u32| ground.cluster.vms[vm as usize].id.clone();
    match did {
        Did::Close(host) => Action::Close {
            host: host_of(host),
        },
        Did::Move { vm, from, to, how } => Action::Migrate {
            vm: vm_of(vm),
            from: host_of(from),
            to: host_of(to),
            how,
        },
        Did::AwaitEnd { vm, host } => Action::AwaitEnd {
            vm: vm_of(vm),
            host: host_of(host),
        },
        Did::Stop { vm, host, suspend } => Action::Stop {
            vm: vm_of(vm),
            host: host_of(host),
            suspend,
        },
        Did::Patch(host) => Action::Patch {
            host: host_of(host),
        },
        Did::Reopen(host) => Action::Reopen {
            host: host_of(host),
        },
        Did::Start { vm, host } => Action::Start {
            vm: vm_of(vm),
            host: host_of(host),
        },
    }
}

impl<'g> Writer<'g> {
    fn of(ground: &'g Ground<'g>, record: &'g Record) -> Self {
        let hosts = ground.cluster.hosts.len();
        let mut sides = vec![[Side::default(), Side::default()]; hosts];
        for side in sides.iter_mut().flatten() {
            side.total = vec![0; ground.dims];
        }
        Self {
            ground,
            record,
            needs: vec![Vec::new(); record.len()],
            sides,
            patched: vec![false; hosts],
            close: vec![NONE; hosts],
            patch: vec![NONE; hosts],
            reopen: vec![NONE; hosts],
            last: vec![NONE; ground.cluster.vms.len()],
            out: vec![Vec::new(); hosts],
            into: vec![Vec::new(); hosts],
            last_close: NONE,
            reopened: Vec::new(),
            left: HashMap::new(),
            visits: HashMap::new(),
            back: vec![Vec::new(); ground.floors.len()],
            away: vec![0; ground.floors.len()],
        }
    }

    fn adds(&mut self, host: usize, side: usize, vm: usize) {
        let demand = self.ground.demand_of(vm);
        for (sum, amount) in self.sides[host][side].total.iter_mut().zip(demand) {
            *sum += amount;
        }
    }

    /// What each host and each place has to do with in all.
    fn count(&mut self) {
        let ground = self.ground;
        for vm in 0..ground.home.len() {
            self.adds(ground.home[vm] as usize, 0, vm);
            for group in ground.groups_of.get(vm) {
                let level = ground.groups[*group as usize].level;
                let place = ground.place(ground.home[vm] as usize, level);
                *self.visits.entry((*group, place)).or_default() += 1;
            }
        }
        let mut patched = vec![false; self.patched.len()];
        for entry in self.record {
            match entry.did {
                Did::Reopen(host) => patched[host as usize] = true,
                Did::Move { vm, from, to, .. } => {
                    self.adds(to as usize, usize::from(patched[to as usize]), vm as usize);
                    for group in ground.groups_of.get(vm as usize) {
                        let level = ground.groups[*group as usize].level;
                        let place = ground.place(to as usize, level);
                        if place != ground.place(from as usize, level) {
                            *self.visits.entry((*group, place)).or_default() += 1;
                        }
                    }
                    self.counts_away(vm);
                }
                Did::Stop { vm, host, .. } => {
                    self.adds(host as usize, 1, vm as usize);
                    self.counts_away(vm);
                }
                _ => {}
            }
        }
    }

    fn counts_away(&mut self, vm: u32) {
        for floor in self.ground.floors_of.get(vm as usize) {
            self.away[*floor as usize] += 1;
        }
    }

    fn need(&mut self, at: usize, step: u32) {
        if step != NONE {
            self.needs[at].push(step);
        }
    }

    fn write(&mut self, at: usize) {
        let step = short(at);
        let entry = &self.record[at];
        match entry.did {
            Did::Close(host) => {
                let host = host as usize;
                self.need(at, self.last_close);
                let reopened = std::mem::take(&mut self.reopened);
                self.needs[at].extend(reopened);
                let into = std::mem::take(&mut self.into[host]);
                self.needs[at].extend(into);
                self.last_close = step;
                self.close[host] = step;
            }
            Did::Move { vm, from, to, .. } => self.moves(at, vm, from as usize, to as usize),
            Did::AwaitEnd { vm, host } => {
                self.need(at, self.last[vm as usize]);
                self.last[vm as usize] = step;
                self.leaves(at, vm, host as usize, None);
            }
            Did::Stop { vm, host, .. } => {
                let host = host as usize;
                self.need(at, self.last[vm as usize]);
                self.need(at, self.close[host]);
                let out = self.out[host].clone();
                let stopped =
                    |step: &u32| matches!(self.record[*step as usize].did, Did::Stop { .. });
                self.needs[at].extend(out.iter().copied().filter(|step| !stopped(step)));
                self.floors(at, vm);
                self.last[vm as usize] = step;
                self.out[host].push(step);
            }
            Did::Patch(host) => {
                let host = host as usize;
                self.need(at, self.close[host]);
                let out = std::mem::take(&mut self.out[host]);
                self.needs[at].extend(out);
                self.patch[host] = step;
            }
            Did::Reopen(host) => {
                let host = host as usize;
                self.need(at, self.patch[host]);
                self.reopen[host] = step;
                self.patched[host] = true;
                self.reopened.push(step);
            }
            Did::Start { vm, host } => {
                self.need(at, self.reopen[host as usize]);
                self.need(at, self.last[vm as usize]);
                self.last[vm as usize] = step;
                self.comes_back(at, vm);
            }
        }
        self.needs[at].sort_unstable();
        self.needs[at].dedup();
    }

    fn moves(&mut self, at: usize, vm: u32, from: usize, to: usize) {
        let ground = self.ground;
        let begins = self.record[at].from;
        self.need(at, self.last[vm as usize]);
        if !self.patched[from] {
            self.need(at, self.close[from]);
        }
        if ground.role[to] == Role::Patch {
            if self.patched[to] {
                self.need(at, self.reopen[to]);
            } else {
                self.into[to].push(short(at));
            }
        }
        let side = &self.sides[to][usize::from(self.patched[to])];
        let capped = &ground.capped[to * ground.dims..(to + 1) * ground.dims];
        if side
            .total
            .iter()
            .zip(capped)
            .any(|(total, cap)| total > cap)
        {
            let over = side.left.iter().filter(|over| over.until <= begins);
            let over: Vec<u32> = over.map(|over| over.step).collect();
            self.needs[at].extend(over);
        }
        for group in ground.groups_of.get(vm as usize) {
            let known = &ground.groups[*group as usize];
            let place = ground.place(to, known.level);
            if known.soft || place == ground.place(from, known.level) {
                continue;
            }
            if self
                .visits
                .get(&(*group, place))
                .is_some_and(|visits| *visits <= known.max_per)
            {
                continue;
            }
            let left = self.left.get(&(*group, place)).into_iter().flatten();
            let over: Vec<u32> = left
                .filter(|over| over.until <= begins && over.vm != vm)
                .map(|over| over.step)
                .collect();
            self.needs[at].extend(over);
        }
        self.floors(at, vm);
        self.last[vm as usize] = short(at);
        self.leaves(at, vm, from, Some(to));
        self.comes_back(at, vm);
    }

    /// A machine may go only when enough of its group are sure to be back.
    fn floors(&mut self, at: usize, vm: u32) {
        let begins = self.record[at].from;
        for floor in self.ground.floors_of.get(vm as usize) {
            let floor = *floor as usize;
            if self.away[floor] > self.ground.floors[floor].most_away {
                let back = self.back[floor].iter();
                let over: Vec<u32> = back
                    .filter(|over| over.until <= begins)
                    .map(|over| over.step)
                    .collect();
                self.needs[at].extend(over);
            }
        }
    }

    fn comes_back(&mut self, at: usize, vm: u32) {
        let over = Over {
            step: short(at),
            vm,
            until: self.record[at].until,
        };
        for floor in self.ground.floors_of.get(vm as usize) {
            self.back[*floor as usize].push(over);
        }
    }

    fn leaves(&mut self, at: usize, vm: u32, from: usize, to: Option<usize>) {
        let over = Over {
            step: short(at),
            vm,
            until: self.record[at].until,
        };
        if ground_patches(self.ground, from) && !self.patched[from] {
            self.out[from].push(over.step);
        }
        self.sides[from][usize::from(self.patched[from])]
            .left
            .push(over);
        for group in self.ground.groups_of.get(vm as usize) {
            let level = self.ground.groups[*group as usize].level;
            let place = self.ground.place(from, level);
            if to.is_none_or(|to| self.ground.place(to, level) != place) {
                self.left.entry((*group, place)).or_default().push(over);
            }
        }
    }
}

fn ground_patches(ground: &Ground<'_>, host: usize) -> bool {
    ground.role[host] == Role::Patch
}
