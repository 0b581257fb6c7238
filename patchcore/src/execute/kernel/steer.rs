//! What people tell a run to do.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    component::ComponentState,
    decide::{begin_again, one_more_taken, way_back},
    event::{ComponentEvent, RunEvent},
    phase::{End, Phase, RunVerdict, Step},
    run::{Components, PausePoint, RunState, RunStatus, before},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::{ComponentId, PatchId, PersonId, RingName, RunId, Version},
    plan::{Envelope, Target},
};

/// What a person decides about a component that nobody else can judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// The step is done; go on after it.
    AdoptDone,
    /// Do the step again.
    Retry,
    /// Put the earlier versions back.
    RollBack,
    /// Leave it as it is; what it owes is waived.
    Abandon,
}

impl Resolution {
    /// Every one, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::AdoptDone, Self::Retry, Self::RollBack, Self::Abandon];

    /// The word on the command line and in the journal.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AdoptDone => "adopt-done",
            Self::Retry => "retry",
            Self::RollBack => "roll-back",
            Self::Abandon => "abandon",
        }
    }
}

impl FromStr for Resolution {
    type Err = Error;

    /// Reads the word.
    ///
    /// # Errors
    /// `InvalidInput`, with the words that there are.
    fn from_str(word: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|r| r.word() == word);
        known.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "there is no such resolution")
                .expected(format!("one of {}", Self::ALL.map(Self::word).join(", ")))
                .found(word)
        })
    }
}

/// What a person tells a run to do. Every one needs a reason, and is journaled with its author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "verb")]
#[non_exhaustive]
pub enum Command {
    /// Nothing new starts.
    Pause,
    /// It goes on.
    Unpause,
    /// A step does not begin, of one component or of all.
    PauseBefore {
        /// Which step: one of [`Step::PAUSABLE`].
        step: Step,
        /// Whose; every component's where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "ComponentId")]
        component: Option<ComponentId>,
    },
    /// It may begin.
    UnpauseBefore {
        /// Which step.
        step: Step,
        /// Whose, as it was said when it was paused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "ComponentId")]
        component: Option<ComponentId>,
    },
    /// It is brought to an end, whatever is left.
    Cancel,
    /// Failures so far are forgiven, and it goes on.
    LiftHalt,
    /// A halted run is brought to an end.
    End,
    /// A ring that needs an approval of its own may start.
    ApproveRing {
        /// Which.
        ring: RingName,
    },
    /// A quarantined component.
    Resolve {
        /// Which.
        component: ComponentId,
        /// What.
        how: Resolution,
    },
    /// A patch may be planned again.
    LiftDenial {
        /// Which.
        patch: PatchId,
        /// At which version.
        version: Version,
        /// Of which run.
        run: RunId,
    },
}

impl Command {
    /// The word of the verb.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::PauseBefore { .. } => "pause_before",
            Self::UnpauseBefore { .. } => "unpause_before",
            Self::Cancel => "cancel",
            Self::LiftHalt => "lift_halt",
            Self::End => "end",
            Self::ApproveRing { .. } => "approve_ring",
            Self::Resolve { .. } => "resolve",
            Self::LiftDenial { .. } => "lift_denial",
        }
    }
}

/// What a command leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Steered {
    /// Events of the run.
    pub run: Vec<RunEvent>,
    /// Events of components.
    pub components: Vec<(ComponentId, ComponentEvent)>,
}

/// The events that a command leads to, or why it leads to none.
///
/// # Errors
/// One sentence that says why not and what would do.
pub fn steer(
    envelope: &Envelope,
    run: &RunState,
    components: &Components,
    by: &PersonId,
    reason: &str,
    command: &Command,
) -> Result<Steered, String> {
    let (by, reason) = (by.clone(), reason.to_owned());
    let mut steered = Steered {
        run: Vec::new(),
        components: Vec::new(),
    };
    let halted = matches!(run.status, RunStatus::Halted { .. });
    if matches!(run.status, RunStatus::Ended { .. })
        && !matches!(command, Command::LiftDenial { .. })
    {
        return Err("the run is over".to_owned());
    }
    let ending = matches!(run.status, RunStatus::Ending { .. });
    match command {
        Command::Cancel if ending => return Err("it is being brought to an end already".to_owned()),
        Command::Pause if run.paused.is_some() => return Err("it is paused already".to_owned()),
        Command::Pause => steered.run.push(RunEvent::Paused { by, reason }),
        Command::Unpause if run.paused.is_none() => return Err("it is not paused".to_owned()),
        Command::Unpause => steered.run.push(RunEvent::Unpaused { by, reason }),
        Command::PauseBefore { step, component } => {
            if !Step::PAUSABLE.contains(step) {
                return Err(format!("a run is never held up before {}", step.slug()));
            }
            if let Some(component) = component
                && !components.contains_key(component)
            {
                return Err(format!("{component} is not in this run"));
            }
            if is_set(run, *step, component.as_ref()) {
                return Err(format!(
                    "there is a pause point {}",
                    before(*step, component.as_ref())
                ));
            }
            let point = PausePoint {
                component: component.clone(),
                step: *step,
                by,
                reason,
            };
            steered.run.push(RunEvent::PausePointSet { point });
        }
        Command::UnpauseBefore { step, component } => {
            if !is_set(run, *step, component.as_ref()) {
                return Err(format!(
                    "there is no pause point {}",
                    before(*step, component.as_ref())
                ));
            }
            steered.run.push(RunEvent::PausePointCleared {
                component: component.clone(),
                step: *step,
                by,
                reason,
            });
        }
        Command::Cancel => steered.run.push(RunEvent::Ending {
            verdict: RunVerdict::Cancelled,
            by,
            reason,
        }),
        Command::End if !halted => {
            return Err("it is not halted: cancel ends a run that goes on".to_owned());
        }
        Command::End => steered.run.push(RunEvent::Ending {
            verdict: RunVerdict::Halted,
            by,
            reason,
        }),
        Command::LiftHalt if !halted => return Err("it is not halted".to_owned()),
        Command::LiftHalt => {
            let failed = components.iter().filter(|(_, s)| s.counts_as_failed());
            steered
                .components
                .extend(failed.map(|(c, _)| (c.clone(), ComponentEvent::Forgiven)));
            steered.run.push(RunEvent::HaltLifted {
                by,
                reason,
                forgiven: steered.components.len(),
                ring: run.halted_ring.clone(),
            });
        }
        Command::ApproveRing { ring } => {
            let known = envelope
                .rings
                .iter()
                .find(|r| r.name == *ring)
                .ok_or_else(|| format!("there is no ring {ring}"))?;
            if !known.needs_approval {
                return Err(format!("ring {ring} needs no approval of its own"));
            }
            if by == envelope.requested_by {
                return Err(format!(
                    "{by} asked for the plan and cannot approve ring {ring}"
                ));
            }
            if !envelope.approval.from.contains(&by) {
                return Err(format!("{by} may not approve ring {ring}"));
            }
            steered.run.push(RunEvent::RingApproved {
                ring: ring.clone(),
                by,
                reason,
            });
        }
        Command::Resolve { component, how } => {
            let state = components
                .get(component)
                .ok_or_else(|| format!("{component} is not in this run"))?;
            let target = envelope
                .target(component)
                .ok_or_else(|| format!("{component} is not in this plan"))?;
            if state.phase == Phase::AwaitWayBack && *how == Resolution::RollBack {
                keeps_floors(envelope, components, target)?;
            }
            let event = resolve(target, state, by, reason, *how)?;
            steered.components.push((component.clone(), event));
        }
        Command::LiftDenial {
            patch,
            version,
            run,
        } => steered.run.push(RunEvent::DenialLifted {
            patch: patch.clone(),
            version: version.clone(),
            run: *run,
            by,
            reason,
        }),
    }
    Ok(steered)
}

fn is_set(run: &RunState, step: Step, component: Option<&ComponentId>) -> bool {
    run.pause_points
        .iter()
        .any(|p| p.step == step && p.component.as_ref() == component)
}

/// A person may let somebody go down beyond the disruption budget, and never below a floor.
fn keeps_floors(
    envelope: &Envelope,
    components: &Components,
    target: &Target,
) -> Result<(), String> {
    let groups = envelope.groups.iter();
    for group in groups.filter(|g| target.groups.contains(&g.name)) {
        let is_down = |member: &&ComponentId| {
            let held = components
                .get(*member)
                .is_some_and(|s| s.phase.holds_slot());
            held || group.down_already.contains(member)
        };
        let down: Vec<&str> = group
            .members
            .iter()
            .filter(is_down)
            .map(ComponentId::as_str)
            .collect();
        if down.len() >= group.members.len().saturating_sub(group.keep_up) {
            return Err(format!(
                "group {} keeps {} of {} up, and {} is down: bring that back first",
                group.name,
                group.keep_up,
                group.members.len(),
                down.join(", ")
            ));
        }
    }
    Ok(())
}

fn resolve(
    target: &Target,
    state: &ComponentState,
    by: PersonId,
    reason: String,
    how: Resolution,
) -> Result<ComponentEvent, String> {
    let waives = how == Resolution::Abandon;
    let giving_back = match state.quarantined_in {
        Some(Phase::GivingBack(end)) => Some(end),
        _ => None,
    };
    let returning = state.quarantined_in == Some(Phase::Doing(Step::GiveBack));
    let loan = || state.giving().map(|owed| owed.taken_by.clone());
    // That one loan is given back says nothing of the others, and what leads back is still needed by what is good.
    let (gives, only) = match (state.phase, how) {
        (Phase::Quarantined, Resolution::AdoptDone) if returning || giving_back.is_some() => {
            (loan(), None)
        }
        (Phase::Quarantined, Resolution::Abandon) if returning => (None, loan()),
        _ => (None, None),
    };
    let decided = |next| {
        Ok(ComponentEvent::Resolved {
            by: by.clone(),
            reason: reason.clone(),
            how: how.word().to_owned(),
            waives,
            only: only.clone(),
            gives: gives.clone(),
            next,
        })
    };
    match (state.phase, how) {
        (Phase::Quarantined, _) => {}
        // Whoever holds the slots may never give them back: a person may go beyond the budget, we do not.
        (Phase::AwaitWayBack, Resolution::RollBack) => {
            return decided(way_back(target));
        }
        (Phase::AwaitWayBack, Resolution::Abandon) => return decided(Phase::Ended(End::LeftAsIs)),
        // Left as it is, it keeps its slot until a person says that it is in service.
        (Phase::Ended(End::LeftAsIs), Resolution::AdoptDone) => {
            return decided(state.giving_back(End::Attested));
        }
        _ => return Err(format!("{} needs no such decision", target.component)),
    }
    let step = state.op.as_ref().map(|op| op.step);
    let next = match (how, step) {
        (Resolution::Abandon, _) if returning => state.given_back(),
        // What it owes has nothing to do with how its part ended.
        (Resolution::Abandon, _) => Phase::Ended(giving_back.unwrap_or(End::LeftAsIs)),
        (Resolution::RollBack, _) if target.rolls_back => Phase::Doing(Step::RollBack),
        (Resolution::RollBack, _) => {
            return Err(format!("{} cannot put earlier versions back", target.tool));
        }
        (Resolution::Retry, Some(step)) => match state.quarantined_in {
            Some(phase @ Phase::GivingBack(_)) => phase,
            _ => Phase::Doing(step),
        },
        (Resolution::Retry, None) => match state.quarantined_in {
            Some(Phase::Quarantined) | None => begin_again(target, state),
            Some(phase) => phase,
        },
        (Resolution::AdoptDone, Some(Step::RebootFirst)) if target.stages => {
            Phase::Doing(Step::Stage)
        }
        (Resolution::AdoptDone, Some(Step::RebootFirst | Step::Stage)) => Phase::Doing(Step::Apply),
        (Resolution::AdoptDone, Some(Step::Apply)) => Phase::VerifyApplied,
        (Resolution::AdoptDone, Some(Step::Reboot)) => Phase::VerifyRebooted,
        (Resolution::AdoptDone, Some(Step::RollBack | Step::RebootBack)) => Phase::VerifyBack,
        (Resolution::AdoptDone, Some(Step::Take)) => one_more_taken(target, state),
        (Resolution::AdoptDone, Some(Step::GiveBack)) => state.given_back(),
        (Resolution::AdoptDone, None) => match state.quarantined_in {
            Some(Phase::GivingBack(_) | Phase::Doing(Step::GiveBack)) => state.given_back(),
            Some(Phase::Doing(Step::RollBack | Step::RebootBack)) => Phase::VerifyBack,
            Some(Phase::VerifyBack | Phase::CheckingBack) => state.giving_back(End::RolledBack),
            _ => return Err("there is no operation whose result could be adopted".to_owned()),
        },
    };
    decided(next)
}

#[cfg(test)]
mod tests {
    use super::Resolution;

    /// They stand in journals and in people's scripts.
    #[test]
    fn the_words_of_resolutions_are_kept() {
        let words = ["adopt-done", "retry", "roll-back", "abandon"];
        assert_eq!(Resolution::ALL.map(Resolution::word), words);
        for (word, how) in words.into_iter().zip(Resolution::ALL) {
            assert_eq!(word.parse().ok(), Some(how));
        }
        let unknown = "undo".parse::<Resolution>().unwrap_err().to_string();
        assert!(unknown.contains("adopt-done, retry"), "{unknown}");
    }
}
