//! What was observed, not what was returned.

mod content;
mod figures;
mod file;
mod markdown;
mod rolls;
mod text;
mod timeline;

use std::{collections::BTreeMap, process::ExitCode};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use figures::Figures;
pub use rolls::RollReport;
pub use timeline::{Lines, Timeline};

use crate::{
    approve::Standing as ApprovalStanding,
    error::Failure,
    estate::{Patch, Tool},
    execute::{
        Story,
        kernel::{Phase, RunStatus, RunVerdict, Step},
    },
    id::{ComponentId, EstateName, PersonId, ProviderName, RingName, RunId},
    judge::Outcome,
    plan::{Denial, LeftOut, PatchLeftOut, Plan, Reference, text::Times},
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

impl Verdict {
    /// The verdict in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Halted => "halted",
            Self::Cancelled => "cancelled",
            Self::NeedsPerson => "needs a person",
            Self::Open => "not over",
        }
    }

    /// What the exit code of this verdict means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "everything was done, with no more failures than the policy tolerates",
            Self::Halted => "it stopped because of failures",
            Self::Cancelled => "a person ended it before it was through",
            Self::NeedsPerson => "a person must decide what nobody else can judge",
            Self::Open => "it goes on when it is called again",
        }
    }

    /// The exit code of a program that did nothing but this run: 0 done, 1 halted or cancelled, 3 needs a person,
    /// 4 not over. (2 is for bad input, which has no report.)
    #[must_use]
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Halted | Self::Cancelled => 1,
            Self::NeedsPerson => 3,
            Self::Open => 4,
        }
    }
}

/// How one ring stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RingReport {
    /// Which.
    pub ring: RingName,
    /// How many of it had nothing to do; they are not in the plan.
    pub up_to_date: usize,
    /// How many of it stand where.
    pub figures: Figures,
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
    /// What was to go in.
    pub patches: Vec<Patch>,
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
    /// Pointers into the organisation's own systems.
    pub references: Vec<Reference>,
    /// Who asked.
    pub requested_by: PersonId,
    /// Who approved.
    pub approved_by: Vec<ApprovedBy>,
    /// The IANA zone in which people read its times: that of the run's window.
    pub zone: String,
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
    /// When the oldest scan behind the plan was read.
    #[schemars(with = "Option<String>")]
    pub scanned: Option<Timestamp>,
    /// How many planned components stand where.
    pub figures: Figures,
    /// How each ring stands, in order.
    pub rings: Vec<RingReport>,
    /// Each component, by name.
    pub components: Vec<ComponentReport>,
    /// What this run put on the deny-list.
    pub denials: Vec<Denial>,
    /// Components that were not in the plan.
    pub left_out: Vec<LeftOut>,
    /// Patches that were not in the plan.
    pub patches_left_out: Vec<PatchLeftOut>,
    /// What is owed, as sentences.
    pub ledger: Vec<String>,
    /// What was owed until a person waived it, as sentences that say who and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waived: Vec<String>,
    /// What was held around the changes, and around how many of those that it was planned for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub around: Vec<String>,
    /// What was done to clusters as wholes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rolls: Vec<RollReport>,
    /// The tools that acted, and how far each verb of theirs is proven.
    pub tools: BTreeMap<ProviderName, Tool>,
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
                    outcome: (*state.outcome).clone(),
                    patches: target.patches.to_vec(),
                    failures: state.failures.to_vec(),
                    why: state
                        .quarantine
                        .as_deref()
                        .or(state.skipped.as_deref())
                        .map(str::to_owned),
                    owes: state.owed.iter().map(|o| o.what.clone()).collect(),
                    reached: state
                        .reached
                        .iter()
                        .map(|(word, at)| (word.to_owned(), at))
                        .collect(),
                })
            })
            .collect();
        let mut figures = Figures::default();
        for component in &components {
            figures.add(component.phase, !component.failures.is_empty());
        }
        let rings = envelope
            .rings
            .iter()
            .map(|rules| {
                let mut figures = Figures::default();
                for component in components.iter().filter(|c| c.ring == rules.name) {
                    figures.add(component.phase, !component.failures.is_empty());
                }
                RingReport {
                    ring: rules.name.clone(),
                    up_to_date: rules.up_to_date,
                    figures,
                }
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
            plan: Plan::id_of(&story.digest),
            envelope: story.digest.clone(),
            policy: envelope.policy.clone(),
            references: envelope.references.clone(),
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
            zone: Times::of(envelope, None)
                .zone()
                .iana_name()
                .unwrap_or("UTC")
                .to_owned(),
            started: story.started_at,
            ended: story.ended_at,
            made,
            verdict,
            halted: story.state.halted_because.clone(),
            found: story.plan.found,
            scanned: story.plan.scanned,
            figures,
            rings,
            components,
            denials: story.state.denials.iter().cloned().collect(),
            left_out: story.plan.left_out.clone(),
            patches_left_out: story.plan.patches_left_out.clone(),
            ledger: story.ledger_at(made),
            waived: story.waived(),
            around: around(story),
            rolls: rolls::of(story),
            tools: story.plan.tools.clone(),
        }
    }

    /// The exit code of a program that did nothing but this run, as [`Verdict::exit_status`] has it.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        self.verdict.exit_status()
    }

    /// The same for the end of `main`.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_status())
    }
}

/// *alerts silenced in alertmanager around 3 of 4*.
fn around(story: &Story) -> Vec<String> {
    let mut held: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for target in &story.plan.envelope.targets {
        let state = story.components.get(&target.component);
        let taken = state.is_some_and(|s| s.generations.of(Step::Take) > 0);
        for bracket in &target.around {
            let (around, of) = held.entry(bracket.words()).or_default();
            *around += usize::from(taken);
            *of += 1;
        }
    }
    held.into_iter()
        .map(|(words, (around, of))| format!("{words} around {around} of {of}"))
        .collect()
}
