//! Where the machines of one host go.

use super::{
    ground::{Ground, NONE, Way, short},
    pool::Pool,
    state::{Phase, State},
};

/// How destinations are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taste {
    /// Patched hosts first, and others only where none has room.
    PatchedFirst,
    /// The emptiest open host, patched or not.
    Emptiest,
}

/// Hosts that may take machines.
#[derive(Debug, Clone)]
pub(super) struct Pools {
    pub(super) done: Pool,
    pub(super) waiting: Pool,
    /// What moves may use of patched hosts.
    pub(super) goal: Vec<u64>,
    /// What is free of that in all patched hosts together.
    free: Vec<u64>,
    counted: Vec<bool>,
}

impl Pools {
    pub(super) fn of(state: &State<'_>, goal: Vec<u64>) -> Self {
        let hosts = state.phase.len();
        let mut pools = Self {
            done: Pool::new(hosts),
            waiting: Pool::new(hosts),
            goal,
            free: vec![0; state.ground.dims],
            counted: vec![false; hosts],
        };
        for host in 0..hosts {
            match state.phase[host] {
                _ if state.ground.dedicated[host] => {}
                Phase::Done => pools.adds_done(state, host),
                Phase::Waiting => pools.waiting.add(state, host),
                Phase::Closed | Phase::ClosedBefore | Phase::Shut => {}
            }
        }
        pools
    }

    pub(super) fn adds_done(&mut self, state: &State<'_>, host: usize) {
        self.done.add(state, host);
        self.counted[host] = true;
        self.change(state, host, true);
    }

    fn change(&mut self, state: &State<'_>, host: usize, more: bool) {
        let dims = state.ground.dims;
        for dim in 0..dims {
            let at = host * dims + dim;
            let free = self.goal[at].saturating_sub(state.used[at]);
            self.free[dim] = match more {
                true => self.free[dim] + free,
                false => self.free[dim] - free,
            };
        }
    }

    /// All patched hosts may be filled to another mark from now on.
    pub(super) fn aim(&mut self, state: &State<'_>, goal: Vec<u64>) {
        let counted: Vec<usize> = (0..self.counted.len())
            .filter(|h| self.counted[*h])
            .collect();
        for host in &counted {
            self.change(state, *host, false);
        }
        self.goal = goal;
        for host in &counted {
            self.change(state, *host, true);
        }
    }

    pub(super) fn take(&mut self, state: &mut State<'_>, vm: usize, host: usize) {
        self.changing(state, host, |state| state.take(vm, host));
    }

    pub(super) fn give(&mut self, state: &mut State<'_>, vm: usize, host: usize) {
        self.changing(state, host, |state| state.give(vm, host));
    }

    /// Changes what is used of a host, and keeps the sums and the order of the pools.
    pub(super) fn changing(
        &mut self,
        state: &mut State<'_>,
        host: usize,
        change: impl FnOnce(&mut State<'_>),
    ) {
        let counted = self.counted[host];
        if counted {
            self.change(state, host, false);
        }
        change(state);
        if counted {
            self.change(state, host, true);
        }
        self.done.refresh(state, host);
        self.waiting.refresh(state, host);
    }

    /// Whether all of these that have to move are together less than what is free in patched hosts.
    pub(super) fn could_hold(&self, ground: &Ground<'_>, vms: &[u32]) -> bool {
        let moves = |vm: &&u32| matches!(ground.way[**vm as usize], Way::Moves(_));
        (0..ground.dims).all(|dim| {
            let need: u64 = vms
                .iter()
                .filter(moves)
                .map(|vm| ground.demand_of(*vm as usize)[dim])
                .sum();
            need <= self.free[dim]
        })
    }

    /// Destinations for all of these, which are taken there; none and nothing taken where one finds none.
    pub(super) fn pack(
        &mut self,
        state: &mut State<'_>,
        vms: &[u32],
        spill: bool,
        taste: Taste,
    ) -> Option<Vec<(u32, u32)>> {
        if vms.is_empty() {
            return Some(Vec::new());
        }
        if taste == Taste::PatchedFirst && self.done.len() > 0 && self.could_hold(state.ground, vms)
        {
            for emptiest in [true, false] {
                let found = self.pack_by(state, vms, false, |pools, state, vm| {
                    pools.patched(state, vm, emptiest)
                });
                if found.is_some() {
                    return found;
                }
            }
        }
        if !spill {
            return None;
        }
        for emptiest in [true, false] {
            let found = self.pack_by(state, vms, true, |pools, state, vm| {
                if taste == Taste::Emptiest && emptiest {
                    return pools.anywhere(state, vm);
                }
                let room = &state.ground.capped;
                pools
                    .patched(state, vm, emptiest)
                    .or_else(|| match emptiest {
                        true => pools.waiting.emptiest(state, vm, room),
                        false => pools.waiting.fullest(state, vm, room),
                    })
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn patched(&self, state: &State<'_>, vm: usize, emptiest: bool) -> Option<usize> {
        match emptiest {
            true => self.done.emptiest(state, vm, &self.goal),
            false => self.done.fullest(state, vm, &self.goal),
        }
    }

    fn anywhere(&self, state: &State<'_>, vm: usize) -> Option<usize> {
        let room = &state.ground.capped;
        let done = self.done.emptiest(state, vm, room);
        let waiting = self.waiting.emptiest(state, vm, room);
        match (done, waiting) {
            (Some(done), Some(waiting)) => {
                let fuller = state.free(waiting) > state.free(done);
                Some(if fuller { waiting } else { done })
            }
            (done, waiting) => done.or(waiting),
        }
    }

    fn pack_by(
        &mut self,
        state: &mut State<'_>,
        vms: &[u32],
        spill: bool,
        mut choose: impl FnMut(&Self, &State<'_>, usize) -> Option<usize>,
    ) -> Option<Vec<(u32, u32)>> {
        let mut taken: Vec<(u32, u32)> = Vec::with_capacity(vms.len());
        for vm in vms {
            if taken.iter().any(|(done, _)| done == vm) {
                continue;
            }
            let unit = unit(state.ground, vm);
            if !moves(state.ground, unit) {
                self.give_back(state, taken.drain(..));
                return None;
            }
            let before = taken.len();
            let host = choose(self, state, *vm as usize);
            let fits = host.is_some_and(|host| {
                unit.iter().all(|vm| {
                    let room = match state.phase[host] {
                        Phase::Done if !self.goal.is_empty() => &self.goal,
                        _ => &state.ground.capped,
                    };
                    let fits = state.fits(*vm as usize, host, room);
                    if fits {
                        self.take(state, *vm as usize, host);
                        taken.push((*vm, short(host)));
                    }
                    fits
                })
            });
            if !fits && unit.len() > 1 {
                self.give_back(state, taken.drain(before..));
                if self.together(state, unit, spill, &mut taken) {
                    continue;
                }
            }
            if !fits {
                self.give_back(state, taken.drain(..));
                return None;
            }
        }
        Some(taken)
    }

    /// A host for several machines that go together: any that has room for them all.
    fn together(
        &mut self,
        state: &mut State<'_>,
        unit: &[u32],
        spill: bool,
        taken: &mut Vec<(u32, u32)>,
    ) -> bool {
        let before = taken.len();
        let phases = [Phase::Done, Phase::Waiting];
        for phase in phases.into_iter().take(1 + usize::from(spill)) {
            for host in 0..state.phase.len() {
                if state.phase[host] != phase || short(host) == state.at[unit[0] as usize] {
                    continue;
                }
                let room = if phase == Phase::Done {
                    self.goal.clone()
                } else {
                    state.ground.capped.clone()
                };
                let all = unit.iter().all(|vm| {
                    let fits = state.fits(*vm as usize, host, &room);
                    if fits {
                        self.take(state, *vm as usize, host);
                        taken.push((*vm, short(host)));
                    }
                    fits
                });
                if all {
                    return true;
                }
                self.give_back(state, taken.drain(before..));
            }
        }
        false
    }

    fn give_back(&mut self, state: &mut State<'_>, taken: impl Iterator<Item = (u32, u32)>) {
        for (vm, host) in taken {
            self.give(state, vm as usize, host as usize);
        }
    }
}

/// The machines that move with this one.
pub(super) fn unit<'a>(ground: &'a Ground<'_>, vm: &'a u32) -> &'a [u32] {
    match ground.clump_of[*vm as usize] {
        NONE => std::slice::from_ref(vm),
        clump => &ground.clumps[clump as usize],
    }
}

/// Whether all of these can move: where one of those that go together stays, all of them do.
pub(super) fn moves(ground: &Ground<'_>, unit: &[u32]) -> bool {
    let moves = |vm: &u32| matches!(ground.way[*vm as usize], Way::Moves(_));
    unit.iter().all(moves)
}

/// Those of a host's machines that have to move, the largest first.
pub(super) fn movers(ground: &Ground<'_>, on: &[u32]) -> Vec<u32> {
    let moves = |vm: &&u32| matches!(ground.way[**vm as usize], Way::Moves(_));
    let mut movers: Vec<u32> = on.iter().filter(moves).copied().collect();
    movers.sort_by_key(|vm| (std::cmp::Reverse(ground.weight[*vm as usize]), *vm));
    movers
}
