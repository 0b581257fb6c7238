//! Which attempts are made, and which of them is taken.

use super::{
    Objective, Wish,
    drive::{Attempt, Knobs, Order},
    ground::{Ground, Role},
    pack::Taste,
    reserve::Reserve,
    state::{Phase, State},
};
use crate::plan::roll::{
    bounds::Bounds,
    check::{CheckedRoll, Figures},
};

/// Beyond so many machines an attempt takes long enough that fewer are made.
const MANY_VMS: usize = 50_000;
const FEW_ATTEMPTS: usize = 5;

/// The knobs of every attempt, those first that matter most to the wish.
pub(super) fn portfolio(ground: &Ground<'_>, wish: &Wish, bounds: &Bounds) -> Vec<Knobs> {
    let most = bounds.closed_at_once.max(1);
    let acceptors = ground.role.contains(&Role::Keep);
    let mean = mean_permille(ground);
    let base = Knobs {
        spill: 1,
        fill: 1000,
        taste: Taste::PatchedFirst,
        ahead: true,
        order: Order::Least,
    };
    let mut spills: Vec<u32> = [
        1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024, 2048,
    ]
    .into_iter()
    .filter(|spill| *spill < most)
    .collect();
    spills.push(most);
    if acceptors || has_idle(ground) {
        spills.insert(0, 0);
    }
    let fills: Vec<u64> = match ground.cluster.limits.fill_cap_percent {
        100 => vec![1000, mean + 100, mean + 50, mean + 200],
        cap => vec![u64::from(cap) * 10, mean + 100],
    };
    let fills: Vec<u64> = fills.into_iter().map(|fill| fill.min(1000)).collect();
    let mut all = Vec::new();
    let spread = [Order::Least, Order::Named, Order::Most].map(|order| {
        [true, false].map(|ahead| Knobs {
            spill: u32::MAX,
            taste: Taste::Emptiest,
            ahead,
            order,
            ..base
        })
    });
    let spread = spread.into_iter().flatten();
    let few = wish.objective == Objective::FewestMoves;
    if wish.objective == Objective::Fastest {
        all.extend(spread.clone());
    }
    let vms = ground.home.len();
    if few {
        spills.truncate(2);
    } else if vms > MANY_VMS {
        spills = spaced(&spills, FEW_ATTEMPTS);
    }
    for fill in &fills {
        for spill in &spills {
            for ahead in [true, false] {
                // Emptying ahead pays where few may be closed at once.
                if !ahead && most > 64 {
                    continue;
                }
                all.push(Knobs {
                    spill: *spill,
                    fill: *fill,
                    ahead,
                    ..base
                });
            }
        }
        if few {
            break;
        }
    }
    if wish.objective != Objective::Fastest && !few {
        all.extend(spread);
    }
    all.dedup();
    let pays = if vms > MANY_VMS { FEW_ATTEMPTS } else { 128 };
    all.truncate(wish.attempts.unwrap_or(pays).max(1));
    all
}

/// So many of them, from the first to the last.
fn spaced(all: &[u32], count: usize) -> Vec<u32> {
    let last = all.len().saturating_sub(1);
    let mut chosen: Vec<u32> = (0..count)
        .map(|at| all[at * last / (count - 1).max(1)])
        .collect();
    chosen.dedup();
    chosen
}

/// Whether a host that needs the patch has nothing on it: patched first, it takes the machines of the next, and nobody
/// has to spill.
fn has_idle(ground: &Ground<'_>) -> bool {
    let mut idle: Vec<bool> = ground
        .role
        .iter()
        .map(|role| *role == Role::Patch)
        .collect();
    for host in &ground.home {
        if let Some(idle) = idle.get_mut(*host as usize) {
            *idle = false;
        }
    }
    idle.contains(&true)
}

/// How full the cluster is, in thousandths of its scarcest resource.
pub(super) fn mean_permille(ground: &Ground<'_>) -> u64 {
    let mut most = 0;
    for dim in 0..ground.dims {
        let room: u64 = ground.room.iter().skip(dim).step_by(ground.dims).sum();
        let used: u64 = ground.demand.iter().skip(dim).step_by(ground.dims).sum();
        let share = u128::from(used) * 1000 / u128::from(room.max(1));
        most = most.max(u64::try_from(share).unwrap_or(1000));
    }
    most
}

/// An attempt that has done nothing yet.
pub(super) fn fresh<'g>(ground: &'g Ground<'g>) -> Attempt<'g> {
    let mut state = State::of(ground);
    state.keep_soft = false;
    let waits = |phase: &Phase| matches!(phase, Phase::Waiting | Phase::ClosedBefore);
    let left = (0..).zip(&state.phase).filter(|(_, phase)| waits(phase));
    Attempt {
        left: left.map(|(host, _)| host).collect(),
        record: Vec::new(),
        reserve: Reserve::of(ground),
        moved_mib: 0,
        moves: 0,
        ends: 0,
        state,
    }
}

/// Whether the first is worse than the second in something and better in nothing.
fn dominated(one: &Attempt<'_>, by: &Attempt<'_>) -> bool {
    let key = |a: &Attempt<'_>| (a.left.len(), a.moved_mib, a.ends, fullest(a));
    let (a, b) = (key(one), key(by));
    a.0 >= b.0 && a.1 >= b.1 && a.2 >= b.2 && a.3 >= b.3
}

fn fullest(attempt: &Attempt<'_>) -> u32 {
    let state = &attempt.state;
    let fill = |host: usize| (1 << 20) - state.free(host);
    // A thousandth more or less makes no roll better.
    (0..state.phase.len()).map(fill).max().unwrap_or(0) >> 10
}

/// Keeps an attempt unless another is as good in everything, and drops those that it is as good as.
pub(super) fn keep<'g>(attempts: &mut Vec<Attempt<'g>>, attempt: Attempt<'g>) {
    if attempts.iter().any(|other| dominated(&attempt, other)) {
        return;
    }
    attempts.retain(|other| !dominated(other, &attempt));
    attempts.push(attempt);
}

/// Those that patch the most.
pub(super) fn worth_checking(attempts: Vec<Attempt<'_>>, fewest_left: usize) -> Vec<Attempt<'_>> {
    attempts
        .into_iter()
        .filter(|a| a.left.len() == fewest_left)
        .collect()
}

/// The place of the roll that fits the wish best.
pub(super) fn best(
    ground: &Ground<'_>,
    objective: Objective,
    checked: &[CheckedRoll],
) -> Option<usize> {
    let all_mib: u64 = ground.bytes.iter().sum();
    let cost = |per_mib: u128, per_ms: u128, figures: &Figures| {
        per_mib * u128::from(figures.moved_mib) + per_ms * u128::from(figures.makespan_ms)
    };
    let most = u32::try_from(mean_permille(ground) + 100).unwrap_or(1000);
    let key = |figures: &Figures| -> (u128, u128) {
        let mib = u128::from(figures.moved_mib);
        let ms = u128::from(figures.makespan_ms);
        match objective {
            Objective::FewestMoves => (mib, ms),
            Objective::Fastest => (ms, mib),
            Objective::Balanced => {
                let over = figures.fullest_permille.saturating_sub(most);
                (over.into(), cost(36_000_000, u128::from(all_mib), figures))
            }
            Objective::Knee => (cost(36_000_000, u128::from(all_mib), figures), mib),
            Objective::Weighted { per_tib, per_hour } => (
                cost(
                    u128::from(per_tib) * 3_600_000,
                    u128::from(per_hour) << 20,
                    figures,
                ),
                mib,
            ),
        }
    };
    (0..checked.len()).min_by_key(|at| {
        let figures = checked[*at].figures();
        (key(figures), figures.soft, *at)
    })
}

/// Leaves those that are better than all others in something.
pub(super) fn pareto(checked: &mut Vec<CheckedRoll>, best: &CheckedRoll) {
    let key = |roll: &CheckedRoll| {
        let figures = roll.figures();
        (
            figures.moved_mib,
            figures.makespan_ms,
            figures.fullest_permille,
        )
    };
    let as_good =
        |one: (u64, u64, u32), by: (u64, u64, u32)| by.0 <= one.0 && by.1 <= one.1 && by.2 <= one.2;
    checked.retain(|roll| !as_good(key(roll), key(best)));
    checked.sort_by_key(key);
    let mut kept: Vec<CheckedRoll> = Vec::new();
    for roll in checked.drain(..) {
        if !kept.iter().any(|other| as_good(key(&roll), key(other))) {
            kept.push(roll);
        }
    }
    *checked = kept;
}
