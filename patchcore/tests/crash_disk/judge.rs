//! What must be so afterwards, judged by the world's own log. The journal is asked for its own promises only.

use std::{collections::BTreeMap, fmt};

use super::world::{GUESTS, Line, NEW, OLD, guests};

/// How many guests may be out of service at once, as the policy says.
const BUDGET: usize = 3;

/// What was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invariant {
    /// An effect happened more than once, or not at all.
    EachEffectOnce,
    /// A failed guest is not back at what was there before.
    BaselineKept,
    /// Something that was borrowed is still there.
    GivenBack,
    /// More was out of service than the policy allows.
    BudgetKept,
    /// The end differs from that of a run that nobody killed.
    SameEnd,
}

#[derive(Debug)]
pub(crate) struct Violation(pub(crate) Invariant, String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0, self.1)
    }
}

/// How often each guest saw each verb.
pub(crate) fn effects(log: &[Line]) -> BTreeMap<(String, String), usize> {
    let mut effects = BTreeMap::new();
    for line in log.iter().filter(|line| !line.ended) {
        *effects
            .entry((line.job.guest.clone(), line.job.verb.clone()))
            .or_default() += 1;
    }
    effects
}

/// Every way in which a log breaks a promise, against the log of an undisturbed run.
pub(crate) fn violations(log: &[Line], undisturbed: &[Line]) -> Vec<Violation> {
    let mut found = Vec::new();
    let end = guests(log);
    let (happened, wanted) = (effects(log), effects(undisturbed));
    for at in happened.keys().chain(wanted.keys()) {
        let (times, expected) = (
            happened.get(at).copied().unwrap_or(0),
            wanted.get(at).copied().unwrap_or(0),
        );
        let violation = Violation(
            Invariant::EachEffectOnce,
            format!(
                "{} of {} happened {times} times, expected {expected}",
                at.1, at.0
            ),
        );
        if times != expected && !found.iter().any(|v: &Violation| v.1 == violation.1) {
            found.push(violation);
        }
    }
    for (name, guest) in &end {
        let back = name.ends_with("bad");
        if back && guest.version != OLD {
            found.push(Violation(
                Invariant::BaselineKept,
                format!("{name} is at {}", guest.version),
            ));
        }
        if !guest.kept.is_empty() || guest.running > 0 {
            found.push(Violation(
                Invariant::GivenBack,
                format!("{name} keeps {:?}", guest.kept),
            ));
        }
        if !back && guest.version != NEW {
            found.push(Violation(
                Invariant::SameEnd,
                format!("{name} is at {}", guest.version),
            ));
        }
    }
    if end != guests(undisturbed) {
        found.push(Violation(Invariant::SameEnd, format!("{end:#?}")));
    }
    let most = most_out(log);
    if most > BUDGET {
        found.push(Violation(
            Invariant::BudgetKept,
            format!("{most} guests were out of service at once"),
        ));
    }
    found
}

/// The most guests that were out of service at one moment: from the first job that takes one out to the end of its last.
fn most_out(log: &[Line]) -> usize {
    let disturbs =
        |line: &&Line| matches!(line.job.verb.as_str(), "apply" | "reboot" | "roll_back");
    let mut changes: Vec<(u128, i32)> = Vec::new();
    for guest in GUESTS {
        let of_guest: Vec<&Line> = log
            .iter()
            .filter(disturbs)
            .filter(|line| line.job.guest == guest)
            .collect();
        if let (Some(first), Some(last)) = (of_guest.first(), of_guest.last()) {
            changes.extend([(first.at, 1), (last.at, -1)]);
        }
    }
    // Ends before starts: the next may begin at the moment when one is back.
    changes.sort();
    let mut out = 0;
    let most = changes.iter().map(|(_, change)| {
        out += change;
        out
    });
    usize::try_from(most.max().unwrap_or(0)).unwrap()
}
