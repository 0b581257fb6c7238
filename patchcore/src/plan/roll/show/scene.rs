//! A roll played through at the usual pace: where every machine is at each moment.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use crate::plan::roll::{
    check::{CheckedRoll, Span},
    cluster::HostState,
    names::Names,
    planner::{
        ground::{Ground, NONE, Role, Way, short},
        record::Did,
    },
    step::{Action, How},
};

/// A cluster at one moment of a roll.
#[derive(Debug)]
pub(in crate::plan::roll) struct Scene<'g> {
    pub(in crate::plan::roll) ground: &'g Ground<'g>,
    /// What is taken of each host, both ends of every move counted.
    used: Vec<u64>,
    /// Where each machine is; none: it ended.
    at: Vec<u32>,
    /// Where each moving machine goes.
    going: Vec<u32>,
    /// Whether a host takes none.
    closed: Vec<bool>,
    /// Whether this roll has patched a host.
    patched: Vec<bool>,
}

impl<'g> Scene<'g> {
    /// Before anything is done.
    pub(in crate::plan::roll) fn of(ground: &'g Ground<'g>) -> Self {
        let hosts = &ground.cluster.hosts;
        let mut this = Self {
            ground,
            used: vec![0; hosts.len() * ground.dims],
            at: ground.home.clone(),
            going: vec![NONE; ground.home.len()],
            closed: hosts.iter().map(|h| h.state != HostState::Open).collect(),
            patched: vec![false; hosts.len()],
        };
        for vm in 0..ground.home.len() {
            this.takes_room(ground.home[vm] as usize, vm);
        }
        this
    }

    fn takes_room(&mut self, host: usize, vm: usize) {
        let dims = self.ground.dims;
        let used = &mut self.used[host * dims..(host + 1) * dims];
        for (used, amount) in used.iter_mut().zip(self.ground.demand_of(vm)) {
            *used += amount;
        }
    }

    fn gives_room(&mut self, host: usize, vm: usize) {
        let dims = self.ground.dims;
        let used = &mut self.used[host * dims..(host + 1) * dims];
        for (used, amount) in used.iter_mut().zip(self.ground.demand_of(vm)) {
            *used = used.saturating_sub(*amount);
        }
    }

    fn begin(&mut self, did: Did) {
        match did {
            Did::Close(host) => self.closed[host as usize] = true,
            Did::Move { vm, to, .. } => {
                self.going[vm as usize] = to;
                self.takes_room(to as usize, vm as usize);
            }
            _ => {}
        }
    }

    fn end(&mut self, did: Did) {
        match did {
            Did::Move { vm, from, to, .. } => self.arrives(vm as usize, from as usize, to),
            Did::AwaitEnd { vm, host } => {
                self.at[vm as usize] = NONE;
                self.gives_room(host as usize, vm as usize);
            }
            Did::Reopen(host) => {
                self.closed[host as usize] = false;
                self.patched[host as usize] = true;
            }
            _ => {}
        }
    }

    fn arrives(&mut self, vm: usize, from: usize, to: u32) {
        self.at[vm] = to;
        self.going[vm] = NONE;
        self.gives_room(from, vm);
    }

    /// A machine is put on another host at once.
    pub(in crate::plan::roll) fn puts(&mut self, vm: usize, to: usize) {
        let from = self.at[vm];
        self.takes_room(to, vm);
        self.arrives(vm, from as usize, short(to));
    }

    /// What is not taken of one resource of a host.
    pub(in crate::plan::roll) fn free(&self, host: usize, dim: usize) -> u64 {
        self.ground.room_of(host)[dim].saturating_sub(self.used_of(host)[dim])
    }

    pub(super) fn used_of(&self, host: usize) -> &[u64] {
        &self.used[host * self.ground.dims..(host + 1) * self.ground.dims]
    }

    pub(super) fn is_closed(&self, host: usize) -> bool {
        self.closed[host]
    }

    /// Whether a host needs no more patch, so that a machine on it stays there.
    pub(super) fn is_final(&self, host: usize) -> bool {
        self.patched[host] || self.ground.role[host] == Role::Keep
    }

    /// Whether a host could take a machine at this moment, with those that go with it.
    pub(in crate::plan::roll) fn could_take(&self, host: usize, vm: usize) -> bool {
        let ground = self.ground;
        let from = self.at[vm];
        if from as usize == host || self.closed[host] || ground.dedicated[host] {
            return false;
        }
        if ground.fenced[vm] != NONE && !ground.allowed[ground.fenced[vm] as usize][host] {
            return false;
        }
        let known = &ground.cluster.hosts[host];
        let level = match self.patched[host] {
            true => known.cpu_level_patched.unwrap_or(known.cpu_level),
            false => known.cpu_level,
        };
        if ground.way[vm] != Way::Moves(How::Cold) && level < ground.level[vm] {
            return false;
        }
        let own = [short(vm)];
        let unit = match ground.clump_of[vm] {
            NONE => &own[..],
            clump => &ground.clumps[clump as usize],
        };
        let goes = |other: &&u32| {
            let at = **other as usize;
            at == vm || (self.at[at] == from && self.going[at] == NONE)
        };
        let fits = (0..ground.dims).all(|dim| {
            let takes = unit.iter().filter(goes);
            let takes: u64 = takes.map(|vm| ground.demand_of(*vm as usize)[dim]).sum();
            let at = host * ground.dims + dim;
            takes == 0 || self.used[at] + takes <= ground.capped[at]
        });
        fits && self.keeps_apart(host, vm)
    }

    fn keeps_apart(&self, host: usize, vm: usize) -> bool {
        let ground = self.ground;
        ground.groups_of.get(vm).iter().all(|group| {
            let group = &ground.groups[*group as usize];
            let place = ground.place(host, group.level);
            let there =
                |host: u32| host != NONE && ground.place(host as usize, group.level) == place;
            if group.soft || there(self.at[vm]) {
                return true;
            }
            let others = group.members.iter().map(|other| *other as usize);
            let count = others
                .filter(|other| *other != vm)
                .filter(|other| there(self.at[*other]) || there(self.going[*other]))
                .count();
            count < group.max_per as usize
        })
    }
}

/// The steps of a roll in numbers. One whose name is unknown has no step: the roll was checked.
pub(super) fn acts(ground: &Ground<'_>, roll: &CheckedRoll) -> Vec<Option<Did>> {
    let names = Names::of(ground.cluster);
    let host = |id: &crate::id::ComponentId| names.host(id.as_str()).map(short);
    let vm = |id: &crate::id::ComponentId| names.vm(id.as_str()).map(short);
    let act = |action: &Action| {
        Some(match action {
            Action::Close { host: of } => Did::Close(host(of)?),
            Action::Migrate {
                vm: of,
                from,
                to,
                how,
            } => Did::Move {
                vm: vm(of)?,
                from: host(from)?,
                to: host(to)?,
                how: *how,
            },
            Action::AwaitEnd { vm: of, host: on } => Did::AwaitEnd {
                vm: vm(of)?,
                host: host(on)?,
            },
            Action::Stop {
                vm: of,
                host: on,
                suspend,
            } => Did::Stop {
                vm: vm(of)?,
                host: host(on)?,
                suspend: *suspend,
            },
            Action::Patch { host: of } => Did::Patch(host(of)?),
            Action::Reopen { host: of } => Did::Reopen(host(of)?),
            Action::Start { vm: of, host: on } => Did::Start {
                vm: vm(of)?,
                host: host(on)?,
            },
        })
    };
    let steps = roll.roll().steps.iter();
    steps.map(|step| act(&step.action)).collect()
}

/// Plays a roll: `begins` sees the cluster as each step begins, `after` sees it after everything of one moment.
pub(super) fn play<'g>(
    ground: &'g Ground<'g>,
    acts: &[Option<Did>],
    spans: &[Span],
    mut begins: impl FnMut(&Scene<'g>, usize, Did),
    mut after: impl FnMut(&Scene<'g>, u64),
) {
    let mut scene = Scene::of(ground);
    after(&scene, 0);
    let mut order: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (step, span) in spans.iter().enumerate() {
        order.entry(span.from_ms).or_default().push(step);
        order.entry(span.until_ms).or_default();
    }
    let mut ends: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    for (now, steps) in order {
        let over = |scene: &mut Scene<'g>, ends: &mut BinaryHeap<Reverse<(u64, usize)>>| {
            while let Some(Reverse((until, step))) = ends.peek().copied() {
                if until > now {
                    break;
                }
                ends.pop();
                if let Some(did) = acts[step] {
                    scene.end(did);
                }
            }
        };
        over(&mut scene, &mut ends);
        for step in steps {
            let Some(did) = acts[step] else { continue };
            begins(&scene, step, did);
            scene.begin(did);
            ends.push(Reverse((spans[step].until_ms, step)));
            // What lasts no time is over before the next one begins.
            over(&mut scene, &mut ends);
        }
        after(&scene, now);
    }
}
