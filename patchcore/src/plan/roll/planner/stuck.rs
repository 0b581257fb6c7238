//! When no attempt patches every host: which are gone on with, and in which manner it is tried anew.

use super::{
    Wish, choose,
    drive::{Attempt, Order},
    ground::Ground,
    mend::{Manner, one_host},
    pack::{Taste, movers},
};

/// The manner that finds the most by itself.
const FIRST: Manner = Manner {
    order: Order::Least,
    taste: Taste::PatchedFirst,
    ejects: true,
};

/// Every manner: whoever comes first takes the room that another would have needed, so that no single one finds all
/// that can be found. Those without ejection cost next to nothing and come first.
fn manners() -> Vec<Manner> {
    let mut all = Vec::new();
    for ejects in [false, true] {
        for order in [Order::Least, Order::Named, Order::Most] {
            all.extend([Taste::PatchedFirst, Taste::Emptiest].map(|taste| Manner {
                order,
                taste,
                ejects,
            }));
        }
    }
    all
}

/// Goes on with the attempts that came farthest, and begins anew in other manners.
pub(super) fn mend<'g>(
    ground: &'g Ground<'g>,
    wish: &Wish,
    attempts: &mut Vec<Attempt<'g>>,
    stop: &dyn Fn() -> bool,
) {
    let mut effort = wish.effort;
    attempts.sort_by_key(|attempt| (attempt.left.len(), attempt.moved_mib));
    for (tried, attempt) in (1..).zip(attempts.iter_mut().take(3)) {
        attempt.state.keep_soft = false;
        // Each gets a share, so that the first one does not spend it all.
        let share = effort / (4 - tried) * 3 / 4;
        effort -= within(share, |share| goes_on(attempt, FIRST, share, stop));
        if attempt.left.is_empty() {
            return;
        }
    }
    let manners = manners();
    for (at, manner) in manners.iter().enumerate() {
        let mut fresh = choose::fresh(ground);
        let share = effort / (manners.len() - at) as u64;
        effort -= within(share, |share| goes_on(&mut fresh, *manner, share, stop));
        let is_whole = fresh.left.is_empty();
        choose::keep(attempts, fresh);
        if is_whole || stop() {
            return;
        }
    }
}

/// What is spent of this share of the effort.
fn within(share: u64, work: impl FnOnce(&mut u64)) -> u64 {
    let mut left = share;
    work(&mut left);
    share - left
}

/// Goes on with an attempt that is stuck, host by host, until none can be emptied or the effort is spent.
fn goes_on(attempt: &mut Attempt<'_>, manner: Manner, effort: &mut u64, stop: &dyn Fn() -> bool) {
    loop {
        let mut order: Vec<(u64, u32)> = attempt
            .left
            .clone()
            .into_iter()
            .map(|host| {
                let on = attempt.state.on(host as usize);
                let weight: u64 = movers(attempt.state.ground, &on)
                    .iter()
                    .map(|vm| attempt.state.ground.weight[*vm as usize])
                    .sum();
                let key = match manner.order {
                    Order::Least => weight,
                    Order::Named => 0,
                    Order::Most => u64::MAX - weight,
                };
                (key, host)
            })
            .collect();
        order.sort_unstable();
        let before = attempt.left.len();
        for (_, host) in order {
            if stop() || *effort == 0 {
                return;
            }
            if one_host(attempt, host as usize, manner, effort) {
                attempt.left.retain(|left| *left != host);
            }
        }
        if attempt.left.len() == before {
            return;
        }
    }
}
