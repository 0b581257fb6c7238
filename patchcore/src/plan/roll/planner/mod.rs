//! From a cluster to a checked roll: many attempts with different knobs, of which the best is taken.
//!
//! Nothing here is believed: what the planner makes goes through the checker like any other roll.

mod choose;
mod drive;
mod exact;
pub(super) mod ground;
mod mend;
mod motion;
mod pack;
mod pool;
pub(super) mod record;
mod reserve;
mod state;
mod steps;
mod stuck;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{
    drive::{Attempt, drive},
    exact::Search,
    ground::{Ground, Role},
};
use super::{
    bounds::{Bounds, bounds},
    check::{CheckedRoll, check_known},
    cluster::Cluster,
    infeasible::Infeasible,
    prove,
};
use crate::error::{Error, ErrorKind, Result};

/// What a roll is to be good at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The fewest bytes moved, then the shortest.
    FewestMoves,
    /// No host fuller at the end than the mean by more than a tenth of a host; of these the knee.
    Balanced,
    /// The shortest, then the fewest bytes.
    Fastest,
    /// Where ten hours are worth as much as moving all memory once.
    #[default]
    Knee,
    /// The least cost.
    Weighted {
        /// What moving one TiB costs.
        per_tib: u64,
        /// What one hour costs.
        per_hour: u64,
    },
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewestMoves => f.write_str("fewest moves"),
            Self::Balanced => f.write_str("balanced"),
            Self::Fastest => f.write_str("fastest"),
            Self::Knee => f.write_str("knee of time and moves"),
            Self::Weighted { per_tib, per_hour } => {
                write!(f, "least cost at {per_tib} per TiB and {per_hour} per hour")
            }
        }
    }
}

/// What is asked of the planner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// What the roll is to be good at.
    pub objective: Objective,
    /// Whether hosts may be left out that cannot be emptied, or were not in the effort.
    pub allow_partial: bool,
    /// How many attempts are made; none: as many as pay for a cluster of this size.
    pub attempts: Option<usize>,
    /// How many placements are looked at to mend what is stuck.
    pub effort: u64,
}

impl Wish {
    /// A whole roll that is good at this.
    #[must_use]
    pub fn new(objective: Objective) -> Self {
        Self {
            objective,
            allow_partial: false,
            attempts: None,
            effort: 50_000_000,
        }
    }
}

/// A roll with what it is measured against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRoll {
    /// The roll that fits the wish best.
    pub best: CheckedRoll,
    /// What no roll can beat.
    pub bounds: Bounds,
    /// Rolls that are better at something else, the fewest bytes first.
    pub others: Vec<CheckedRoll>,
}

/// That no roll was found, which does not say that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// The most hosts that an attempt could patch.
    pub patched: usize,
    /// Hosts that it could not empty.
    pub left: Vec<crate::id::ComponentId>,
    /// Whether every way was looked at, one move after the other: then there is none.
    pub exhausted: bool,
    /// Whether the caller stopped the search.
    pub stopped: bool,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exhausted {
            return f.write_str(
                "there is no roll of every host: every way was looked at, one move after the other",
            );
        }
        write!(
            f,
            "no roll was found, which does not say that there is none: {} hosts could be patched",
            self.patched
        )?;
        if self.stopped {
            f.write_str(" until the search was stopped")?;
        }
        const NAMED: usize = 8;
        let names: Vec<&str> = self
            .left
            .iter()
            .take(NAMED)
            .map(|host| host.as_str())
            .collect();
        if !names.is_empty() {
            write!(f, "\n   not emptied: {}", names.join(", "))?;
        }
        if self.left.len() > NAMED {
            write!(f, " and {} more", self.left.len() - NAMED)?;
        }
        Ok(())
    }
}

/// What the planner answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A roll.
    Planned(Box<PlannedRoll>),
    /// A proof that there is none.
    Infeasible(Box<Infeasible>),
    /// Neither.
    NotFound(NotFound),
}

/// Plans the roll of a cluster. The same cluster and the same wish give the same roll; `stop` is asked now and then,
/// and after `true` the best that was found until then is answered.
///
/// # Errors
/// `InvalidInput`: the cluster is faulty; all mistakes are named. `ProviderFault`: a roll did not pass the checker,
/// which is a fault of this planner.
pub fn plan(cluster: &Cluster, wish: &Wish, stop: &dyn Fn() -> bool) -> Result<Answer> {
    cluster.looked_through()?;
    let ground = Ground::of(cluster, wish.allow_partial);
    if !wish.allow_partial
        && let Some(infeasible) = prove::infeasible(&ground)
    {
        return Ok(Answer::Infeasible(Box::new(infeasible)));
    }
    let bounds = bounds(&ground);
    let mut attempts: Vec<Attempt<'_>> = Vec::new();
    for knobs in choose::portfolio(&ground, wish, &bounds) {
        let Some(attempt) = drive(&ground, knobs, stop) else {
            break;
        };
        choose::keep(&mut attempts, attempt);
        if wish.objective == Objective::FewestMoves
            && attempts
                .iter()
                .any(|a| a.left.is_empty() && a.moved_mib <= bounds.moved_mib)
            && attempts.len() >= 4
        {
            break;
        }
    }
    let mut exhausted = false;
    let whole = attempts.iter().any(|a| a.left.is_empty());
    let least = attempts
        .iter()
        .filter(|a| a.left.is_empty())
        .map(|a| a.moved_mib)
        .min();
    if least.is_none_or(|least| least > bounds.moved_mib) {
        match exact::search(&ground, stop) {
            Search::Found(found) => choose::keep(&mut attempts, *found),
            Search::NoWay => exhausted = true,
            Search::NotLooked if !whole => stuck::mend(&ground, wish, &mut attempts, stop),
            Search::NotLooked => {}
        }
        if exhausted && wish.allow_partial {
            stuck::mend(&ground, wish, &mut attempts, stop);
        }
    }
    answer(&ground, wish, bounds, attempts, exhausted, stop)
}

fn answer(
    ground: &Ground<'_>,
    wish: &Wish,
    bounds: Bounds,
    attempts: Vec<Attempt<'_>>,
    exhausted: bool,
    stop: &dyn Fn() -> bool,
) -> Result<Answer> {
    let hosts = ground
        .role
        .iter()
        .filter(|role| **role == Role::Patch)
        .count();
    let fewest_left = attempts.iter().map(|a| a.left.len()).min().unwrap_or(hosts);
    if attempts.is_empty() || (fewest_left > 0 && !wish.allow_partial) {
        let left = attempts
            .iter()
            .min_by_key(|a| a.left.len())
            .map(|a| a.left.clone());
        let names = left.unwrap_or_default();
        return Ok(Answer::NotFound(NotFound {
            patched: hosts - fewest_left,
            left: names
                .iter()
                .map(|host| ground.cluster.hosts[*host as usize].id.clone())
                .collect(),
            exhausted,
            stopped: stop(),
        }));
    }
    let mut checked = Vec::new();
    for attempt in choose::worth_checking(attempts, fewest_left) {
        let roll = steps::steps(ground, &attempt.record, &attempt.left, wish.allow_partial);
        match check_known(ground.cluster, roll) {
            Ok(roll) => checked.push(roll),
            // A window may prove too short where slots were shared; the other attempts remain.
            Err(breaches)
                if breaches
                    .listed()
                    .iter()
                    .all(|b| b.kind == super::check::BreachKind::OutsideWindow) => {}
            Err(breaches) => {
                return Err(Error::new(
                    ErrorKind::ProviderFault,
                    format!("the planner made a roll that breaks rules: {breaches}"),
                )
                .operation("roll.plan")
                .consequence("nothing of it may run")
                .hint("please report this with the cluster"));
            }
        }
    }
    let Some(best) = choose::best(ground, wish.objective, &checked) else {
        return Ok(Answer::NotFound(NotFound {
            patched: 0,
            left: Vec::new(),
            exhausted: false,
            stopped: stop(),
        }));
    };
    let best = checked.remove(best);
    choose::pareto(&mut checked, &best);
    Ok(Answer::Planned(Box::new(PlannedRoll {
        best,
        bounds,
        others: checked,
    })))
}
