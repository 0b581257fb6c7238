//! What was observed, not what was returned.

mod text;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    approve::Standing as ApprovalStanding,
    error::Failure,
    execute::{
        Story,
        kernel::{End, Phase, RunStatus, RunVerdict},
    },
    id::{ComponentId, EstateName, PersonId, RingName, RunId},
    judge::{Outcome, RingCount},
    plan::{Denial, LeftOut, PatchLeftOut},
};

/// The verdict of a run as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Everything was done, with no more failures than the policy tolerates.
    Done,
    /// It stopped because of failures.
    Halted,
    /// A person ended it before it was through.
    Cancelled,
    /// A person must decide something.
    NeedsPerson,
    /// It is not over.
    Open,
}

/// Who approved, and how much that is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovedBy {
    /// Who.
    pub by: PersonId,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Asserted or signed.
    pub standing: ApprovalStanding,
    /// What the person wrote.
    pub comment: Option<String>,
}

/// One component's part of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentReport {
    /// Which.
    pub component: ComponentId,
    /// In which ring.
    pub ring: RingName,
    /// Where it is.
    pub phase: Phase,
    /// Since when.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// What observation says.
    pub outcome: Outcome,
    /// How many patches were planned.
    pub patches: usize,
    /// Why it failed.
    pub failures: Vec<Failure>,
    /// Why it had no turn, or why a person must decide.
    pub why: Option<String>,
    /// What it still owes.
    pub owes: Vec<String>,
    /// The auditor's clock: `staged`, `applied`, `in_effect`, `verified`.
    #[schemars(with = "BTreeMap<String, String>")]
    pub reached: BTreeMap<String, Timestamp>,
}

/// What was observed in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Report {
    /// Which schema this is: `patchcore.report/1`.
    pub schema: String,
    /// Whose estate.
    pub estate: EstateName,
    /// Which run of its journal.
    pub run: RunId,
    /// What people call its plan.
    pub plan: String,
    /// The digest of what was approved.
    pub envelope: String,
    /// The policy's name.
    pub policy: String,
    /// Who asked.
    pub requested_by: PersonId,
    /// Who approved.
    pub approved_by: Vec<ApprovedBy>,
    /// When it started.
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// When it ended.
    #[schemars(with = "Option<String>")]
    pub ended: Option<Timestamp>,
    /// When this report was made.
    #[schemars(with = "String")]
    pub made: Timestamp,
    /// How it stands.
    pub verdict: Verdict,
    /// Why it halted.
    pub halted: Option<String>,
    /// How many were found, in the plan or not.
    pub found: usize,
    /// How each ring stands.
    pub rings: Vec<(RingName, RingCount)>,
    /// Each component, by name.
    pub components: Vec<ComponentReport>,
    /// What this run put on the deny-list.
    pub denials: Vec<Denial>,
    /// Components that were not in the plan.
    pub left_out: Vec<LeftOut>,
    /// Patches that were not in the plan.
    pub patches_left_out: Vec<PatchLeftOut>,
    /// What is owed.
    pub ledger: Vec<String>,
}

impl Report {
    /// The name and version of the stored form.
    pub const SCHEMA: &'static str = "patchcore.report/1";

    /// The report on a run as its journal tells it. Pure.
    #[must_use]
    pub fn of(story: &Story, made: Timestamp) -> Self {
        let envelope = &story.plan.envelope;
        let components: Vec<ComponentReport> = envelope
            .targets
            .iter()
            .filter_map(|target| {
                let state = story.components.get(&target.component)?;
                Some(ComponentReport {
                    component: target.component.clone(),
                    ring: target.ring.clone(),
                    phase: state.phase,
                    since: state.since,
                    outcome: state.outcome.clone(),
                    patches: target.patches.len(),
                    failures: state.failures.clone(),
                    why: state.quarantine.clone().or_else(|| state.skipped.clone()),
                    owes: state.owed.iter().map(|o| o.what.clone()).collect(),
                    reached: state.reached.clone(),
                })
            })
            .collect();
        let rings = envelope
            .rings
            .iter()
            .map(|ring| {
                let mut count = RingCount::default();
                for component in components.iter().filter(|c| c.ring == ring.name) {
                    count.planned += 1;
                    count.failed += usize::from(!component.failures.is_empty());
                    count.done += usize::from(component.phase == Phase::Ended(End::Done));
                    count.skipped += usize::from(component.phase == Phase::Ended(End::Skipped));
                }
                (ring.name.clone(), count)
            })
            .collect();
        let needs_person = components.iter().any(|c| c.phase == Phase::Quarantined);
        let verdict = match (&story.state.status, needs_person) {
            (_, true) => Verdict::NeedsPerson,
            (
                RunStatus::Ended {
                    verdict: RunVerdict::Done,
                },
                _,
            ) => Verdict::Done,
            (
                RunStatus::Ended {
                    verdict: RunVerdict::Cancelled,
                }
                | RunStatus::Ending {
                    verdict: RunVerdict::Cancelled,
                },
                _,
            ) => Verdict::Cancelled,
            (RunStatus::Halted { .. } | RunStatus::Ending { .. } | RunStatus::Ended { .. }, _) => {
                Verdict::Halted
            }
            (RunStatus::Open, _) => Verdict::Open,
        };
        Self {
            schema: Self::SCHEMA.to_owned(),
            estate: envelope.estate.clone(),
            run: story.run,
            plan: story.plan.id(),
            envelope: envelope.digest().unwrap_or_default(),
            policy: envelope.policy.clone(),
            requested_by: envelope.requested_by.clone(),
            approved_by: story
                .approvals
                .iter()
                .map(|c| ApprovedBy {
                    by: c.approval.by.clone(),
                    at: c.approval.at,
                    standing: c.standing,
                    comment: c.approval.comment.clone(),
                })
                .collect(),
            started: story.started_at,
            ended: story.ended_at,
            made,
            verdict,
            halted: story.state.halted_because.clone(),
            found: story.plan.found,
            rings,
            components,
            denials: story.state.denials.iter().cloned().collect(),
            left_out: story.plan.left_out.clone(),
            patches_left_out: story.plan.patches_left_out.clone(),
            ledger: story.ledger(),
        }
    }

    /// The exit code of a program that did nothing but this run: 0 done, 1 halted or cancelled, 3 needs a person,
    /// 4 not over. (2 is for bad input, which has no report.)
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Done => 0,
            Verdict::Halted | Verdict::Cancelled => 1,
            Verdict::NeedsPerson => 3,
            Verdict::Open => 4,
        }
    }
}
