//! The state of one component in one run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    event::ComponentEvent,
    phase::{End, Phase, Step},
    small::{Generations, Reached, Seldom},
};
use crate::{
    error::Failure,
    id::{ComponentId, OpKey, PersonId, RunId},
    judge::Outcome,
    mutant::{self, Mutant},
    plan::{PlannedCheck, Target},
    provider::{Baseline, DeployRequest, Guarantee, Handle, PortCall, Progress, Undo},
};

/// An operation that is intended and not settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpState {
    /// Which step.
    pub step: Step,
    /// Under which key.
    pub key: OpKey,
    /// What.
    pub request: PortCall,
    /// From where.
    pub baseline: Baseline,
    /// What the target promises.
    pub guarantee: Guarantee,
    /// How it is undone.
    pub undo: Undo<PortCall>,
    /// When it was intended.
    pub since: Timestamp,
    /// By what it is found again, once the target took it.
    pub handle: Option<Handle>,
    /// Whether the journal says that it does not get on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stalled: bool,
}

/// Something borrowed that must be given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Owed {
    /// What, as a sentence: *web-01 keeps its 12 old packages*.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// The operation that took it.
    pub taken_by: OpKey,
    /// How it is given back.
    pub give_back: PortCall,
    /// When it should have been given back; later it is overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub give_back_by: Option<Timestamp>,
}

impl Owed {
    /// Whether it is held around the change, and given back as soon as that is over.
    #[must_use]
    pub const fn is_around(&self) -> bool {
        matches!(self.give_back, PortCall::Bracket { .. })
    }
}

/// Something borrowed that will not be given back by us, because a person said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waived {
    /// What, as the same sentence.
    pub what: String,
    /// The operation that took it.
    pub taken_by: OpKey,
    /// Who waived it.
    pub by: PersonId,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What is in flight, and does not get on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// Since when nothing moved.
    pub since: Timestamp,
    /// What keeps it, as a sentence.
    pub why: String,
    /// Who holds what it waits for, where that is known.
    pub holder: Option<String>,
}

/// Something borrowed that somebody else changed meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fight {
    /// The operation that borrowed it.
    pub taken_by: OpKey,
    /// What was left there.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// When.
    pub at: Timestamp,
}

/// The lock of a target that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// What the target counts the holding as.
    pub fence: u64,
    /// Since when.
    pub since: Timestamp,
}

/// One component, as a fold over its events.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ComponentState {
    /// Where it is.
    pub phase: Phase,
    /// Since when.
    pub since: Option<Timestamp>,
    /// When its turn came.
    pub begun: Option<Timestamp>,
    /// When it was back in service for the first time, or its part was over.
    pub back: Option<Timestamp>,
    /// The operation that is not settled, if one is.
    pub op: Option<Box<OpState>>,
    /// How often each step was begun anew.
    pub generations: Generations,
    /// Whether the component may have been changed.
    pub changed: bool,
    /// Its boot id when it was scanned last.
    pub boot_before: Option<Box<str>>,
    /// What observation says.
    pub outcome: Seldom<Outcome>,
    /// Why it failed, first reason first; empty while it has not.
    pub failures: Seldom<Vec<Failure>>,
    /// Whether its failure was forgiven by lifting a halt.
    pub forgiven: bool,
    /// How many of its brackets are taken; none once it is back in service.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken: u16,
    /// What it owes.
    pub owed: Seldom<Vec<Owed>>,
    /// What it owed until a person waived it.
    #[serde(default, skip_serializing_if = "Seldom::is_at_first")]
    pub waived: Seldom<Vec<Waived>>,
    /// How far the running operation is, where whoever holds its run was told.
    pub progress: Seldom<Option<Progress>>,
    /// Why a person must decide.
    pub quarantine: Option<Box<str>>,
    /// The phase in which it was quarantined.
    pub quarantined_in: Option<Phase>,
    /// Why it had no turn.
    pub skipped: Option<Box<str>>,
    /// When each step of the auditor's clock was reached: `staged`, `applied`, `in_effect`, `verified`.
    pub reached: Reached,
    /// What does not get on, if something does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<Box<Stall>>,
    /// What was borrowed and changed by somebody else meanwhile.
    #[serde(default, skip_serializing_if = "Seldom::is_at_first")]
    pub fights: Seldom<Vec<Fight>>,
    /// The lock of its target, while we hold it.
    #[serde(default, skip_serializing_if = "Seldom::is_at_first")]
    pub lock: Seldom<Option<Lock>>,
    /// The number of events so far: the next one's place in the stream.
    pub events: u64,
}

/// What must be in flight now.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Nothing.
    None,
    /// Make sure that this operation happened, exactly once.
    Ensure {
        /// Which step.
        step: Step,
        /// Under which key.
        key: OpKey,
        /// What, where it is not yet journaled.
        request: PortCall,
        /// What the journal says of it, where it is.
        journaled: Option<Box<OpState>>,
    },
    /// Read what is there.
    Scan,
    /// Run these checks until they hold or their time is over.
    Check(Vec<PlannedCheck>),
    /// Give the lock of the target back.
    Unlock {
        /// Which holding.
        fence: u64,
    },
}

impl ComponentState {
    /// Whether it failed and nobody forgave that.
    #[must_use]
    pub fn counts_as_failed(&self) -> bool {
        !self.failures.is_empty() && !self.forgiven
    }

    /// Where it goes to end: by giving back what it owes, or at once where it owes nothing.
    #[must_use]
    pub(super) fn giving_back(&self, end: End) -> Phase {
        if self.owed.is_empty() || mutant::is(Mutant::GiveBackForgotten) {
            Phase::Ended(end)
        } else {
            Phase::GivingBack(end)
        }
    }

    /// Where it goes when it is healthy: into service, or first to giving back what was held around the change.
    #[must_use]
    pub(super) fn back_in_service(&self) -> Phase {
        if self.holds_around() && !mutant::is(Mutant::BracketKept) {
            Phase::Doing(Step::GiveBack)
        } else {
            Phase::InService
        }
    }

    /// Where it goes to be left as it is: what was held around the change is given back, and what leads back stays for
    /// the person who looks at it.
    #[must_use]
    pub(super) fn left_as_is(&self) -> Phase {
        if self.holds_around() {
            self.giving_back(End::LeftAsIs)
        } else {
            Phase::Ended(End::LeftAsIs)
        }
    }

    fn holds_around(&self) -> bool {
        self.owed.iter().any(Owed::is_around)
    }

    /// What is held around the change.
    #[cfg(feature = "sqlite")]
    pub(crate) fn around(&self) -> Vec<Owed> {
        self.owed
            .iter()
            .filter(|o| o.is_around())
            .cloned()
            .collect()
    }

    /// The phase in which something is given back, also while a person decides about it.
    pub(super) fn giving_in(&self) -> Phase {
        match (self.phase, self.quarantined_in) {
            (Phase::Quarantined, Some(phase)) => phase,
            (phase, _) => phase,
        }
    }

    /// The loans that are given back now, newest last.
    fn loans(&self) -> impl DoubleEndedIterator<Item = &Owed> {
        let only_around = match self.giving_in() {
            Phase::Doing(_) => true,
            Phase::GivingBack(End::LeftAsIs) => self.holds_around(),
            _ => false,
        };
        let given = move |owed: &&Owed| !only_around || owed.is_around();
        self.owed.iter().filter(given)
    }

    /// The loan that is being given back: the one that the operation in flight is for, else the newest.
    #[must_use]
    pub(super) fn giving(&self) -> Option<&Owed> {
        let meant = self.op.as_ref().and_then(|op| {
            let back = |owed: &&Owed| owed.give_back == op.request;
            self.owed.iter().rev().find(back)
        });
        meant.or_else(|| self.loans().next_back())
    }

    /// Where it goes when that loan is given back: to the next one, back into service, or to its end.
    #[must_use]
    pub(super) fn given_back(&self) -> Phase {
        match self.giving_in() {
            phase if self.loans().nth(1).is_some() => phase,
            Phase::GivingBack(end) => Phase::Ended(end),
            _ => Phase::InService,
        }
    }

    /// Whether something is to be in flight for it.
    #[must_use]
    pub fn acts(&self) -> bool {
        let has_left = matches!(self.phase, Phase::InService | Phase::Ended(_));
        self.phase.acts() || has_left && self.is_locked()
    }

    /// Whether the lock of its target is to be given back.
    fn is_locked(&self) -> bool {
        self.lock.is_some() && !mutant::is(Mutant::UnlockForgotten)
    }

    /// Whether its part is over, and nothing is borrowed any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase.is_ended() && self.owed.is_empty() && !self.is_locked()
    }

    /// Records an event. Decides nothing.
    pub fn evolve(&mut self, event: &ComponentEvent, at: Timestamp) {
        self.events += 1;
        let before = self.phase;
        match event {
            ComponentEvent::Admitted { next, .. }
            | ComponentEvent::SoakOver { next }
            | ComponentEvent::CutShort { next } => {
                self.phase = *next;
            }
            ComponentEvent::WayBackOpened { next } => self.phase = *next,
            ComponentEvent::Intended {
                step,
                key,
                request,
                baseline,
                guarantee,
                undo,
                owes,
                give_back_by,
            } => {
                self.op = Some(Box::new(OpState {
                    step: *step,
                    key: key.clone(),
                    request: request.clone(),
                    baseline: baseline.clone(),
                    guarantee: *guarantee,
                    undo: undo.clone(),
                    since: at,
                    handle: None,
                    stalled: false,
                }));
                self.progress = Seldom::default();
                if matches!(step, Step::Apply | Step::RollBack) {
                    self.changed = true;
                }
                if let (Some(what), Undo::By(give_back)) = (owes, undo)
                    && !mutant::is(Mutant::UndoAfterAct)
                {
                    self.owed.add(Owed {
                        what: what.clone(),
                        since: at,
                        taken_by: key.clone(),
                        give_back: give_back.clone(),
                        give_back_by: *give_back_by,
                    });
                }
            }
            ComponentEvent::Begun { handle } => {
                if let Some(op) = &mut self.op {
                    op.handle = Some(handle.clone());
                }
            }
            ComponentEvent::Settled {
                step, gives, next, ..
            } => {
                self.settle(*step, gives.as_ref(), at);
                self.phase = *next;
            }
            ComponentEvent::Failed {
                step,
                failures,
                next,
            } => {
                self.generations.count(*step);
                self.op = None;
                self.failures.extend_from_slice(failures);
                self.phase = *next;
                match next {
                    // What a person may do again is the step that failed.
                    Phase::Quarantined => {
                        self.quarantine = failures.last().map(|f| f.message.as_str().into());
                        self.quarantined_in = Some(before);
                    }
                    // It was intended and surely never begun.
                    Phase::Ended(End::Untouched) | Phase::GivingBack(End::Untouched) => {
                        self.changed = false;
                    }
                    _ => {}
                }
            }
            ComponentEvent::Scanned {
                at: phase,
                patched,
                in_effect,
                rebooted,
                boot_id,
                next,
            } => {
                self.boot_before = boot_id.as_deref().map(Into::into);
                self.scanned(*phase, patched, in_effect, rebooted, at);
                self.phase = *next;
            }
            ComponentEvent::Checked {
                at: phase,
                healthy,
                next,
            } => {
                self.outcome.healthy = healthy.clone();
                if healthy.is_bad() && matches!(phase, Phase::Checking | Phase::ConfirmHealth) {
                    self.failures.add(failure("health check", healthy));
                }
                self.phase = *next;
            }
            ComponentEvent::Skipped { why } => {
                self.skipped = Some(why.as_str().into());
                self.phase = Phase::Ended(End::Skipped);
            }
            ComponentEvent::Forgiven => self.forgiven = true,
            ComponentEvent::Quarantined { why } => {
                self.quarantine = Some(why.as_str().into());
                self.quarantined_in = Some(self.phase);
                self.phase = Phase::Quarantined;
            }
            ComponentEvent::Resolved {
                by,
                reason,
                how,
                waives,
                only,
                gives,
                next,
            } => {
                match self.op.take() {
                    Some(op) if how == "adopt-done" => self.settle(op.step, gives.as_ref(), at),
                    Some(op) => self.generations.count(op.step),
                    None => {}
                }
                if let Some(gives) = gives {
                    self.given(gives);
                }
                if *waives {
                    for owed in std::mem::take(&mut self.owed).iter() {
                        if only.as_ref().is_some_and(|only| owed.taken_by != *only) {
                            self.owed.add(owed.clone());
                            continue;
                        }
                        self.waived.add(Waived {
                            what: owed.what.clone(),
                            taken_by: owed.taken_by.clone(),
                            by: by.clone(),
                            reason: reason.clone(),
                            at,
                        });
                    }
                }
                self.quarantine = None;
                self.quarantined_in = None;
                self.phase = *next;
            }
            ComponentEvent::Stalled {
                since, why, holder, ..
            } => {
                self.stalled = Some(Box::new(Stall {
                    since: *since,
                    why: why.clone(),
                    holder: holder.clone(),
                }));
                if let Some(op) = &mut self.op {
                    op.stalled = true;
                }
            }
            ComponentEvent::Moved => {
                self.stalled = None;
                if let Some(op) = &mut self.op {
                    op.stalled = false;
                }
            }
            ComponentEvent::Fought {
                taken_by,
                expected,
                found,
            } => self.fights.add(Fight {
                taken_by: taken_by.clone(),
                expected: expected.clone(),
                found: found.clone(),
                at,
            }),
            ComponentEvent::Locked { fence, .. } => {
                self.lock.set(Some(Lock {
                    fence: *fence,
                    since: at,
                }));
            }
            ComponentEvent::Unlocked { .. } => self.lock = Seldom::default(),
        }
        if self.phase != before {
            self.since = Some(at);
            // Whatever stalled was of the phase before.
            self.stalled = None;
        }
        if matches!(event, ComponentEvent::Admitted { .. }) {
            self.begun = Some(at);
        }
        if self.phase == Phase::InService {
            self.taken = 0;
        }
        if self.begun.is_some() && self.phase.is_settled() {
            self.back.get_or_insert(at);
        }
    }

    fn settle(&mut self, step: Step, gives: Option<&OpKey>, at: Timestamp) {
        self.generations.count(step);
        if mutant::is(Mutant::UndoAfterAct)
            && let Some(op) = &self.op
            && let Undo::By(give_back) = &op.undo
        {
            self.owed.add(Owed {
                what: "what was kept".to_owned(),
                give_back_by: None,
                since: at,
                taken_by: op.key.clone(),
                give_back: give_back.clone(),
            });
        }
        self.op = None;
        self.progress = Seldom::default();
        self.stalled = None;
        match (step, gives) {
            (Step::GiveBack, Some(gives)) => self.given(gives),
            (Step::GiveBack, None) => self.owed = Seldom::default(),
            _ => {}
        }
        match step {
            Step::Take => self.taken = self.taken.saturating_add(1),
            Step::Stage => {
                self.reached.insert("staged", at);
            }
            Step::Apply => {
                self.reached.insert("applied", at);
            }
            _ => {}
        }
    }

    /// What this operation took is given back.
    fn given(&mut self, gives: &OpKey) {
        self.owed.retain(|owed| owed.taken_by != *gives);
        self.owed.tidy();
    }

    fn scanned(
        &mut self,
        phase: Phase,
        patched: &crate::judge::Answer,
        in_effect: &crate::judge::Answer,
        rebooted: &crate::judge::Answer,
        at: Timestamp,
    ) {
        if matches!(phase, Phase::VerifyBack) {
            // The question was whether it is as before; it is no longer patched, whatever the answer.
            self.outcome.patched = crate::judge::Answer::No {
                expected: "the planned versions".to_owned(),
                found: match patched {
                    crate::judge::Answer::Yes { .. } => "rolled back: as before".to_owned(),
                    other => format!("rolling back is not confirmed: {other}"),
                },
            };
            self.outcome.in_effect = crate::judge::Answer::NotAsked;
            return;
        }
        if patched.is_yes() {
            self.reached.insert("verified", at);
        } else {
            self.failures.add(failure("scan", patched));
        }
        if in_effect.is_yes() && self.reached.get("in_effect").is_none() {
            self.reached.insert("in_effect", at);
        }
        if matches!(phase, Phase::VerifyRebooted) {
            if rebooted.is_bad() {
                self.failures.add(failure("restart", rebooted));
            }
            self.outcome.rebooted = rebooted.clone();
        }
        self.outcome.patched = patched.clone();
        self.outcome.in_effect = in_effect.clone();
    }

    /// What must be in flight now.
    #[must_use]
    pub fn effect(
        &self,
        target: &Target,
        component: &ComponentId,
        journal: &str,
        run: RunId,
    ) -> Effect {
        match self.phase {
            Phase::Doing(step) => self.ensure(step, target, component, journal, run),
            Phase::GivingBack(_) => self.ensure(Step::GiveBack, target, component, journal, run),
            Phase::VerifyApplied
            | Phase::VerifyRebooted
            | Phase::ConfirmVersions
            | Phase::VerifyBack => Effect::Scan,
            Phase::Checking | Phase::ConfirmHealth | Phase::CheckingBack => {
                Effect::Check(target.checks.to_vec())
            }
            // Nothing is done to it for a while, or never again: others may.
            Phase::InService | Phase::Ended(_) => match *self.lock {
                Some(Lock { fence, .. }) if self.is_locked() => Effect::Unlock { fence },
                _ => Effect::None,
            },
            Phase::Waiting | Phase::AwaitWayBack | Phase::Quarantined => Effect::None,
        }
    }

    fn ensure(
        &self,
        step: Step,
        target: &Target,
        component: &ComponentId,
        journal: &str,
        run: RunId,
    ) -> Effect {
        if let Some(op) = &self.op {
            return Effect::Ensure {
                step: op.step,
                key: op.key.clone(),
                request: op.request.clone(),
                journaled: Some(op.clone()),
            };
        }
        let generation = |step: Step| self.generations.of(step) + 1;
        let key = OpKey::of(journal, run, component, step.slug(), generation(step));
        // What was staged last is what is put in, rolled back or given back.
        let staged = self
            .owed
            .iter()
            .rfind(|owed| !owed.is_around())
            .map_or_else(
                || {
                    OpKey::of(
                        journal,
                        run,
                        component,
                        Step::Stage.slug(),
                        generation(Step::Stage).saturating_sub(1).max(1),
                    )
                },
                |owed| owed.taken_by.clone(),
            );
        let components = vec![target.known_as.clone()];
        let calls = |request: PortCall| Effect::Ensure {
            step,
            key: key.clone(),
            request,
            journaled: None,
        };
        let deploys = match step {
            Step::Take => {
                let around = target.around.get(usize::from(self.taken));
                return around.map_or(Effect::None, |around| calls(around.take()));
            }
            Step::RebootFirst | Step::Reboot | Step::RebootBack => {
                DeployRequest::Reboot { components }
            }
            Step::Stage => DeployRequest::Stage {
                changes: vec![target.change()],
            },
            Step::Apply => DeployRequest::Apply {
                changes: vec![target.change()],
                staged,
            },
            Step::RollBack => DeployRequest::RollBack {
                changes: vec![target.change().reversed()],
                staged,
            },
            Step::GiveBack => match self.loans().next_back() {
                Some(owed) => return calls(owed.give_back.clone()),
                None => DeployRequest::Discard { components, staged },
            },
        };
        calls(deploys.into())
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes what it may skip by reference"
)]
const fn is_zero(number: &u16) -> bool {
    *number == 0
}

fn failure(what: &str, answer: &crate::judge::Answer) -> Failure {
    let hint = match what {
        "scan" => {
            "read the tool's own log on it: the tool ended, and what was asked for is not there"
        }
        "restart" => "look at its console",
        _ => {
            "repeat the check by hand; if it is right, except the patch until there is a better one"
        }
    };
    Failure::from(
        &crate::Error::new(crate::ErrorKind::VerifyFailed, format!("{what}: {answer}")).hint(hint),
    )
}
