//! One cluster: what other tools and the planner make of it.

use std::error::Error;

use patchcore::plan::roll::{Answer, Bounds, CheckedRoll, Objective, Wish, plan};

use super::{peers::Peer, syn::Instance};

/// A roll in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) mib: u64,
    pub(crate) ms: u64,
    pub(crate) fullest: u32,
}

impl Made {
    fn of(roll: &CheckedRoll) -> Self {
        let figures = roll.figures();
        Self {
            mib: figures.moved_mib,
            ms: figures.makespan_ms,
            fullest: figures.fullest_permille,
        }
    }
}

/// What the planner answers to one wish.
#[derive(Debug, Clone)]
pub(crate) enum Ours {
    /// The best roll, and those that are better in something else.
    Planned {
        best: Made,
        others: Vec<Made>,
    },
    Infeasible,
    NotFound,
}

impl Ours {
    pub(crate) fn best(&self) -> Option<Made> {
        match self {
            Self::Planned { best, .. } => Some(*best),
            _ => None,
        }
    }
}

/// One cluster with everything that was made of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) hosts: usize,
    /// In per cent.
    pub(crate) full: u32,
    /// All memory.
    pub(crate) all_mib: u64,
    /// In thousandths.
    pub(crate) mean: u64,
    pub(crate) bounds: Option<Bounds>,
    /// MiB and milliseconds of each peer, in the order of [`Peer::ALL`].
    pub(crate) peers: Vec<Option<(u64, u64)>>,
    pub(crate) few: Ours,
    pub(crate) fast: Option<Ours>,
    pub(crate) knee: Option<Ours>,
    pub(crate) balanced: Option<Ours>,
}

impl Row {
    /// `whole`: beside the fewest moves also the other wishes, and the other tools.
    pub(crate) fn of(
        hosts: usize,
        full: u32,
        seed: u32,
        whole: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let instance = Instance::generate(hosts, f64::from(full) / 100.0, seed);
        let failures = instance.failures();
        let cluster = instance.cluster(failures);
        let mut bounds = None;
        let mut ask = |objective: Objective| -> Result<Ours, Box<dyn Error>> {
            Ok(match plan(&cluster, &Wish::new(objective), &|| false)? {
                Answer::Planned(planned) => {
                    bounds = Some(planned.bounds);
                    Ours::Planned {
                        best: Made::of(&planned.best),
                        others: planned.others.iter().map(Made::of).collect(),
                    }
                }
                Answer::Infeasible(_) => Ours::Infeasible,
                Answer::NotFound(_) => Ours::NotFound,
            })
        };
        let few = ask(Objective::FewestMoves)?;
        let mut also = |objective| whole.then(|| ask(objective)).transpose();
        let fast = also(Objective::Fastest)?;
        let knee = also(Objective::Knee)?;
        let balanced = also(Objective::Balanced)?;
        // Sums that let no host be closed leave no tool anything to do.
        let peers = match whole && instance.at_once(failures) > 0 {
            true => Peer::ALL.map(|peer| peer.run(&instance, failures)).into(),
            false => Vec::new(),
        };
        let room = u64::from(super::syn::CAP.0) * hosts as u64;
        Ok(Self {
            hosts,
            full,

            all_mib: instance.all_gb() * 1024,
            mean: instance.all_gb() * 1000 / room,
            bounds,
            peers: peers
                .into_iter()
                .map(|made: Option<(u64, u64)>| made.map(|(gb, ms)| (gb * 1024, ms)))
                .collect(),
            few,
            fast,
            knee,
            balanced,
        })
    }

    pub(crate) fn peer(&self, peer: Peer) -> Option<(u64, u64)> {
        let at = Peer::ALL.iter().position(|other| *other == peer)?;
        self.peers.get(at).copied().flatten()
    }

    /// An amount, in all memory.
    pub(crate) fn share(&self, mib: u64) -> f64 {
        mib as f64 / self.all_mib as f64
    }
}

pub(crate) fn hours(ms: u64) -> f64 {
    ms as f64 / 3_600_000.0
}
