//! What is left when nothing goes on: hosts that can be emptied only when others make room first.
//!
//! It works host by host. A machine that fits nowhere may take the place of smaller ones, which go elsewhere before
//! it comes; what found no place is tried first the next time.

use super::{
    drive::{Attempt, Order},
    ground::{Ground, NONE, Role, Way, short},
    motion::stops_fit,
    pack::{Taste, movers, moves, unit},
    record::{Did, Entry},
    state::{Phase, State},
};
use crate::plan::roll::step::Reason;

/// A move in the order in which it is made.
#[derive(Debug, Clone, Copy)]
struct Shift {
    vm: u32,
    from: u32,
    to: u32,
    /// For whom it makes room.
    for_vm: u32,
}

/// How what is stuck is mended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Which host is emptied first.
    pub(super) order: Order,
    /// Where its machines go.
    pub(super) taste: Taste,
    /// Whether others make room for what fits nowhere.
    pub(super) ejects: bool,
}

struct Mender<'a, 'g> {
    ground: &'g Ground<'g>,
    state: &'a mut State<'g>,
    manner: Manner,
    shifts: Vec<Shift>,
    /// How many fits may still be looked at.
    effort: &'a mut u64,
}

/// How often a host is tried again with what found no place at the head.
const ROUNDS: usize = 24;
/// How many machines make room for one at most.
const MOST_EJECTED: usize = 4;

/// Empties one host and notes what is done for it; says whether it could be emptied.
pub(super) fn one_host(
    attempt: &mut Attempt<'_>,
    host: usize,
    manner: Manner,
    effort: &mut u64,
) -> bool {
    let ground = attempt.state.ground;
    let first = |first: &u32| {
        let first = *first as usize;
        ground.role[first] != Role::Patch || attempt.state.phase[first] == Phase::Done
    };
    let over = ground.before[host].iter().all(first);
    // Windows are kept by the planner's clock, which stands still here.
    if !over || ground.slow || !attempt.reserve.may_close(host) {
        return false;
    }
    let on = attempt.state.on(host);
    if !stops_fit(ground, &on) {
        return false;
    }
    let phase = attempt.state.phase[host];
    attempt.state.phase[host] = Phase::Closed;
    let mut mender = Mender {
        ground,
        state: &mut attempt.state,
        manner,
        shifts: Vec::new(),
        effort,
    };
    let emptied = mender.empty(host, &on);
    let shifts = std::mem::take(&mut mender.shifts);
    if !emptied {
        attempt.state.phase[host] = phase;
        return false;
    }
    carry_out(attempt, host, &on, &shifts);
    true
}

/// Notes what is done for one host, one after the other.
fn carry_out(attempt: &mut Attempt<'_>, host: usize, on: &[u32], shifts: &[Shift]) {
    let ground = attempt.state.ground;
    attempt.reserve.close(host);
    let (spare, dim) = attempt.reserve.spare().unwrap_or((0, 0));
    let mut now = attempt.ends;
    let record = &mut attempt.record;
    let mut note = |did, reason| {
        record.push(Entry {
            did,
            from: now,
            until: now + 1,
            not_before: None,
            reason,
        });
        now += 1;
    };
    let reason = Reason::CanBeEmptied {
        closed: attempt.reserve.closed,
        spare,
        resource: ground.cluster.resources[dim].clone(),
    };
    note(Did::Close(short(host)), reason);
    for shift in shifts {
        let Way::Moves(how) = ground.way[shift.vm as usize] else {
            continue;
        };
        let to = shift.to as usize;
        let reason = match attempt.state.phase[to] {
            _ if shift.for_vm != NONE => Reason::MakesRoom {
                for_vm: ground.cluster.vms[shift.for_vm as usize].id.clone(),
            },
            Phase::Waiting => Reason::Spill {
                patched: u32::try_from(
                    attempt
                        .state
                        .phase
                        .iter()
                        .filter(|p| **p == Phase::Done)
                        .count(),
                )
                .unwrap_or(u32::MAX),
            },
            _ => Reason::IntoPatched,
        };
        let did = Did::Move {
            vm: shift.vm,
            from: shift.from,
            to: shift.to,
            how,
        };
        note(did, reason);
        attempt.moves += 1;
        attempt.moved_mib += ground.bytes[shift.vm as usize];
    }
    let stops = on.iter().filter_map(|vm| match ground.way[*vm as usize] {
        Way::Stops { suspend } => Some((*vm, suspend)),
        _ => None,
    });
    let stops: Vec<(u32, bool)> = stops.collect();
    for (vm, suspend) in &stops {
        let did = Did::Stop {
            vm: *vm,
            host: short(host),
            suspend: *suspend,
        };
        note(did, Reason::Follows);
    }
    note(Did::Patch(short(host)), Reason::Follows);
    note(Did::Reopen(short(host)), Reason::Follows);
    for (vm, _) in &stops {
        let did = Did::Start {
            vm: *vm,
            host: short(host),
        };
        note(did, Reason::Follows);
    }
    attempt.ends = now;
    attempt.reserve.reopen(host);
    attempt.state.patched(host);
}

impl Mender<'_, '_> {
    /// Empties a host, or leaves everything as it was.
    fn empty(&mut self, host: usize, on: &[u32]) -> bool {
        let mut order = movers(self.ground, on);
        for _ in 0..ROUNDS {
            match self.place_all(host, &order) {
                None => return true,
                Some(amiss) => {
                    self.undo(0);
                    if *self.effort == 0 || order.first() == Some(&amiss) {
                        return false;
                    }
                    order.retain(|vm| *vm != amiss);
                    order.insert(0, amiss);
                }
            }
        }
        false
    }

    /// Finds places for all, and says who found none.
    fn place_all(&mut self, host: usize, order: &[u32]) -> Option<u32> {
        for vm in order {
            if self.state.at[*vm as usize] != short(host) {
                // It went with one that it belongs to.
                continue;
            }
            let unit: Vec<u32> = unit(self.ground, vm).to_vec();
            if unit.len() > 1 {
                if !moves(self.ground, &unit) || !self.together(host, &unit) {
                    return Some(*vm);
                }
            } else if !self.alone(*vm, host) {
                return Some(*vm);
            }
        }
        None
    }

    /// Finds a place for one that belongs to no other, where others make room for it if they may.
    fn alone(&mut self, vm: u32, host: usize) -> bool {
        self.direct(vm, host, NONE) || (self.manner.ejects && self.ejecting(vm, host, 2))
    }

    fn spend(&mut self) {
        *self.effort = self.effort.saturating_sub(1);
    }

    fn shift(&mut self, vm: u32, to: usize, for_vm: u32) {
        self.shifts.push(Shift {
            vm,
            from: self.state.at[vm as usize],
            to: short(to),
            for_vm,
        });
        self.state.put(vm as usize, to);
    }

    /// Takes back all shifts but the first ones.
    fn undo(&mut self, keep: usize) {
        while self.shifts.len() > keep {
            if let Some(shift) = self.shifts.pop() {
                self.state.put(shift.vm as usize, shift.from as usize);
            }
        }
    }

    /// The host where a machine leaves the least room, a patched one if any; or the emptiest one.
    fn target(&mut self, vm: u32, not: usize) -> Option<usize> {
        let mut best: Option<(bool, u32, usize)> = None;
        let from = self.state.at[vm as usize] as usize;
        for host in 0..self.state.phase.len() {
            if host == not || host == from || !self.state.open(host) {
                continue;
            }
            self.spend();
            if self.state.fits(vm as usize, host, &self.ground.capped) {
                let waits = self.state.phase[host] == Phase::Waiting;
                let free = self.state.free(host);
                let key = match self.manner.taste {
                    Taste::PatchedFirst => (waits, free, host),
                    Taste::Emptiest => (false, u32::MAX - free, host),
                };
                if best.is_none_or(|best| key < best) {
                    best = Some(key);
                }
            }
        }
        best.map(|(_, _, host)| host)
    }

    fn direct(&mut self, vm: u32, not: usize, for_vm: u32) -> bool {
        let target = self.target(vm, not);
        if let Some(to) = target {
            self.shift(vm, to, for_vm);
        }
        target.is_some()
    }

    fn together(&mut self, host: usize, unit: &[u32]) -> bool {
        let before = self.shifts.len();
        for to in 0..self.state.phase.len() {
            if to == host || !self.state.open(to) {
                continue;
            }
            let all = unit.iter().all(|vm| {
                self.spend();
                let fits = self.state.fits(*vm as usize, to, &self.ground.capped);
                if fits {
                    self.shift(*vm, to, NONE);
                }
                fits
            });
            if all {
                return true;
            }
            self.undo(before);
        }
        false
    }

    /// A place that others leave for it.
    fn ejecting(&mut self, vm: u32, not: usize, depth: usize) -> bool {
        let mut hosts: Vec<(bool, std::cmp::Reverse<u32>, usize)> = (0..self.state.phase.len())
            .filter(|host| {
                *host != not && self.state.open(*host) && self.state.may(vm as usize, *host)
            })
            .filter(|host| short(*host) != self.state.at[vm as usize])
            .map(|host| {
                let waits = self.state.phase[host] == Phase::Waiting;
                (waits, std::cmp::Reverse(self.state.free(host)), host)
            })
            .collect();
        hosts.sort_unstable();
        for (_, _, host) in hosts {
            if *self.effort == 0 {
                return false;
            }
            if self.make_room(vm, host, not, depth) {
                return true;
            }
        }
        false
    }

    /// Lets machines of a host go elsewhere until this one fits, and brings it there.
    fn make_room(&mut self, vm: u32, host: usize, not: usize, depth: usize) -> bool {
        let before = self.shifts.len();
        let on = self.state.on(host);
        let mut others: Vec<u32> = movers(self.ground, &on)
            .into_iter()
            .filter(|other| self.ground.clump_of[*other as usize] == NONE)
            .collect();
        // One that by itself makes room, the smallest first; then several of the smallest.
        others.reverse();
        for single in [true, false] {
            let mut ejected = 0;
            for other in &others {
                if *self.effort == 0 {
                    break;
                }
                self.spend();
                if single && !self.fits_without(vm, host, *other) {
                    continue;
                }
                let moved = self.direct(*other, not, vm)
                    || (single && depth > 1 && self.ejecting(*other, not, depth - 1));
                if !moved {
                    continue;
                }
                ejected += 1;
                if self.state.fits(vm as usize, host, &self.ground.capped) {
                    self.shift(vm, host, NONE);
                    return true;
                }
                if ejected == MOST_EJECTED {
                    break;
                }
            }
            self.undo(before);
        }
        false
    }

    fn fits_without(&mut self, vm: u32, host: usize, other: u32) -> bool {
        self.state.give(other as usize, host);
        let fits = self.state.fits(vm as usize, host, &self.ground.capped);
        self.state.take(other as usize, host);
        fits
    }
}
