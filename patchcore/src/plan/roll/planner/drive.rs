//! A roll that is made as time goes by: whenever a host comes back, the next ones are closed.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{
    ground::{Ground, NONE, Way, part, short},
    motion::{Event, Motion, stops_fit},
    pack::{Pools, Taste, movers},
    record::{Did, Record},
    reserve::Reserve,
    state::{Phase, State},
};
use crate::plan::roll::step::Reason;

/// How one attempt is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Knobs {
    /// Hosts whose machines may spill onto hosts that need the patch themselves.
    pub(super) spill: u32,
    /// How full patched hosts are made, in thousandths.
    pub(super) fill: u64,
    pub(super) taste: Taste,
    /// Whether a host that may not close yet is emptied already.
    pub(super) ahead: bool,
    pub(super) order: Order,
}

/// Which of the hosts that wait is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The one with the least to move.
    Least,
    /// The one with the most to move.
    Most,
    /// The one that the cluster names first.
    Named,
}

/// What an attempt came to.
#[derive(Debug, Clone)]
pub(super) struct Attempt<'g> {
    pub(super) record: Record,
    pub(super) state: State<'g>,
    pub(super) reserve: Reserve<'g>,
    /// Hosts that were not patched: no way to empty them was found.
    pub(super) left: Vec<u32>,
    pub(super) moved_mib: u64,
    pub(super) moves: u64,
    /// When it is over in the planner's own reckoning, in milliseconds.
    pub(super) ends: u64,
}

/// The state of an attempt.
pub(super) struct Drive<'g> {
    pub(super) ground: &'g Ground<'g>,
    pub(super) state: State<'g>,
    pub(super) reserve: Reserve<'g>,
    pools: Pools,
    pub(super) motion: Motion,
    knobs: Knobs,
    spill_left: u32,
    waiting: BTreeSet<(u64, u32)>,
    key: Vec<u64>,
    /// At which version of the cluster a host was last tried in vain.
    failed: Vec<u32>,
    version: u32,
    emptied_ahead: Vec<bool>,
    /// How many hosts may be tried in vain at one moment.
    tries: usize,
    woken_until: u64,
}

fn goal(ground: &Ground<'_>, fill: u64) -> Vec<u64> {
    let rooms = ground.room.iter().zip(&ground.capped);
    rooms
        .map(|(room, capped)| part(*room, fill).min(*capped))
        .collect()
}

/// Makes one roll; `stop` is asked now and then, and `true` ends the attempt with nothing.
pub(super) fn drive<'g>(
    ground: &'g Ground<'g>,
    knobs: Knobs,
    stop: &dyn Fn() -> bool,
) -> Option<Attempt<'g>> {
    let state = State::of(ground);
    let hosts = state.phase.len();
    let pools = Pools::of(&state, goal(ground, knobs.fill));
    let mut drive = Drive {
        ground,
        reserve: Reserve::of(ground),
        pools,
        motion: Motion::of(ground),
        knobs,
        spill_left: knobs.spill,
        waiting: BTreeSet::new(),
        key: vec![0; hosts],
        failed: vec![0; hosts],
        version: 1,
        emptied_ahead: vec![false; hosts],
        tries: (8192 / hosts).clamp(12, 64),
        woken_until: 0,
        state,
    };
    for host in 0..hosts {
        if matches!(
            drive.state.phase[host],
            Phase::Waiting | Phase::ClosedBefore
        ) {
            drive.list(host);
        }
    }
    drive.run(stop)
}

impl<'g> Drive<'g> {
    /// Puts a host in its place among those that wait.
    fn list(&mut self, host: usize) {
        self.waiting.remove(&(self.key[host], short(host)));
        let on = self.state.on(host);
        let moves = on.iter().map(|vm| self.ground.bytes[*vm as usize] + 1);
        self.key[host] = match (self.state.phase[host], self.knobs.order) {
            (Phase::ClosedBefore, _) | (_, Order::Named) => 0,
            (_, Order::Least) => moves.sum(),
            (_, Order::Most) => u64::MAX - moves.sum::<u64>(),
        };
        self.waiting.insert((self.key[host], short(host)));
    }

    fn run(mut self, stop: &dyn Fn() -> bool) -> Option<Attempt<'g>> {
        let mut grants = 0;
        loop {
            if stop() {
                return None;
            }
            self.close_what_may();
            if self.step() {
                continue;
            }
            if self.waiting.is_empty() {
                break;
            }
            // Nothing happens any more: break soft rules, fill up, let one more host spill, and then it is stuck.
            self.version += 1;
            if self.state.keep_soft {
                self.state.keep_soft = false;
            } else if self.knobs.fill < 1000 {
                self.knobs.fill = 1000;
                self.pools.aim(&self.state, goal(self.ground, 1000));
            } else if self.spill_left == 0 && grants < self.state.phase.len() {
                self.spill_left = 1;
                grants += 1;
            } else {
                break;
            }
        }
        let left = self.waiting.iter().map(|(_, host)| *host).collect();
        Some(Attempt {
            left,
            moved_mib: self.motion.moved_mib,
            moves: self.motion.moves,
            ends: self.motion.now,
            record: self.motion.record,
            state: self.state,
            reserve: self.reserve,
        })
    }

    /// Lets time go on to the next event, with all that happen at that moment.
    fn step(&mut self) -> bool {
        let Some(Reverse((now, _, _))) = self.motion.queue.peek().copied() else {
            return false;
        };
        while let Some(Reverse((at, _, event))) = self.motion.queue.peek().copied() {
            if at > now {
                break;
            }
            self.motion.queue.pop();
            self.motion.now = now;
            self.happens(event);
        }
        true
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Arrives(vm) => {
                let (from, to) = (
                    self.state.at[vm as usize] as usize,
                    self.state.to[vm as usize] as usize,
                );
                let state = &mut self.state;
                self.pools
                    .changing(state, from, |state| state.arrive(vm as usize));
                self.motion.arrived(self.ground, &self.state, vm, from, to);
                self.emptied(from);
            }
            Event::Ends(vm) => {
                let host = self.state.at[vm as usize] as usize;
                self.motion.ended(vm, host);
                self.pools
                    .changing(&mut self.state, host, |state| state.end(vm as usize));
                self.emptied(host);
            }
            Event::Stopped(host) => self.patch(host as usize),
            Event::Up(host) => {
                let host = host as usize;
                self.motion
                    .note(Did::Reopen(short(host)), 0, Reason::Follows);
                self.reserve.reopen(host);
                self.state.patched(host);
                if !self.ground.dedicated[host] {
                    self.pools.adds_done(&self.state, host);
                }
                self.motion.start_again(self.ground, host);
                self.version += 1;
            }
            Event::Started(vm) => self.motion.started(self.ground, &self.state, vm),
            Event::Wake(host) => self.motion.kick(self.ground, &self.state, host as usize),
            Event::Window => self.version += 1,
        }
        self.stop_what_waits();
    }

    /// A closed host that is left by all who move stops those who stay, and is patched.
    fn emptied(&mut self, host: usize) {
        if self.state.phase[host] != Phase::Closed || self.motion.leaving[host] > 0 {
            return;
        }
        let on = self.state.on(host);
        let stay: Vec<u32> = on
            .iter()
            .copied()
            .filter(|vm| matches!(self.ground.way[*vm as usize], Way::Stops { .. }))
            .collect();
        if stay.is_empty() {
            self.patch(host);
        } else {
            self.motion.to_stop.push((short(host), stay));
            self.stop_what_waits();
        }
    }

    fn stop_what_waits(&mut self) {
        self.motion.stop_what_may(self.ground);
    }

    fn patch(&mut self, host: usize) {
        let lasts = self.ground.patch_ms(host);
        self.motion
            .note(Did::Patch(short(host)), lasts, Reason::Follows);
        let at = self.motion.now + lasts;
        self.motion.push(at, Event::Up(short(host)));
    }

    fn close_what_may(&mut self) {
        loop {
            let mut closed = None;
            let mut vain = 0;
            for (_, host) in &self.waiting {
                if self.failed[*host as usize] == self.version
                    || self.motion.coming[*host as usize] > 0
                {
                    continue;
                }
                closed = Some(*host as usize);
                break;
            }
            while let Some(host) = closed {
                if self.try_host(host) {
                    break;
                }
                self.failed[host] = self.version;
                vain += 1;
                if vain >= self.tries {
                    return;
                }
                let after = (self.key[host], short(host));
                let next = self
                    .waiting
                    .range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded));
                closed = next.map(|(_, host)| *host as usize).find(|host| {
                    self.failed[*host] != self.version && self.motion.coming[*host] == 0
                });
            }
            if closed.is_none() {
                return;
            }
        }
    }

    /// Closes a host, or empties it ahead of that; says whether either was done.
    fn try_host(&mut self, host: usize) -> bool {
        let done = |first: &u32| {
            let first = *first as usize;
            self.ground.role[first] != super::ground::Role::Patch
                || self.state.phase[first] == Phase::Done
        };
        if !self.ground.before[host].iter().all(done) {
            return false;
        }
        let window = match self.window_for(host) {
            Ok(window) => window,
            Err(()) => return false,
        };
        let may = self.reserve.may_close(host);
        let ahead = self.knobs.ahead && !self.ground.slow && !self.emptied_ahead[host];
        if !may && !ahead {
            return false;
        }
        let on = self.state.on(host);
        if !stops_fit(self.ground, &on) {
            return false;
        }
        let (ends, rest): (Vec<u32>, Vec<u32>) =
            on.into_iter().partition(|vm| self.waits_for_end(*vm, host));
        let spill = may && self.spill_left > 0;
        if !spill && !self.pools.could_hold(self.ground, &rest) {
            return false;
        }
        let movers = movers(self.ground, &rest);
        self.pools.waiting.remove(host);
        let before = self.state.phase[host];
        self.state.phase[host] = Phase::Closed;
        let found = self
            .pools
            .pack(&mut self.state, &movers, spill, self.knobs.taste);
        self.state.phase[host] = before;
        let Some(found) = found.filter(|found| may || !found.is_empty()) else {
            if before == Phase::Waiting && !self.emptied_ahead[host] {
                self.pools.waiting.add(&self.state, host);
            }
            return false;
        };
        if may {
            self.close(host, window);
        } else {
            self.emptied_ahead[host] = true;
        }
        let spilled = found
            .iter()
            .any(|(_, to)| self.state.phase[*to as usize] == Phase::Waiting);
        self.spill_left -= u32::from(spilled && self.spill_left < u32::MAX);
        self.commit(host, &found, may);
        if may {
            for vm in ends {
                let ends = self.ground.cluster.vms[vm as usize].ends_in_s.unwrap_or(0) * 1000;
                let at = ends.max(self.motion.now);
                self.motion.leaving[host] += 1;
                self.motion.push(at, Event::Ends(vm));
            }
            self.emptied(host);
        }
        true
    }

    /// Whether it pays to wait until a machine ends: not longer than its host is gone anyway.
    fn waits_for_end(&self, vm: u32, host: usize) -> bool {
        if self.ground.clump_of[vm as usize] != NONE {
            // The others would have to wait with it.
            return false;
        }
        let ends = self.ground.cluster.vms[vm as usize].ends_in_s;
        ends.is_some_and(|ends| ends * 1000 <= self.motion.now + self.ground.patch_ms(host))
    }

    fn close(&mut self, host: usize, window: Option<u64>) {
        self.waiting.remove(&(self.key[host], short(host)));
        self.reserve.close(host);
        self.state.phase[host] = Phase::Closed;
        let (spare, dim) = self.reserve.spare().unwrap_or((0, 0));
        let reason = Reason::CanBeEmptied {
            closed: self.reserve.closed,
            spare,
            resource: self.ground.cluster.resources[dim].clone(),
        };
        self.motion.note(Did::Close(short(host)), 0, reason);
        if let Some(last) = self.motion.record.last_mut() {
            last.not_before = window;
        }
    }

    fn commit(&mut self, host: usize, found: &[(u32, u32)], closed: bool) {
        let patched = u32::try_from(self.pools.done.len()).unwrap_or(u32::MAX);
        for (vm, to) in found {
            let target = *to as usize;
            let reason = match self.state.phase[target] {
                Phase::Waiting => Reason::Spill { patched },
                _ if closed => Reason::IntoPatched,
                _ => Reason::Ahead,
            };
            self.state.to[*vm as usize] = *to;
            self.motion.wants(*vm, host, target, reason);
            if self.state.phase[target] == Phase::Waiting && !self.waiting.is_empty() {
                let own = (self.key[target], *to);
                if self.waiting.remove(&own) {
                    let more = self.ground.bytes[*vm as usize] + 1;
                    match self.knobs.order {
                        Order::Least => self.key[target] += more,
                        Order::Most => self.key[target] -= more,
                        Order::Named => {}
                    }
                    self.waiting.insert((self.key[target], *to));
                }
            }
        }
        self.motion.kick(self.ground, &self.state, host);
    }

    /// The beginning of the window in which a host can be closed now, where there are windows.
    fn window_for(&mut self, host: usize) -> Result<Option<u64>, ()> {
        let windows = &self.ground.cluster.limits.windows;
        if windows.is_empty() {
            return Ok(None);
        }
        let now = self.motion.now;
        let on = self.state.on(host);
        let slots = self.ground.slots(host);
        let moves: Vec<u64> = on
            .iter()
            .filter_map(|vm| match self.ground.way[*vm as usize] {
                Way::Moves(how) => Some(self.ground.move_ms(*vm as usize, host, host, how)),
                _ => None,
            })
            .collect();
        let drain = moves.iter().sum::<u64>() / u64::from(slots.out_slots)
            + moves.iter().max().unwrap_or(&0);
        let stops = on
            .iter()
            .any(|vm| matches!(self.ground.way[*vm as usize], Way::Stops { .. }));
        let costs = &self.ground.cluster.costs;
        let restart = self.ground.paced((costs.stop_s + costs.start_s) * 1000);
        // Slots at the other ends are shared, so that a drain may take twice as long as it would alone.
        let takes = drain * 2 + self.ground.patch_ms(host) + if stops { restart } else { 0 };
        let fits = windows
            .iter()
            .find(|window| now >= window.from_s * 1000 && now + takes <= window.until_s * 1000);
        if let Some(window) = fits {
            return Ok(Some(window.from_s * 1000));
        }
        let next = windows
            .iter()
            .map(|w| w.from_s * 1000)
            .filter(|from| *from > now)
            .min();
        if let Some(next) = next.filter(|next| *next > self.woken_until) {
            self.woken_until = next;
            self.motion.push(next, Event::Window);
        }
        Err(())
    }
}
