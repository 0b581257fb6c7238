//! What no roll of a cluster can beat.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check::Figures,
    planner::ground::{Ground, Role, Way},
    rule::Level,
};

/// Lower bounds: no roll that patches all that this one could patch moves less or is over sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bounds {
    /// Every machine on a host that is patched leaves it once; and before the first host is done, its machines went
    /// to hosts from which they move again, unless hosts that need no patch have room for them. In MiB.
    pub moved_mib: u64,
    /// The same, counted in moves.
    pub moves: u64,
    /// The quickest drain, and then as many hosts at once as the reserve lets be closed. In milliseconds.
    pub makespan_ms: u64,
    /// How many hosts the reserve, the limits and the largest group let be closed at once, by their sums.
    pub closed_at_once: u32,
}

impl Bounds {
    /// By how much a roll misses the bounds, in thousandths: bytes, moves, makespan. 0 means that none is better.
    #[must_use]
    pub fn gap_permille(&self, figures: &Figures) -> [u64; 3] {
        let gap = |value: u64, bound: u64| match bound {
            0 => value.min(1) * 1000,
            bound => {
                let over = u128::from(value.saturating_sub(bound)) * 1000 / u128::from(bound);
                u64::try_from(over).unwrap_or(u64::MAX)
            }
        };
        [
            gap(figures.moved_mib, self.moved_mib),
            gap(figures.moves, self.moves),
            gap(figures.makespan_ms, self.makespan_ms),
        ]
    }
}

/// What a host's machines come to that must leave it.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    mib: u64,
    count: u64,
    /// All drains of it take at least so long.
    longest_ms: u64,
    sum_ms: u64,
}

pub(super) fn bounds(ground: &Ground<'_>) -> Bounds {
    let hosts = ground.cluster.hosts.len();
    let mut loads = vec![Load::default(); hosts];
    for vm in 0..ground.home.len() {
        let host = ground.home[vm] as usize;
        let leaves = ground.role[host] == Role::Patch && ground.cluster.vms[vm].ends_in_s.is_none();
        let (true, Way::Moves(how)) = (leaves, ground.way[vm]) else {
            continue;
        };
        let load = &mut loads[host];
        let fastest = fastest_ms(ground, vm, host, how);
        load.mib += ground.bytes[vm];
        load.count += 1;
        load.longest_ms = load.longest_ms.max(fastest);
        load.sum_ms += fastest;
    }
    let patched: Vec<usize> = (0..hosts)
        .filter(|h| ground.role[*h] == Role::Patch)
        .collect();
    let Some(first) = patched.first() else {
        return Bounds {
            moved_mib: 0,
            moves: 0,
            makespan_ms: 0,
            closed_at_once: 0,
        };
    };
    let all = |of: fn(&Load) -> u64| patched.iter().map(|host| of(&loads[*host])).sum::<u64>();
    // Hosts that need no patch take machines once and for all; how many is a question of packing, and not asked here.
    let acceptors = (0..hosts).any(|h| ground.role[h] == Role::Keep && !ground.dedicated[h]);
    let again = |of: fn(&Load) -> u64| match acceptors {
        true => 0,
        false => patched
            .iter()
            .map(|host| of(&loads[*host]))
            .min()
            .unwrap_or(0),
    };
    let drain = |host: &usize| {
        let slots = u64::from(ground.slots(*host).out_slots);
        loads[*host].longest_ms.max(loads[*host].sum_ms / slots)
    };
    let patch = |host: &usize| ground.patch_ms(*host);
    let alone = patched
        .iter()
        .map(|host| drain(host) + patch(host))
        .max()
        .unwrap_or(0);
    let at_once = at_once(ground, &patched).max(1);
    let rounds = (patched.len() as u64).div_ceil(at_once);
    let shortest = patched.iter().map(patch).min().unwrap_or(0);
    let sum: u64 = patched.iter().map(patch).sum();
    let quickest = patched
        .iter()
        .map(drain)
        .min()
        .unwrap_or_else(|| drain(first));
    Bounds {
        moved_mib: all(|load| load.mib) + again(|load| load.mib),
        moves: all(|load| load.count) + again(|load| load.count),
        makespan_ms: alone.max(quickest + (sum / at_once).max(rounds * shortest)),
        closed_at_once: u32::try_from(at_once).unwrap_or(u32::MAX),
    }
}

fn fastest_ms(ground: &Ground<'_>, vm: usize, host: usize, how: super::step::How) -> u64 {
    // To itself is to a host of its own rate: no other end is faster than this one.
    ground.move_ms(vm, host, host, how)
}

/// The most hosts that could be closed at once, if all packing went well.
fn at_once(ground: &Ground<'_>, patched: &[usize]) -> u64 {
    use super::limits::Ha;
    let usable: Vec<usize> = (0..ground.cluster.hosts.len())
        .filter(|h| ground.role[*h] != Role::Shut && !ground.dedicated[*h])
        .collect();
    let mut most = patched.len();
    if let Some(limit) = ground.cluster.limits.max_hosts_down {
        let shut = ground
            .role
            .iter()
            .filter(|role| **role == Role::Shut)
            .count();
        most = most.min((limit as usize).saturating_sub(shut));
    }
    for dim in 0..ground.dims {
        let room = |host: &usize| ground.room[*host * ground.dims + dim];
        let counts = !matches!(ground.cluster.limits.ha, Ha::None | Ha::Dedicated { .. });
        let demand: u64 = (0..ground.home.len())
            .filter(|vm| counts || matches!(ground.way[*vm], Way::Moves(_)))
            .filter(|vm| counts || ground.cluster.vms[*vm].ends_in_s.is_none())
            .map(|vm| ground.demand_of(vm)[dim])
            .sum();
        let mut closing: Vec<u64> = patched
            .iter()
            .filter(|host| !ground.dedicated[**host])
            .map(room)
            .collect();
        closing.sort_unstable();
        let mut rooms: Vec<u64> = usable.iter().map(room).collect();
        rooms.sort_unstable();
        let mut open: u64 = rooms.iter().sum();
        // The largest stay open as long as the smallest are closed, so their failure is what is reserved for.
        let fail = |closed: usize| -> u64 {
            match ground.cluster.limits.ha {
                Ha::Failures(hosts) => {
                    let left = rooms.len() - closed.min(rooms.len());
                    let lost = (hosts as usize).min(left);
                    rooms.iter().rev().take(lost).sum()
                }
                _ => 0,
            }
        };
        let mut count = 0;
        for room in closing {
            open -= room;
            let usable = match ground.cluster.limits.ha {
                Ha::Percent(percent) => {
                    super::planner::ground::part(open, u64::from(100 - percent.min(100)) * 10)
                }
                // What could fail is counted low here, so that the bound stays a bound.
                _ => open.saturating_sub(fail(count + 1).min(open)),
            };
            if usable < demand {
                break;
            }
            count += 1;
        }
        most = most.min(
            count
                + patched
                    .iter()
                    .filter(|host| ground.dedicated[**host])
                    .count(),
        );
    }
    for group in ground
        .groups
        .iter()
        .filter(|g| !g.soft && g.level == Level::Host)
    {
        let movable = group
            .members
            .iter()
            .filter(|vm| matches!(ground.way[**vm as usize], Way::Moves(_)))
            .filter(|vm| ground.cluster.vms[**vm as usize].ends_in_s.is_none())
            .count();
        let places = movable.div_ceil(group.max_per as usize);
        most = most.min(usable.len().saturating_sub(places).max(1));
    }
    most as u64
}
