//! Where every machine is and goes, and what fits where.

use super::ground::{Ground, NONE, Way, short};
use crate::plan::roll::{cluster::HostState, step::How};

/// Where a host stands on its way through the roll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It takes machines and waits for its patch.
    Waiting,
    /// It was closed before the roll, and waits for its patch.
    ClosedBefore,
    /// It takes none and is emptied or patched.
    Closed,
    /// It takes machines and needs no patch any more, or never did.
    Done,
    /// It takes none and is not patched.
    Shut,
}

/// The placement at one moment; a machine on its way counts at both ends.
#[derive(Debug, Clone)]
pub(super) struct State<'g> {
    pub(super) ground: &'g Ground<'g>,
    pub(super) used: Vec<u64>,
    pub(super) at: Vec<u32>,
    pub(super) to: Vec<u32>,
    pub(super) phase: Vec<Phase>,
    pub(super) level: Vec<u32>,
    /// How many members of each group each place has.
    counts: Vec<Vec<(u32, u32)>>,
    /// Whether soft rules are kept like hard ones.
    pub(super) keep_soft: bool,
    /// Who is on each host, and some who left it.
    on: Vec<Vec<u32>>,
}

impl<'g> State<'g> {
    pub(super) fn of(ground: &'g Ground<'g>) -> Self {
        let hosts = ground.cluster.hosts.len();
        let vms = ground.cluster.vms.len();
        let phase = (0..hosts)
            .map(
                |host| match (ground.role[host], ground.cluster.hosts[host].state) {
                    (super::ground::Role::Patch, HostState::Closed) => Phase::ClosedBefore,
                    (super::ground::Role::Patch, _) => Phase::Waiting,
                    (super::ground::Role::Keep, _) => Phase::Done,
                    (super::ground::Role::Shut, _) => Phase::Shut,
                },
            )
            .collect();
        let mut state = Self {
            ground,
            used: vec![0; hosts * ground.dims],
            at: ground.home.clone(),
            to: vec![NONE; vms],
            phase,
            level: ground.cluster.hosts.iter().map(|h| h.cpu_level).collect(),
            counts: vec![Vec::new(); ground.groups.len()],
            keep_soft: true,
            on: vec![Vec::new(); hosts],
        };
        for vm in 0..vms {
            let host = ground.home[vm] as usize;
            state.take(vm, host);
            state.on[host].push(short(vm));
        }
        state
    }

    /// Whether a machine may ever be on a host, whatever room that has.
    pub(super) fn may(&self, vm: usize, host: usize) -> bool {
        let ground = self.ground;
        if ground.dedicated[host] {
            return false;
        }
        if ground.fenced[vm] != NONE && !ground.allowed[ground.fenced[vm] as usize][host] {
            return false;
        }
        ground.way[vm] == Way::Moves(How::Cold) || self.level[host] >= ground.level[vm]
    }

    fn count(&self, group: usize, place: u32) -> u32 {
        let found = self.counts[group].iter().find(|(at, _)| *at == place);
        found.map_or(0, |(_, count)| *count)
    }

    /// Whether groups let a machine come to a host.
    pub(super) fn apart(&self, vm: usize, host: usize) -> bool {
        let ground = self.ground;
        ground.groups_of.get(vm).iter().all(|group| {
            let known = &ground.groups[*group as usize];
            if known.soft && !self.keep_soft {
                return true;
            }
            let place = ground.place(host, known.level);
            // From one host to the next in one place it is counted there already.
            place == ground.place(self.at[vm] as usize, known.level)
                || self.count(*group as usize, place) < known.max_per
        })
    }

    /// Whether a machine fits a host of which only `room` may be used.
    pub(super) fn fits(&self, vm: usize, host: usize, room: &[u64]) -> bool {
        let dims = self.ground.dims;
        let used = &self.used[host * dims..(host + 1) * dims];
        let room = &room[host * dims..(host + 1) * dims];
        let demand = self.ground.demand_of(vm);
        for dim in 0..dims {
            // What takes nothing of a resource does not care how full that is.
            if demand[dim] > 0 && used[dim] + demand[dim] > room[dim] {
                return false;
            }
        }
        self.may(vm, host) && self.apart(vm, host)
    }

    /// Whether all of these fit a host together.
    pub(super) fn all_fit(&mut self, vms: &[u32], host: usize, room: &[u64]) -> bool {
        let mut taken = 0;
        for vm in vms {
            if !self.fits(*vm as usize, host, room) {
                break;
            }
            self.take(*vm as usize, host);
            taken += 1;
        }
        for vm in &vms[..taken] {
            self.give(*vm as usize, host);
        }
        taken == vms.len()
    }

    /// The smallest share of a host that is free, in units of 2^-20.
    pub(super) fn free(&self, host: usize) -> u32 {
        let dims = self.ground.dims;
        let mut least = 1 << 20;
        for dim in host * dims..(host + 1) * dims {
            let room = self.ground.room[dim];
            if room > 0 {
                let free = room.saturating_sub(self.used[dim]);
                let share = (u128::from(free) << 20) / u128::from(room);
                least = least.min(u32::try_from(share).unwrap_or(0));
            }
        }
        least
    }

    /// The largest share that a machine takes of the mean host, in units of 2^-20.
    pub(super) fn share(&self, vm: usize) -> u32 {
        let of_all = self.ground.weight[vm];
        let hosts = self.phase.len() as u64;
        u32::try_from(of_all.saturating_mul(hosts) >> 20).unwrap_or(u32::MAX)
    }

    pub(super) fn take(&mut self, vm: usize, host: usize) {
        let dims = self.ground.dims;
        for (dim, amount) in self.ground.demand_of(vm).iter().enumerate() {
            self.used[host * dims + dim] += amount;
        }
        self.change(vm, host, true);
    }

    pub(super) fn give(&mut self, vm: usize, host: usize) {
        let dims = self.ground.dims;
        for (dim, amount) in self.ground.demand_of(vm).iter().enumerate() {
            self.used[host * dims + dim] -= amount;
        }
        self.change(vm, host, false);
    }

    fn change(&mut self, vm: usize, host: usize, more: bool) {
        let ground = self.ground;
        for group in ground.groups_of.get(vm) {
            let place = ground.place(host, ground.groups[*group as usize].level);
            let counts = &mut self.counts[*group as usize];
            match counts.iter().position(|(at, _)| *at == place) {
                Some(at) if more => counts[at].1 += 1,
                Some(at) => {
                    counts[at].1 -= 1;
                    if counts[at].1 == 0 {
                        counts.swap_remove(at);
                    }
                }
                None if more => counts.push((place, 1)),
                None => {}
            }
        }
    }

    /// A machine has come to where it went.
    pub(super) fn arrive(&mut self, vm: usize) {
        let (from, to) = (self.at[vm] as usize, self.to[vm] as usize);
        self.give(vm, from);
        self.at[vm] = short(to);
        self.to[vm] = NONE;
        self.on[to].push(short(vm));
    }

    /// Moves a machine at once.
    pub(super) fn put(&mut self, vm: usize, host: usize) {
        self.take(vm, host);
        self.to[vm] = short(host);
        self.arrive(vm);
    }

    /// A machine has ended.
    pub(super) fn end(&mut self, vm: usize) {
        self.give(vm, self.at[vm] as usize);
        self.at[vm] = NONE;
    }

    /// Who is on a host and does not leave it already.
    pub(super) fn on(&mut self, host: usize) -> Vec<u32> {
        let mut on = std::mem::take(&mut self.on[host]);
        on.retain(|vm| self.at[*vm as usize] == short(host));
        on.sort_unstable();
        on.dedup();
        let rests = on
            .iter()
            .copied()
            .filter(|vm| self.to[*vm as usize] == NONE);
        let rests = rests.collect();
        self.on[host] = on;
        rests
    }

    /// The host is patched and open.
    pub(super) fn patched(&mut self, host: usize) {
        self.phase[host] = Phase::Done;
        let known = &self.ground.cluster.hosts[host];
        self.level[host] = known.cpu_level_patched.unwrap_or(known.cpu_level);
    }

    pub(super) fn open(&self, host: usize) -> bool {
        matches!(self.phase[host], Phase::Waiting | Phase::Done) && !self.ground.dedicated[host]
    }
}
