//! Moves, stops and starts that are under way or wait for a slot.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

use super::{
    ground::{Ground, Way, short},
    record::{Did, Entry, Record},
    state::State,
};
use crate::plan::roll::step::Reason;

/// The queue of what will happen, earliest first; of what happens at once, what was foreseen first.
type Queue = BinaryHeap<Reverse<(u64, u64, Event)>>;

/// What happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// A move is over.
    Arrives(u32),
    /// A machine has ended by itself.
    Ends(u32),
    /// All who stay on a host are stopped.
    Stopped(u32),
    /// A host is patched.
    Up(u32),
    /// A machine runs again.
    Started(u32),
    /// A machine of this host may be moved from now on.
    Wake(u32),
    /// A window opens.
    Window,
}

/// A move that waits to begin.
#[derive(Debug, Clone)]
struct Wanted {
    vm: u32,
    to: u32,
    reason: Reason,
}

pub(super) struct Motion {
    pub(super) now: u64,
    pub(super) queue: Queue,
    pub(super) record: Record,
    pub(super) moves: u64,
    pub(super) moved_mib: u64,
    /// Moves out of each host that wait.
    pending: Vec<Vec<Wanted>>,
    /// How many machines are still to leave each host, and to come to it.
    pub(super) leaving: Vec<u32>,
    pub(super) coming: Vec<u32>,
    /// Hosts that are empty but for these, who are stopped as soon as their groups allow it.
    pub(super) to_stop: Vec<(u32, Vec<u32>)>,
    stopped: Vec<Vec<u32>>,
    events: u64,
    out: Vec<u32>,
    into: Vec<u32>,
    all: u32,
    /// How many machines of each group are away.
    away: Vec<usize>,
    /// Sources whose moves wait for a slot of this host, or of the whole cluster.
    waits_into: Vec<BTreeSet<u32>>,
    waits: BTreeSet<u32>,
}

impl Motion {
    pub(super) fn of(ground: &Ground<'_>) -> Self {
        let hosts = ground.cluster.hosts.len();
        Self {
            now: 0,
            queue: BinaryHeap::new(),
            record: Vec::new(),
            moves: 0,
            moved_mib: 0,
            pending: vec![Vec::new(); hosts],
            leaving: vec![0; hosts],
            coming: vec![0; hosts],
            to_stop: Vec::new(),
            stopped: vec![Vec::new(); hosts],
            events: 0,
            out: vec![0; hosts],
            into: vec![0; hosts],
            all: 0,
            away: vec![0; ground.floors.len()],
            waits_into: vec![BTreeSet::new(); hosts],
            waits: BTreeSet::new(),
        }
    }

    pub(super) fn push(&mut self, at: u64, event: Event) {
        self.events += 1;
        self.queue.push(Reverse((at, self.events, event)));
    }

    pub(super) fn note(&mut self, did: Did, lasts: u64, reason: Reason) {
        self.record.push(Entry {
            did,
            from: self.now,
            until: self.now + lasts,
            not_before: None,
            reason,
        });
    }

    /// A machine is to move; [`kick`](Self::kick) lets it begin.
    pub(super) fn wants(&mut self, vm: u32, from: usize, to: usize, reason: Reason) {
        self.leaving[from] += 1;
        self.coming[to] += 1;
        self.pending[from].push(Wanted {
            vm,
            to: short(to),
            reason,
        });
    }

    /// Lets moves out of a host begin, as far as slots, notices and groups allow.
    pub(super) fn kick(&mut self, ground: &Ground<'_>, state: &State<'_>, from: usize) {
        let most_out = ground.slots(from).out_slots;
        let most = ground.cluster.limits.max_migrations.unwrap_or(u32::MAX);
        let pending = std::mem::take(&mut self.pending[from]);
        let mut left = Vec::with_capacity(pending.len());
        for wanted in pending {
            let vm = wanted.vm as usize;
            let to = wanted.to as usize;
            let notice = ground.cluster.vms[vm].notice_s * 1000;
            if self.out[from] >= most_out {
                left.push(wanted);
            } else if notice > self.now {
                self.push(notice, Event::Wake(short(from)));
                left.push(wanted);
            } else if self.into[to] >= ground.slots(to).in_slots {
                self.waits_into[to].insert(short(from));
                left.push(wanted);
            } else if self.all >= most || !self.may_go(ground, &[wanted.vm]) {
                self.waits.insert(short(from));
                left.push(wanted);
            } else {
                self.begin(ground, state, from, wanted);
            }
        }
        self.pending[from] = left;
    }

    fn begin(&mut self, ground: &Ground<'_>, state: &State<'_>, from: usize, wanted: Wanted) {
        let (vm, to) = (wanted.vm as usize, wanted.to as usize);
        let Way::Moves(how) = ground.way[vm] else {
            return;
        };
        debug_assert_eq!(state.to[vm], wanted.to);
        self.out[from] += 1;
        self.into[to] += 1;
        self.all += 1;
        self.go(ground, wanted.vm, true);
        self.moves += 1;
        self.moved_mib += ground.bytes[vm];
        let lasts = ground.move_ms(vm, from, to, how);
        let did = Did::Move {
            vm: wanted.vm,
            from: short(from),
            to: wanted.to,
            how,
        };
        self.note(did, lasts, wanted.reason);
        self.push(self.now + lasts, Event::Arrives(wanted.vm));
    }

    fn may_go(&self, ground: &Ground<'_>, vms: &[u32]) -> bool {
        if ground.floors.is_empty() {
            return true;
        }
        let mut more = vec![0; ground.floors.len()];
        for vm in vms {
            for floor in ground.floors_of.get(*vm as usize) {
                more[*floor as usize] += 1;
            }
        }
        let floors = ground.floors.iter().zip(&self.away).zip(&more);
        floors
            .into_iter()
            .all(|((floor, away), more)| *more == 0 || away + more <= floor.most_away)
    }

    fn go(&mut self, ground: &Ground<'_>, vm: u32, away: bool) {
        for floor in ground.floors_of.get(vm as usize) {
            let count = &mut self.away[*floor as usize];
            *count = if away { *count + 1 } else { *count - 1 };
        }
    }

    pub(super) fn arrived(
        &mut self,
        ground: &Ground<'_>,
        state: &State<'_>,
        vm: u32,
        from: usize,
        to: usize,
    ) {
        self.out[from] -= 1;
        self.into[to] -= 1;
        self.all -= 1;
        self.leaving[from] -= 1;
        self.coming[to] -= 1;
        self.go(ground, vm, false);
        self.kick(ground, state, from);
        self.retry(ground, state, Some(to));
    }

    /// Whoever waited for a slot of a host, or for one of the whole cluster, tries again.
    fn retry(&mut self, ground: &Ground<'_>, state: &State<'_>, to: Option<usize>) {
        if let Some(to) = to {
            let most = ground.slots(to).in_slots;
            while self.into[to] < most
                && let Some(from) = self.waits_into[to].pop_first()
            {
                self.kick(ground, state, from as usize);
                if self.waits_into[to].first() == Some(&from) {
                    break;
                }
            }
        }
        let waits = std::mem::take(&mut self.waits);
        for from in waits {
            self.kick(ground, state, from as usize);
        }
    }

    pub(super) fn ended(&mut self, vm: u32, host: usize) {
        self.leaving[host] -= 1;
        let did = Did::AwaitEnd {
            vm,
            host: short(host),
        };
        self.note(did, 0, Reason::Follows);
        if let Some(last) = self.record.last_mut() {
            last.not_before = Some(self.now);
        }
    }

    /// Stops all who stay on a host at once, or none: half of them stopped could hold up another host's half.
    pub(super) fn stop_what_may(&mut self, ground: &Ground<'_>) {
        let waiting = std::mem::take(&mut self.to_stop);
        for (host, vms) in waiting {
            let notice = vms
                .iter()
                .map(|vm| ground.cluster.vms[*vm as usize].notice_s * 1000)
                .max();
            let early = notice.is_some_and(|notice| notice > self.now);
            if early || !self.may_go(ground, &vms) {
                if early {
                    self.push(notice.unwrap_or(0), Event::Wake(host));
                }
                self.to_stop.push((host, vms));
                continue;
            }
            let lasts = ground.paced(ground.cluster.costs.stop_s * 1000);
            for vm in &vms {
                self.go(ground, *vm, true);
                let suspend = ground.way[*vm as usize] == Way::Stops { suspend: true };
                let did = Did::Stop {
                    vm: *vm,
                    host,
                    suspend,
                };
                self.note(
                    did,
                    lasts,
                    Reason::Pinned {
                        reason: String::new(),
                    },
                );
            }
            self.stopped[host as usize] = vms;
            self.push(self.now + lasts, Event::Stopped(host));
        }
    }

    /// Starts those again who were stopped for a host's patch.
    pub(super) fn start_again(&mut self, ground: &Ground<'_>, host: usize) {
        let lasts = ground.paced(ground.cluster.costs.start_s * 1000);
        for vm in std::mem::take(&mut self.stopped[host]) {
            let did = Did::Start {
                vm,
                host: short(host),
            };
            self.note(did, lasts, Reason::Follows);
            self.push(self.now + lasts, Event::Started(vm));
        }
    }

    pub(super) fn started(&mut self, ground: &Ground<'_>, state: &State<'_>, vm: u32) {
        self.go(ground, vm, false);
        self.retry(ground, state, None);
    }
}

/// Whether those who stay on a host may all be stopped at once, and those who are suspended can be resumed there.
pub(super) fn stops_fit(ground: &Ground<'_>, on: &[u32]) -> bool {
    let mut away = vec![0; ground.floors.len()];
    for vm in on {
        let host = &ground.cluster.hosts[ground.home[*vm as usize] as usize];
        let level = host.cpu_level_patched.unwrap_or(host.cpu_level);
        if ground.way[*vm as usize] == (Way::Stops { suspend: true })
            && level < ground.level[*vm as usize]
        {
            return false;
        }
        if matches!(ground.way[*vm as usize], Way::Stops { .. }) {
            for floor in ground.floors_of.get(*vm as usize) {
                away[*floor as usize] += 1;
            }
        }
    }
    away.iter()
        .zip(&ground.floors)
        .all(|(away, floor)| *away <= floor.most_away)
}
