//! What observation says: outcomes of components and verdicts on rings.
//!
//! Pure, and to the left of `execute`, which asks it. Nothing here looks at an exit code.

mod ring;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use ring::{RingCount, start_after_met, tolerated};

use crate::{
    estate::Scan,
    provider::{Change, ProbeVerdict},
};

/// The answer to one question about a component.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// It is so; what was seen.
    Yes {
        /// What was seen.
        saw: String,
    },
    /// It is not so.
    No {
        /// What should have been.
        expected: String,
        /// What was.
        found: String,
    },
    /// It could not be seen, which is not *yes*.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Answer {
    /// Whether it was seen to be so.
    #[must_use]
    pub const fn is_yes(&self) -> bool {
        matches!(self, Self::Yes { .. })
    }

    /// Whether it was asked and not seen to be so.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        matches!(self, Self::No { .. } | Self::Unknown { .. })
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAsked => f.write_str("not asked"),
            Self::Yes { saw } => f.write_str(saw),
            Self::No { expected, found } => write!(f, "expected {expected} but found {found}"),
            Self::Unknown { why } => write!(f, "not known: {why}"),
        }
    }
}

/// The outcome of one component: five questions, each answered by observation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Is everything at the planned version?
    pub patched: Answer,
    /// Does the patched code run?
    pub in_effect: Answer,
    /// Did it restart?
    pub rebooted: Answer,
    /// Do its checks hold?
    pub healthy: Answer,
    /// Is it where it belongs?
    pub placed: Answer,
}

/// Whether a scan shows exactly what a change should have led to, and no fault.
#[must_use]
pub fn patched(change: &Change, scan: &Scan) -> Answer {
    let total = change.patches.len();
    let mut wrong = Vec::new();
    for patch in &change.patches {
        let there = scan.installed.get(&patch.patch);
        if there != patch.to.as_ref() {
            let words = |v: Option<&crate::id::Version>| {
                v.map_or_else(|| "absent".to_owned(), ToString::to_string)
            };
            wrong.push((patch.patch.clone(), words(patch.to.as_ref()), words(there)));
        }
    }
    if let Some((patch, expected, found)) = wrong.first() {
        let more = match wrong.len() {
            1 => String::new(),
            n => format!(" (and {} more of {total} differ)", n - 1),
        };
        return Answer::No {
            expected: format!("{patch} {expected}"),
            found: format!("{found}{more}"),
        };
    }
    if let Some(fault) = scan.unhealthy.first() {
        return Answer::No {
            expected: "no fault".to_owned(),
            found: fault.what.clone(),
        };
    }
    Answer::Yes {
        saw: format!("scan: {total} of {total} at the planned version"),
    }
}

/// Whether a scan shows that no process runs replaced code and nothing waits for a restart.
#[must_use]
pub fn in_effect(change: &Change, scan: &Scan) -> Answer {
    let waiting = change
        .patches
        .iter()
        .find(|p| scan.pending_activation.contains_key(&p.patch));
    if let Some(patch) = waiting {
        return Answer::No {
            expected: format!("{} to run", patch.patch),
            found: "it waits for a restart".to_owned(),
        };
    }
    match (&scan.running_old, &scan.reboot_wanted) {
        (Some(old), _) if !old.is_empty() => Answer::No {
            expected: "no process on replaced code".to_owned(),
            found: old
                .iter()
                .map(|o| format!("{} still maps {}", o.who, o.maps))
                .collect::<Vec<_>>()
                .join(", "),
        },
        (_, Some(wants)) if !wants.is_empty() => Answer::No {
            expected: "no restart wanted".to_owned(),
            found: format!("a restart is wanted: {}", wants.join(", ")),
        },
        (Some(_), Some(_)) => Answer::Yes {
            saw: "no process runs old code".to_owned(),
        },
        (None, _) => Answer::Unknown {
            why: "the processes could not be read".to_owned(),
        },
        (_, None) => Answer::Unknown {
            why: "nobody can say whether a restart is wanted".to_owned(),
        },
    }
}

/// Whether a component restarted: its boot identity differs from the one before.
#[must_use]
pub fn rebooted(before: Option<&str>, scan: &Scan) -> Answer {
    match (before, scan.boot_id.as_deref()) {
        (Some(before), Some(now)) if before != now => Answer::Yes {
            saw: "boot id changed".to_owned(),
        },
        (Some(before), Some(_)) => Answer::No {
            expected: format!("another boot id than {before}"),
            found: "the same".to_owned(),
        },
        (None, _) => Answer::Unknown {
            why: "its boot id before was not read".to_owned(),
        },
        (_, None) => Answer::Unknown {
            why: "its boot id could not be read".to_owned(),
        },
    }
}

/// What one check came to, over its whole time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// Which check.
    pub check: String,
    /// The verdict; none where it could not be run.
    pub verdict: Option<ProbeVerdict>,
    /// What was seen last.
    pub saw: String,
}

/// Whether all checks hold. No checks at all is *not asked*, never *healthy*.
#[must_use]
pub fn healthy(results: &[CheckResult]) -> Answer {
    if results.is_empty() {
        return Answer::NotAsked;
    }
    if let Some(bad) = results
        .iter()
        .find(|r| r.verdict == Some(ProbeVerdict::Unhealthy))
    {
        return Answer::No {
            expected: bad.check.clone(),
            found: bad.saw.clone(),
        };
    }
    if let Some(unknown) = results.iter().find(|r| r.verdict.is_none()) {
        return Answer::Unknown {
            why: format!("{}: {}", unknown.check, unknown.saw),
        };
    }
    Answer::Yes {
        saw: results
            .iter()
            .map(|r| r.saw.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    }
}
