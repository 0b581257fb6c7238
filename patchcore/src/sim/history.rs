//! What truly happened, as nobody but a simulation can know it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    estate::PatchChange,
    id::{OpKey, PatchId},
};

/// What truly happened to one component, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct History {
    /// What the package tool did: every `apply` and `roll_back` that ran.
    pub transactions: Vec<Transaction>,
    /// Every start of the component after the first.
    pub boots: Vec<Boot>,
    /// When it was out of service.
    pub outages: Vec<Outage>,
}

impl History {
    /// How often the package tool brought a patch to a version.
    #[must_use]
    pub fn times_installed(&self, patch: &str, version: &str) -> usize {
        self.transactions
            .iter()
            .flat_map(|t| &t.changes)
            .filter(|c| c.patch == patch && c.to.as_ref().is_some_and(|to| *to == version))
            .count()
    }
}

/// One run of the package tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transaction {
    /// Under which key it was asked for.
    pub key: OpKey,
    /// `apply` or `roll_back`.
    pub verb: &'static str,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What it changed; what was already there does not stand here.
    pub changes: Vec<PatchChange>,
    /// What it left half-configured.
    pub failed: BTreeSet<PatchId>,
}

/// One start of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// The boot id since then.
    pub id: String,
    /// When it was back.
    pub at: Timestamp,
    /// Whether an operation asked for it.
    pub asked_by: Option<OpKey>,
}

/// Why a component was out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutageCause {
    /// A patch with an impact of `service_restart` or more went in or out.
    Applying,
    /// It restarted.
    Restarting,
    /// A package was half-configured or broke its service.
    Broken,
}

/// One interval out of service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// Why.
    pub why: OutageCause,
    /// From when, included.
    pub from: Timestamp,
    /// Until when, excluded; none: it still lasts.
    pub until: Option<Timestamp>,
}

impl History {
    /// Notes the state from `at` on; an unchanged state goes on.
    pub(super) fn account(&mut self, at: Timestamp, state: Option<OutageCause>) {
        if let Some(open) = self.outages.last_mut().filter(|o| o.until.is_none()) {
            if state == Some(open.why) {
                return;
            }
            open.until = Some(at);
            if open.from == at {
                self.outages.pop();
            }
        }
        if let Some(why) = state {
            self.outages.push(Outage {
                why,
                from: at,
                until: None,
            });
        }
    }
}

/// How often an operation was asked for, and how often it began in truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Calls {
    /// Calls of `begin` that reached the target.
    pub begins: u32,
    /// Jobs that these calls started.
    pub starts: u32,
}

/// The largest number of components that were out of service at one instant.
pub(super) fn most_out_of_service<'a>(histories: impl Iterator<Item = &'a History>) -> usize {
    let mut edges: Vec<(Timestamp, i64)> = Vec::new();
    for outage in histories.flat_map(|h| &h.outages) {
        edges.push((outage.from, 1));
        if let Some(until) = outage.until {
            edges.push((until, -1));
        }
    }
    // At one instant ends come before beginnings: `until` is excluded.
    edges.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, step) in edges {
        now += step;
        most = most.max(now);
    }
    usize::try_from(most).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn down(intervals: &[(u64, u64)]) -> History {
        let mut history = History::default();
        for (from, until) in intervals {
            history.account(at(*from), Some(OutageCause::Applying));
            history.account(at(*until), None);
        }
        history
    }

    #[test]
    fn overlaps_are_counted_and_handovers_are_not() {
        let check = |histories: &[History], most| {
            assert_eq!(most_out_of_service(histories.iter()), most, "{histories:?}");
        };
        check(&[], 0);
        check(&[down(&[(0, 5)]), down(&[(5, 9)])], 1);
        check(&[down(&[(0, 6)]), down(&[(5, 9)])], 2);
        check(
            &[down(&[(0, 1), (8, 9)]), down(&[(2, 3)]), down(&[(8, 20)])],
            2,
        );
    }

    #[test]
    fn an_unchanged_state_is_one_interval() {
        let mut history = History::default();
        history.account(at(0), Some(OutageCause::Broken));
        history.account(at(3), Some(OutageCause::Broken));
        history.account(at(4), Some(OutageCause::Restarting));
        history.account(at(9), None);
        history.account(at(10), None);
        let seen: Vec<_> = history
            .outages
            .iter()
            .map(|o| (o.why, o.from, o.until))
            .collect();
        assert_eq!(
            seen,
            [
                (OutageCause::Broken, at(0), Some(at(4))),
                (OutageCause::Restarting, at(4), Some(at(9)))
            ]
        );
    }
}
