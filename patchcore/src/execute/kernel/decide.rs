//! What a component does next: one sentence of the workflow per arm.

use super::{
    component::ComponentState,
    event::ComponentEvent,
    phase::{End, Phase, Step},
};
use crate::{
    error::Failure,
    estate::{Scan, WayBack},
    judge::{self, Answer, CheckResult},
    plan::{RebootRule, Target},
    policy::{OnComponentFailure, OnFail},
    provider::Evidence,
};

/// How an operation came out.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OpResult {
    /// It is done, as read back.
    Done(Evidence),
    /// What is wanted was so before we began.
    HeldAlready(Evidence),
    /// It failed, or the target refused.
    Failed(Vec<Failure>),
    /// It was intended, and surely never began: the target refused it or never got it.
    NotStarted(Vec<Failure>),
    /// What was borrowed and is to be given back was changed by somebody else meanwhile.
    Fought {
        /// What was left there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Nobody but a person can say what happened.
    Unknown {
        /// Why.
        why: String,
    },
}

/// What came back from an effect.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// From an operation.
    Operation(Step, OpResult),
    /// From a scan.
    Scan(Result<Box<Scan>, Failure>),
    /// From the checks.
    Checks(Vec<CheckResult>),
    /// A holding of the target's lock is over.
    Unlocked {
        /// Which.
        fence: u64,
        /// Why the target could not be told, where it could not.
        lapses: Option<String>,
    },
}

/// The events that an input leads to. An input that does not fit the phase leads to none: it is late.
#[must_use]
pub fn decide(
    target: &Target,
    on_fail: &OnFail,
    state: &ComponentState,
    input: &Input,
) -> Vec<ComponentEvent> {
    match (state.phase, input) {
        (
            Phase::Doing(Step::GiveBack) | Phase::GivingBack(_),
            Input::Operation(Step::GiveBack, result),
        ) => given_back(state, result),
        (Phase::Doing(expected), Input::Operation(step, result)) if expected == *step => {
            vec![operation(target, on_fail, state, *step, result)]
        }
        (
            Phase::VerifyApplied | Phase::VerifyRebooted | Phase::ConfirmVersions,
            Input::Scan(scan),
        ) => {
            let scanned = verified(target, on_fail, state, scan);
            with_checks(target, on_fail, state, scanned)
        }
        (Phase::VerifyBack, Input::Scan(scan)) => {
            let scanned = verified_back(target, state, scan);
            with_checks(target, on_fail, state, scanned)
        }
        (Phase::Checking | Phase::ConfirmHealth | Phase::CheckingBack, Input::Checks(results)) => {
            vec![checked(target, on_fail, state, state.phase, results)]
        }
        // Whatever it does meanwhile: it is a fact about the target.
        (_, Input::Unlocked { fence, lapses })
            if state.lock.is_some_and(|lock| lock.fence == *fence) =>
        {
            vec![ComponentEvent::Unlocked {
                fence: *fence,
                lapses: lapses.clone(),
            }]
        }
        _ => Vec::new(),
    }
}

/// Where a component goes when it gets its slot.
pub(super) fn first_step(target: &Target) -> Phase {
    around(target, 0, first_change(target))
}

/// Where a component goes when it gets a slot to be rolled back in.
pub(super) fn way_back(target: &Target) -> Phase {
    around(target, 0, Phase::Doing(Step::RollBack))
}

/// What is held around a change is taken before it.
fn around(target: &Target, taken: usize, change: Phase) -> Phase {
    if taken < target.around.len() {
        Phase::Doing(Step::Take)
    } else {
        change
    }
}

/// Where a component goes when it has one more of its brackets: to the next one, or to what they are for. Who takes
/// them after it was changed is on the way back.
pub(super) fn one_more_taken(target: &Target, state: &ComponentState) -> Phase {
    let change = if state.changed {
        Phase::Doing(Step::RollBack)
    } else {
        first_change(target)
    };
    around(target, usize::from(state.taken) + 1, change)
}

/// The first step of the change itself, or taking what is still missing around it.
pub(super) fn begin_again(target: &Target, state: &ComponentState) -> Phase {
    around(target, usize::from(state.taken), first_change(target))
}

fn first_change(target: &Target) -> Phase {
    if target.reboot_first {
        Phase::Doing(Step::RebootFirst)
    } else if target.stages {
        Phase::Doing(Step::Stage)
    } else {
        Phase::Doing(Step::Apply)
    }
}

/// Where a component goes that failed after something may have been changed.
fn after_failure(
    target: &Target,
    on_fail: &OnFail,
    state: &ComponentState,
    has_slot: bool,
) -> Phase {
    let can_go_back = target.rolls_back && !matches!(target.way_back, WayBack::None { .. });
    match on_fail.component {
        OnComponentFailure::RollBack if can_go_back && has_slot => Phase::Doing(Step::RollBack),
        OnComponentFailure::RollBack if can_go_back => Phase::AwaitWayBack,
        // Left as it is, its old packages stay too, for the person who looks at it.
        _ => state.left_as_is(),
    }
}

fn operation(
    target: &Target,
    on_fail: &OnFail,
    state: &ComponentState,
    step: Step,
    result: &OpResult,
) -> ComponentEvent {
    match result {
        OpResult::Done(evidence) | OpResult::HeldAlready(evidence) => ComponentEvent::Settled {
            step,
            evidence: evidence.clone(),
            held_already: matches!(result, OpResult::HeldAlready(_)),
            gives: None,
            next: match step {
                Step::Take => one_more_taken(target, state),
                Step::RebootFirst if target.stages => Phase::Doing(Step::Stage),
                Step::RebootFirst | Step::Stage => Phase::Doing(Step::Apply),
                Step::Apply => Phase::VerifyApplied,
                Step::Reboot => Phase::VerifyRebooted,
                Step::RollBack | Step::RebootBack => Phase::VerifyBack,
                Step::GiveBack => state.phase,
            },
        },
        OpResult::Failed(failures) => ComponentEvent::Failed {
            step,
            failures: failures.clone(),
            next: match step {
                Step::Take if state.changed => Phase::Quarantined,
                Step::Take | Step::RebootFirst | Step::Stage => state.giving_back(End::Untouched),
                // A refusal before the effect changed nothing.
                Step::Apply if !state.changed => state.giving_back(End::Untouched),
                Step::Apply | Step::Reboot => after_failure(target, on_fail, state, true),
                Step::RollBack | Step::RebootBack | Step::GiveBack => Phase::Quarantined,
            },
        },
        OpResult::NotStarted(failures) => ComponentEvent::Failed {
            step,
            failures: failures.clone(),
            next: match step {
                Step::Take if state.changed => Phase::Quarantined,
                Step::Take | Step::RebootFirst | Step::Stage => state.giving_back(End::Untouched),
                // Only an earlier try may have changed something; this one did not.
                Step::Apply if state.generations.of(Step::Apply) == 0 => {
                    state.giving_back(End::Untouched)
                }
                Step::Apply | Step::Reboot => after_failure(target, on_fail, state, true),
                Step::RollBack | Step::RebootBack | Step::GiveBack => Phase::Quarantined,
            },
        },
        OpResult::Fought { expected, found } => ComponentEvent::Quarantined {
            why: fought(expected, found),
        },
        OpResult::Unknown { why } => ComponentEvent::Quarantined { why: why.clone() },
    }
}

fn given_back(state: &ComponentState, result: &OpResult) -> Vec<ComponentEvent> {
    let giving = state.giving().map(|owed| &owed.taken_by);
    let why = match result {
        OpResult::Done(evidence) | OpResult::HeldAlready(evidence) => {
            return vec![ComponentEvent::Settled {
                step: Step::GiveBack,
                evidence: evidence.clone(),
                held_already: matches!(result, OpResult::HeldAlready(_)),
                gives: giving.cloned(),
                next: state.given_back(),
            }];
        }
        OpResult::Failed(failures) | OpResult::NotStarted(failures) => format!(
            "what is owed could not be given back: {}",
            failures
                .iter()
                .map(|f| f.message.as_str())
                .collect::<Vec<_>>()
                .join("; ")
        ),
        OpResult::Fought { expected, found } => fought(expected, found),
        OpResult::Unknown { why } => why.clone(),
    };
    let quarantined = ComponentEvent::Quarantined { why };
    match (result, giving) {
        (OpResult::Fought { expected, found }, Some(taken_by)) => vec![
            ComponentEvent::Fought {
                taken_by: taken_by.clone(),
                expected: expected.clone(),
                found: found.clone(),
            },
            quarantined,
        ],
        _ => vec![quarantined],
    }
}

fn fought(expected: &str, found: &str) -> String {
    format!(
        "somebody else changed what was borrowed: expected {expected} but found {found}; it is not overwritten"
    )
}

fn verified(
    target: &Target,
    on_fail: &OnFail,
    state: &ComponentState,
    scan: &Result<Box<Scan>, Failure>,
) -> ComponentEvent {
    let at = state.phase;
    let has_slot = at != Phase::ConfirmVersions;
    let scan = match scan {
        Ok(scan) => scan,
        Err(failure) => {
            let why = failure.message.clone();
            return ComponentEvent::Scanned {
                at,
                patched: Answer::Unknown { why },
                in_effect: Answer::NotAsked,
                rebooted: Answer::NotAsked,
                boot_id: None,
                next: after_failure(target, on_fail, state, has_slot),
            };
        }
    };
    let change = target.change();
    let patched = judge::patched(&change, scan);
    let in_effect = judge::in_effect(&change, scan);
    let rebooted = match at {
        Phase::VerifyRebooted => judge::rebooted(state.boot_before.as_deref(), scan),
        _ => Answer::NotAsked,
    };
    // Flashed and waiting for a restart is what applying was to reach, where a restart follows.
    let flashed = change.patches.iter().all(|p| {
        scan.installed.get(&p.patch) == p.to.as_ref()
            || scan.pending_activation.get(&p.patch) == p.to.as_ref()
    });
    let wants_reboot = match target.reboot {
        RebootRule::Never => false,
        RebootRule::Always => true,
        RebootRule::WhenNeeded => scan
            .reboot_wanted
            .as_ref()
            .map_or(target.reboot_expected, |wants| !wants.is_empty()),
    };
    let ok = patched.is_yes() && !rebooted.is_bad();
    let next = match at {
        Phase::VerifyApplied if wants_reboot && (ok || flashed) => Phase::Doing(Step::Reboot),
        _ if !ok => after_failure(target, on_fail, state, has_slot),
        Phase::ConfirmVersions => Phase::ConfirmHealth,
        _ => Phase::Checking,
    };
    let patched = match next {
        // What runs is for the scan after the restart to say.
        Phase::Doing(Step::Reboot) if !patched.is_yes() => Answer::Yes {
            saw: "everything is in and waits for the restart".to_owned(),
        },
        _ => patched,
    };
    ComponentEvent::Scanned {
        at,
        patched,
        in_effect,
        rebooted,
        boot_id: scan.boot_id.clone(),
        next,
    }
}

fn verified_back(
    target: &Target,
    state: &ComponentState,
    scan: &Result<Box<Scan>, Failure>,
) -> ComponentEvent {
    let at = state.phase;
    let unknown = |why: String| ComponentEvent::Quarantined { why };
    let scan = match scan {
        Ok(scan) => scan,
        Err(failure) => {
            return unknown(format!(
                "after rolling back, nobody can say what is there: {failure}"
            ));
        }
    };
    let patched = judge::patched(&target.change().reversed(), scan);
    if !patched.is_yes() {
        return unknown(format!("rolling back did not bring it back: {patched}"));
    }
    let again = scan
        .reboot_wanted
        .as_ref()
        .is_some_and(|wants| !wants.is_empty());
    let restarted = state.generations.of(Step::RebootBack) > 0;
    let next = match target.reboot {
        RebootRule::Never => Phase::CheckingBack,
        _ if again && !restarted => Phase::Doing(Step::RebootBack),
        _ => Phase::CheckingBack,
    };
    ComponentEvent::Scanned {
        at,
        patched,
        in_effect: judge::in_effect(&target.change(), scan),
        rebooted: Answer::NotAsked,
        boot_id: scan.boot_id.clone(),
        next,
    }
}

/// What a scan found, and how its checks come out where there are none: nobody need be asked for that.
fn with_checks(
    target: &Target,
    on_fail: &OnFail,
    state: &ComponentState,
    scanned: ComponentEvent,
) -> Vec<ComponentEvent> {
    let mut events = vec![scanned];
    if let [ComponentEvent::Scanned { next, .. }] = events.as_slice()
        && matches!(
            next,
            Phase::Checking | Phase::ConfirmHealth | Phase::CheckingBack
        )
        && target.checks.is_empty()
    {
        events.push(checked(target, on_fail, state, *next, &[]));
    }
    events
}

/// How checks came out that were run in the phase `at`.
fn checked(
    target: &Target,
    on_fail: &OnFail,
    state: &ComponentState,
    at: Phase,
    results: &[CheckResult],
) -> ComponentEvent {
    let mut healthy = judge::healthy(results);
    // A planned check without a result was not seen to hold.
    if results.len() < target.checks.len() {
        let why = format!(
            "{} of {} checks were run",
            results.len(),
            target.checks.len()
        );
        healthy = if healthy.is_bad() {
            healthy
        } else {
            Answer::Unknown { why }
        };
    }
    let next = match (at, healthy.is_bad()) {
        (Phase::CheckingBack, false) => state.giving_back(End::RolledBack),
        (Phase::CheckingBack, true) => {
            return ComponentEvent::Quarantined {
                why: format!("it is rolled back and not healthy: {healthy}"),
            };
        }
        (Phase::ConfirmHealth, false) => state.giving_back(End::Done),
        (_, false) => state.back_in_service(),
        (_, true) => after_failure(target, on_fail, state, at == Phase::Checking),
    };
    ComponentEvent::Checked { at, healthy, next }
}
