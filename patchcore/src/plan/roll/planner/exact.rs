//! The fewest bytes of a small cluster, by looking at every way: one move, one patch after the other.
//!
//! More hosts at once never save a move, so what is best one after the other is best.

use std::{cmp::Reverse, collections::BinaryHeap, collections::HashMap};

use super::{
    drive::Attempt,
    ground::{Ground, NONE, Role, Way, short},
    motion::stops_fit,
    pack::{moves, unit},
    record::{Did, Entry},
    reserve::Reserve,
    state::{Phase, State},
};
use crate::plan::roll::{cluster::HostState, step::Reason};

/// What a search came to.
#[derive(Debug)]
pub(super) enum Search<'g> {
    Found(Box<Attempt<'g>>),
    /// Every way was looked at, and none patches all.
    NoWay,
    /// The cluster is not small, or there were more ways than may be looked at.
    NotLooked,
}

const MOST_HOSTS: usize = 6;
const MOST_VMS: usize = 12;
const MOST_STATES: usize = 200_000;
/// Bits for the place of one machine.
const BITS: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Move { vm: u32, to: u32 },
    Patch(u32),
}

/// Where everyone is, and who is patched, in one number.
type Code = u64;

fn place(code: Code, vm: usize) -> usize {
    let bits = code >> (8 + BITS * short(vm));
    usize::try_from(bits & 7).unwrap_or(0)
}

fn with_place(code: Code, vm: usize, host: usize) -> Code {
    let at = 8 + BITS * short(vm);
    (code & !(7 << at)) | ((host as u64) << at)
}

/// Looks at every way of a small cluster.
pub(super) fn search<'g>(ground: &'g Ground<'g>, stop: &dyn Fn() -> bool) -> Search<'g> {
    let (hosts, vms) = (ground.cluster.hosts.len(), ground.cluster.vms.len());
    let plain = ground
        .cluster
        .hosts
        .iter()
        .all(|h| h.state == HostState::Open)
        && ground.cluster.vms.iter().all(|vm| vm.ends_in_s.is_none())
        && !ground.slow
        && ground.floors.iter().all(|floor| floor.most_away > 0);
    if hosts > MOST_HOSTS || vms > MOST_VMS || !plain {
        return Search::NotLooked;
    }
    let mut reserve = Reserve::of(ground);
    let closes: Vec<bool> = (0..hosts)
        .map(|host| ground.role[host] == Role::Patch && reserve.may_close(host))
        .collect();
    let start = (0..vms).fold(0, |code, vm| with_place(code, vm, ground.home[vm] as usize));
    let goal: u64 = (0..hosts)
        .filter(|host| ground.role[*host] == Role::Patch)
        .fold(0, |mask, host| mask | 1 << host);
    // A move of nothing costs a little, so that no way is longer than it must be.
    let cost = |vm: usize| ground.bytes[vm] * 64 + 1;
    let least = |code: Code| -> u64 {
        (0..vms)
            .filter(|vm| matches!(ground.way[*vm], Way::Moves(_)))
            .filter(|vm| {
                let host = place(code, *vm);
                goal >> host & 1 == 1 && code >> host & 1 == 0
            })
            .map(cost)
            .sum()
    };
    let mut state = State::of(ground);
    state.keep_soft = false;
    let mut best: HashMap<Code, (u64, Code, Turn)> = HashMap::new();
    best.insert(start, (0, start, Turn::Patch(NONE)));
    let mut open = BinaryHeap::from([Reverse((least(start), 0_u64, start))]);
    while let Some(Reverse((_, spent, code))) = open.pop() {
        if best.get(&code).is_some_and(|(known, ..)| *known < spent) {
            continue;
        }
        if code & 0xff & goal == goal {
            return Search::Found(Box::new(written(ground, start, code, &best)));
        }
        if best.len() > MOST_STATES || stop() {
            return Search::NotLooked;
        }
        become_code(&mut state, code, goal);
        for turn in turns(ground, &mut state, code, goal, &closes) {
            let (next, more) = match turn {
                Turn::Patch(host) => (code | 1 << host, 0),
                Turn::Move { vm, to } => unit(ground, &vm).iter().fold((code, 0), |sum, vm| {
                    let next = with_place(sum.0, *vm as usize, to as usize);
                    (next, sum.1 + cost(*vm as usize))
                }),
            };
            let spent = spent + more;
            if best.get(&next).is_none_or(|(known, ..)| *known > spent) {
                best.insert(next, (spent, code, turn));
                open.push(Reverse((spent + least(next), spent, next)));
            }
        }
    }
    Search::NoWay
}

/// Changes a placement into the one of a number: most of it is as it was.
fn become_code(state: &mut State<'_>, code: Code, goal: u64) {
    for host in 0..state.phase.len() {
        if goal >> host & 1 == 0 {
            continue;
        }
        if code >> host & 1 == 1 {
            state.patched(host);
        } else {
            state.phase[host] = Phase::Waiting;
            state.level[host] = state.ground.cluster.hosts[host].cpu_level;
        }
    }
    for vm in 0..state.at.len() {
        let host = place(code, vm);
        if host != state.at[vm] as usize {
            state.put(vm, host);
        }
    }
    for host in 0..state.phase.len() {
        // Drops from the host's list who has left it.
        state.on(host);
    }
}

fn turns(
    ground: &Ground<'_>,
    state: &mut State<'_>,
    code: Code,
    goal: u64,
    closes: &[bool],
) -> Vec<Turn> {
    let mut turns = Vec::new();
    for (host, closes) in closes.iter().enumerate() {
        if goal >> host & 1 == 0 || code >> host & 1 == 1 || !closes {
            continue;
        }
        let on = state.on(host);
        let empty = on
            .iter()
            .all(|vm| matches!(ground.way[*vm as usize], Way::Stops { .. }));
        let first = |first: &u32| goal >> first & 1 == 0 || code >> first & 1 == 1;
        if empty && stops_fit(ground, &on) && ground.before[host].iter().all(first) {
            turns.push(Turn::Patch(short(host)));
        }
    }
    for vm in (0..state.at.len()).map(short) {
        let unit = unit(ground, &vm);
        // Those that go together go with the first of them.
        if unit[0] != vm || !moves(ground, unit) {
            continue;
        }
        for to in 0..closes.len() {
            let elsewhere = short(to) != state.at[vm as usize] && state.open(to);
            if elsewhere && state.all_fit(unit, to, &ground.capped) {
                turns.push(Turn::Move { vm, to: short(to) });
            }
        }
    }
    turns
}

/// The way that was found, as one decision after the other. A host closes when the last move out of it begins to
/// be of no more use elsewhere: right before its patch, after all its machines have left.
fn written<'g>(
    ground: &'g Ground<'g>,
    start: Code,
    end: Code,
    best: &HashMap<Code, (u64, Code, Turn)>,
) -> Attempt<'g> {
    let mut turns = Vec::new();
    let mut code = end;
    while code != start {
        let Some((_, from, turn)) = best.get(&code) else {
            break;
        };
        turns.push(*turn);
        code = *from;
    }
    turns.reverse();
    let mut state = State::of(ground);
    state.keep_soft = false;
    let mut attempt = Attempt {
        record: Vec::new(),
        reserve: Reserve::of(ground),
        left: Vec::new(),
        moved_mib: 0,
        moves: 0,
        ends: 0,
        state,
    };
    for turn in turns {
        match turn {
            Turn::Move { vm, to } => {
                for vm in unit(ground, &vm) {
                    goes(ground, &mut attempt, *vm, to);
                }
            }
            Turn::Patch(host) => patches(ground, &mut attempt, host),
        }
    }
    attempt
}

fn goes(ground: &Ground<'_>, attempt: &mut Attempt<'_>, vm: u32, to: u32) {
    let Way::Moves(how) = ground.way[vm as usize] else {
        return;
    };
    let from = attempt.state.at[vm as usize];
    let did = Did::Move { vm, from, to, how };
    let reason = match attempt.state.phase[to as usize] {
        Phase::Waiting => Reason::Spill { patched: 0 },
        _ => Reason::IntoPatched,
    };
    note(attempt, did, reason);
    attempt.moves += 1;
    attempt.moved_mib += ground.bytes[vm as usize];
    attempt.state.put(vm as usize, to as usize);
}

fn note(attempt: &mut Attempt<'_>, did: Did, reason: Reason) {
    attempt.record.push(Entry {
        did,
        from: attempt.ends,
        until: attempt.ends + 1,
        not_before: None,
        reason,
    });
    attempt.ends += 1;
}

fn patches(ground: &Ground<'_>, attempt: &mut Attempt<'_>, host: u32) {
    let stops: Vec<(u32, bool)> = attempt
        .state
        .on(host as usize)
        .iter()
        .filter_map(|vm| match ground.way[*vm as usize] {
            Way::Stops { suspend } => Some((*vm, suspend)),
            _ => None,
        })
        .collect();
    attempt.reserve.close(host as usize);
    let (spare, dim) = attempt.reserve.spare().unwrap_or((0, 0));
    let reason = Reason::CanBeEmptied {
        closed: 1,
        spare,
        resource: ground.cluster.resources[dim].clone(),
    };
    note(attempt, Did::Close(host), reason);
    for (vm, suspend) in &stops {
        let did = Did::Stop {
            vm: *vm,
            host,
            suspend: *suspend,
        };
        note(attempt, did, Reason::Follows);
    }
    note(attempt, Did::Patch(host), Reason::Follows);
    note(attempt, Did::Reopen(host), Reason::Follows);
    for (vm, _) in &stops {
        note(attempt, Did::Start { vm: *vm, host }, Reason::Follows);
    }
    attempt.reserve.reopen(host as usize);
    attempt.state.patched(host as usize);
}
