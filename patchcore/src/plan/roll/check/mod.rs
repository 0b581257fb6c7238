//! Whether a roll is safe, and what it costs: the one way to a [`CheckedRoll`].
//!
//! The checker shares nothing with the planner but the model. It believes no figure and no time of a roll, only its
//! steps and what each waits for, and it asks for *any* order in which they could run: a host is checked with all
//! machines that could be on it at once, a close with all hosts that could be closed then. Slots make no roll safe;
//! they and the needs alone make its times, which the checker works out itself.

mod breach;
mod closes;
mod figures;
mod graph;
mod groups;
mod hosts;
mod room;
mod timeline;
mod trail;
mod view;

use super::{cluster::Cluster, step::Roll};
pub use breach::{Breach, BreachKind, Breaches};
pub use figures::{Figures, Span};

/// A roll that was proven to keep every rule of its cluster, in whatever order its steps run.
///
/// It cannot be read from a file or put together: [`check`] makes it, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedRoll {
    roll: Roll,
    figures: Figures,
    spans: Vec<Span>,
}

impl CheckedRoll {
    /// The roll.
    #[must_use]
    pub fn roll(&self) -> &Roll {
        &self.roll
    }

    /// What it costs.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// When each step begins and ends at the usual pace, in the order of the steps.
    #[must_use]
    pub fn timeline(&self) -> &[Span] {
        &self.spans
    }

    /// The roll, which has to be checked again.
    #[must_use]
    pub fn into_roll(self) -> Roll {
        self.roll
    }
}

/// Checks a roll against its cluster.
///
/// # Errors
/// Every rule that it would break, with the step at which that shows.
pub fn check(cluster: &Cluster, roll: Roll) -> Result<CheckedRoll, Breaches> {
    let mut found = breach::Found::default();
    if let Err(faults) = cluster.looked_through() {
        for fault in faults.listed() {
            found.add(BreachKind::BadCluster, None, fault.to_string());
        }
        return Err(found.into_breaches());
    }
    check_known(cluster, roll)
}

/// Checks a roll against a cluster that was looked through.
pub(super) fn check_known(cluster: &Cluster, roll: Roll) -> Result<CheckedRoll, Breaches> {
    let mut found = breach::Found::default();
    if roll.schema != Roll::SCHEMA || u32::try_from(roll.steps.len()).is_err() {
        let message = format!(
            "expected a roll of schema {:?} with fewer than 2^32 steps",
            Roll::SCHEMA
        );
        found.add(BreachKind::Malformed, None, message);
        return Err(found.into_breaches());
    }
    let view = view::View::of(cluster, &roll, &mut found);
    // What names nothing, or waits for what comes later, leaves nothing to look at.
    if !found.is_empty() {
        return Err(found.into_breaches());
    }
    let mut graph = graph::Graph::of(&view);
    let cycles = hosts::cycles(&view, &mut graph, &mut found);
    let trails = trail::trails(&view, &mut graph, &cycles, &mut found);
    closes::closes(&view, &mut graph, &cycles, &mut found);
    room::room(&view, &mut graph, &trails, &mut found);
    groups::groups(&view, &mut graph, &trails, &mut found);
    if !found.is_empty() {
        return Err(found.into_breaches());
    }
    let pacing = timeline::Pacing::of(&view);
    let usual = timeline::timeline(&pacing, timeline::Pace::P50);
    let slow = timeline::timeline(&pacing, timeline::Pace::P95);
    timeline::windows(&view, &cycles, &trails, &usual, &mut found);
    timeline::windows(&view, &cycles, &trails, &slow, &mut found);
    if !found.is_empty() {
        return Err(found.into_breaches());
    }
    let figures = figures::figures(&view, &trails, &usual, &slow);
    let spans = figures::spans(&usual);
    Ok(CheckedRoll {
        roll,
        figures,
        spans,
    })
}
