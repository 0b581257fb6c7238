//! What the picture of a roll shows, before it is drawn.

use std::collections::HashMap;

use super::super::{
    PlanStep, RollPlan,
    scene::{acts, play},
    units,
};
use crate::plan::roll::{
    limits::Ha,
    planner::{ground::Ground, record::Did},
    step::{Action, Reason},
};

/// A value from each moment on.
pub(super) type Series = Vec<(u64, u64)>;

/// When a host is closed and down, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cycle {
    pub(super) host: usize,
    pub(super) closes: u64,
    pub(super) down: u64,
    pub(super) opens: u64,
}

/// Why machines move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// To where they stay.
    Once,
    /// To a host that needs the patch itself.
    Again,
    /// So that others have room, or ahead of time, or to even hosts out.
    Beside,
}

/// Moves from one host to another at about one time.
#[derive(Debug)]
pub(super) struct Bundle<'p> {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) begins: u64,
    pub(super) ends: u64,
    pub(super) kind: Kind,
    pub(super) vms: Vec<&'p str>,
    pub(super) mib: u64,
}

#[derive(Debug)]
pub(super) struct Film<'p> {
    /// The scarcest resource: what all amounts are of.
    pub(super) resource: &'p str,
    pub(super) makespan: u64,
    /// What each host has, and what of that is taken.
    pub(super) rooms: Vec<u64>,
    pub(super) taken: Vec<Series>,
    /// What is free on all open hosts, and what of that is kept for failures.
    pub(super) free: Series,
    pub(super) reserve: Series,
    pub(super) cycles: Vec<Cycle>,
    pub(super) bundles: Vec<Bundle<'p>>,
}

/// Notes a value where it differs from the one before; of one moment the last.
fn note(series: &mut Series, now: u64, value: u64) {
    match series.last_mut() {
        Some((at, last)) if *at == now => *last = value,
        Some((_, last)) if *last == value => {}
        _ => series.push((now, value)),
    }
}

impl<'p> Film<'p> {
    pub(super) fn of(plan: &'p RollPlan) -> Self {
        let ground = Ground::of(&plan.cluster, plan.checked.roll().partial);
        let dim = units::scarcest(&ground);
        let hosts = plan.cluster.hosts.len();
        let acts = acts(&ground, &plan.checked);
        let mut this = Self {
            resource: plan.cluster.resources.get(dim).map_or("", String::as_str),
            makespan: plan.figures().makespan_ms.max(1),
            rooms: (0..hosts).map(|host| ground.room_of(host)[dim]).collect(),
            taken: vec![Series::new(); hosts],
            free: Series::new(),
            reserve: Series::new(),
            cycles: Vec::new(),
            bundles: Vec::new(),
        };
        this.times(plan, &acts);
        this.moves(plan, &acts, &ground);
        play(
            &ground,
            &acts,
            plan.checked.timeline(),
            |_, _, _| {},
            |scene, now| {
                let mut open: Vec<u64> = Vec::new();
                let mut free = 0;
                for host in 0..hosts {
                    let left = scene.free(host, dim);
                    let taken = this.rooms[host] - left;
                    note(&mut this.taken[host], now, taken);
                    if !scene.is_closed(host) && !ground.dedicated[host] {
                        open.push(this.rooms[host]);
                        free += left;
                    }
                }
                note(&mut this.free, now, free);
                note(&mut this.reserve, now, kept(&plan.cluster.limits.ha, open));
            },
        );
        this
    }

    fn times(&mut self, plan: &RollPlan, acts: &[Option<Did>]) {
        let mut closes = HashMap::new();
        let mut downs = HashMap::new();
        let spans = plan.checked.timeline();
        for (did, span) in acts.iter().zip(spans) {
            match did {
                Some(Did::Close(host)) => {
                    closes.insert(*host, span.from_ms);
                }
                Some(Did::Patch(host)) => {
                    downs.insert(*host, span.from_ms);
                }
                Some(Did::Reopen(host)) => {
                    let down = downs.get(host).copied().unwrap_or(span.from_ms);
                    self.cycles.push(Cycle {
                        host: *host as usize,
                        closes: closes.get(host).copied().unwrap_or(down),
                        down,
                        opens: span.until_ms,
                    });
                }
                _ => {}
            }
        }
    }

    fn moves(&mut self, plan: &'p RollPlan, acts: &[Option<Did>], ground: &Ground<'_>) {
        // What is nearer than this is seen as one.
        let near = self.makespan / 60;
        let mut last: HashMap<(u32, u32, Kind), usize> = HashMap::new();
        let mut steps: Vec<(&PlanStep, &Option<Did>)> = plan.steps.iter().zip(acts).collect();
        steps.sort_by_key(|(step, _)| (step.from_ms, step.number));
        for (step, did) in steps {
            let (Some(Did::Move { vm, from, to, .. }), Action::Migrate { vm: name, .. }) =
                (did, &step.action)
            else {
                continue;
            };
            let kind = match step.reason {
                Reason::IntoPatched => Kind::Once,
                Reason::Spill { .. } => Kind::Again,
                _ => Kind::Beside,
            };
            let mib = ground.bytes[*vm as usize];
            let key = (*from, *to, kind);
            let open = last.get(&key).map(|at| &mut self.bundles[*at]);
            if let Some(bundle) = open.filter(|bundle| step.from_ms <= bundle.ends + near) {
                bundle.ends = bundle.ends.max(step.until_ms);
                bundle.vms.push(name.as_str());
                bundle.mib += mib;
                continue;
            }
            last.insert(key, self.bundles.len());
            self.bundles.push(Bundle {
                from: *from as usize,
                to: *to as usize,
                begins: step.from_ms,
                ends: step.until_ms,
                kind,
                vms: vec![name.as_str()],
                mib,
            });
        }
    }
}

/// What open hosts of these rooms keep for failures.
fn kept(ha: &Ha, mut open: Vec<u64>) -> u64 {
    match ha {
        Ha::None | Ha::Dedicated { .. } => 0,
        Ha::Failures(hosts) => {
            open.sort_unstable_by(|a, b| b.cmp(a));
            open.iter().take(*hosts as usize).sum()
        }
        Ha::Percent(percent) => {
            let sum: u64 = open.iter().sum();
            u64::try_from(u128::from(sum) * u128::from(*percent) / 100).unwrap_or(u64::MAX)
        }
    }
}
