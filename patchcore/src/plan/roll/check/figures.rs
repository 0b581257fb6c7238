//! What a roll costs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    timeline::Timeline,
    trail::Trails,
    view::{Act, View},
};
use crate::plan::roll::{
    rule::{Level, Rule},
    step::How,
};

/// When a step begins and ends, in milliseconds after the roll began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// Its begin.
    pub from_ms: u64,
    /// Its end.
    pub until_ms: u64,
}

/// What a roll costs, as the checker works it out from the steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Hosts that are patched.
    pub patched: u32,
    /// Hosts that are left out.
    pub left_out: u32,
    /// Moves of machines.
    pub moves: u64,
    /// Memory and disk that moves copy, each machine's size once for each of its moves, in MiB.
    pub moved_mib: u64,
    /// From the first step to the end of the last, at the usual pace, in milliseconds.
    pub makespan_ms: u64,
    /// The same where everything is as slow as in 95 % of the cases.
    pub makespan_p95_ms: u64,
    /// All times added up in which a machine is stopped, at the usual pace, in milliseconds.
    pub downtime_ms: u64,
    /// The most hosts that are closed at once at the usual pace.
    pub closed_at_once: u32,
    /// How full the fullest host is at the end, in thousandths of what it has for machines.
    pub fullest_permille: u32,
    /// What the broken soft rules cost at the end.
    pub soft: u64,
}

pub(super) fn spans(timeline: &Timeline) -> Vec<Span> {
    let span = |(from_ms, until_ms): &(u64, u64)| Span {
        from_ms: *from_ms,
        until_ms: *until_ms,
    };
    timeline.spans.iter().map(span).collect()
}

pub(super) fn figures(
    view: &View<'_>,
    trails: &Trails,
    usual: &Timeline,
    slow: &Timeline,
) -> Figures {
    let mut moves = 0;
    let mut moved_mib = 0;
    let mut patched = 0;
    let mut downtime_ms = 0;
    let mut closed: Vec<(u64, i32)> = Vec::new();
    for (step, act) in view.acts.iter().enumerate() {
        let (from, until) = usual.spans[step];
        match act {
            Act::Move { vm, how, .. } => {
                let (memory, disk) = view.copies[*vm];
                moves += 1;
                moved_mib += match how {
                    How::Live => memory,
                    How::Storage => memory + disk,
                    How::Cold => disk,
                };
                if *how == How::Cold {
                    downtime_ms += until - from;
                }
            }
            Act::Patch(_) => patched += 1,
            Act::Close(_) => closed.push((from, 1)),
            Act::Reopen(_) => closed.push((until, -1)),
            _ => {}
        }
    }
    for (stop, start) in trails.away.iter().filter(|(stop, start)| stop < start) {
        downtime_ms += usual.spans[*start].1 - usual.spans[*stop].0;
    }
    closed.sort_unstable();
    let mut at_once = 0;
    let mut most = 0;
    for (_, change) in closed {
        at_once += change;
        most = most.max(at_once);
    }
    Figures {
        patched,
        left_out: u32::try_from(view.roll.left_out.len()).unwrap_or(u32::MAX),
        moves,
        moved_mib,
        makespan_ms: usual.makespan(),
        makespan_p95_ms: slow.makespan(),
        downtime_ms,
        closed_at_once: u32::try_from(most).unwrap_or(0),
        fullest_permille: fullest(view, trails),
        soft: soft(view, trails),
    }
}

fn fullest(view: &View<'_>, trails: &Trails) -> u32 {
    let mut used = vec![0_u64; view.room.len()];
    for stay in trails.stays.iter().filter(|stay| stay.until.is_none()) {
        for (dim, amount) in view.demand_of(stay.vm).iter().enumerate() {
            used[stay.host * view.dims + dim] += amount;
        }
    }
    let share = |(used, room): (&u64, &u64)| match room {
        0 => 0,
        room => u32::try_from(u128::from(*used) * 1000 / u128::from(*room)).unwrap_or(u32::MAX),
    };
    used.iter().zip(&view.room).map(share).max().unwrap_or(0)
}

/// What soft rules cost where the machines are at the end.
fn soft(view: &View<'_>, trails: &Trails) -> u64 {
    let mut cost = 0;
    for rule in &view.cluster.rules {
        let (vms, level, weight) = match rule {
            Rule::AntiAffinity {
                vms,
                level,
                soft: Some(weight),
                ..
            }
            | Rule::Affinity {
                vms,
                level,
                soft: Some(weight),
            } => (vms, *level, u64::from(*weight)),
            _ => continue,
        };
        let mut count: BTreeMap<&str, u64> = BTreeMap::new();
        for vm in vms.iter().filter_map(|vm| view.names.vm(vm.as_str())) {
            let Some(stay) = trails.of(vm).last().filter(|stay| stay.until.is_none()) else {
                continue;
            };
            let host = &view.cluster.hosts[stay.host];
            let place = match level {
                Level::Host => host.id.as_str(),
                Level::Rack => host.rack.as_deref().unwrap_or_default(),
                Level::Site => host.site.as_deref().unwrap_or_default(),
            };
            *count.entry(place).or_default() += 1;
        }
        cost += weight
            * match rule {
                Rule::AntiAffinity { max_per, .. } => count
                    .values()
                    .map(|n| n.saturating_sub(u64::from(*max_per)))
                    .sum(),
                _ => (count.len() as u64).saturating_sub(1),
            };
    }
    cost
}
