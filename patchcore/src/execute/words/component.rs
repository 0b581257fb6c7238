//! What happened to a component.

use crate::{
    error::Failure,
    execute::kernel::{ComponentEvent, End, Phase, Step},
    id::ComponentId,
    judge::Answer,
    plan::text::obstacle,
};

/// An event as clauses, most important first. The name of the component, which stands before them, is not said
/// again where it is known.
pub(crate) fn said(event: &ComponentEvent, component: Option<&ComponentId>) -> Vec<String> {
    match event {
        ComponentEvent::Admitted { ring, wave, .. } => {
            vec![format!("begins in wave {wave} of ring {ring}")]
        }
        ComponentEvent::Intended { step, owes, .. } => {
            let mut said = vec![doing(*step).to_owned()];
            said.extend(owes.clone());
            said
        }
        ComponentEvent::Begun { .. } => vec!["taken by the target".to_owned()],
        ComponentEvent::Settled {
            step,
            evidence,
            held_already,
            ..
        } => {
            let already = if *held_already { "already " } else { "" };
            vec![format!("{already}{}", done(*step)), evidence.to_string()]
        }
        ComponentEvent::Failed {
            step,
            failures,
            next,
        } => {
            let why: Vec<String> = failures.iter().map(|f| why(f, component)).collect();
            let mut said = vec![format!("{} failed: {}", doing(*step), why.join("; "))];
            said.extend(going(*next));
            said
        }
        ComponentEvent::Scanned { .. } => scanned(event),
        ComponentEvent::Checked { healthy, next, .. } => {
            let mut said = vec![match healthy {
                Answer::NotAsked => "no checks are asked for".to_owned(),
                Answer::Yes { .. } => format!("healthy: {healthy}"),
                Answer::No { .. } | Answer::Unknown { .. } => format!("not healthy: {healthy}"),
            }];
            said.extend(going(*next));
            said
        }
        ComponentEvent::SoakOver { .. } => vec!["soak over".to_owned()],
        ComponentEvent::WayBackOpened { .. } => vec!["has a slot to be rolled back in".to_owned()],
        ComponentEvent::Skipped { why } => vec![format!("skipped: {why}")],
        ComponentEvent::Forgiven => vec!["its failure is forgiven".to_owned()],
        ComponentEvent::CutShort { .. } => vec!["the run ends before its soak does".to_owned()],
        ComponentEvent::Quarantined { why } => vec![
            format!("quarantined: {}", without(why, component)),
            "a person must decide".to_owned(),
        ],
        ComponentEvent::Resolved {
            by,
            reason,
            how,
            waives,
            only,
            ..
        } => {
            let mut said = vec![format!("{how} by {by}: {reason}")];
            let what = match only {
                Some(_) => "what was not given back is waived",
                None => "what it owed is waived",
            };
            said.extend(waives.then(|| what.to_owned()));
            said
        }
        ComponentEvent::Stalled { why, holder, .. } => {
            vec![stalled(without(why, component), holder.as_deref())]
        }
        ComponentEvent::Moved => vec!["it gets on again".to_owned()],
        ComponentEvent::Fought {
            expected, found, ..
        } => vec![
            format!(
                "somebody else changed what was borrowed: expected {expected} but found {found}"
            ),
            "it is left as it is".to_owned(),
        ],
        ComponentEvent::Locked { fence, took_over } => {
            let mut said = vec![format!("holds the lock of its target (fence {fence})")];
            said.extend(
                took_over
                    .as_ref()
                    .map(|from| format!("taken over from {from}")),
            );
            said
        }
        ComponentEvent::Unlocked { lapses: None, .. } => {
            vec!["gave back the lock of its target".to_owned()]
        }
        ComponentEvent::Unlocked {
            lapses: Some(why), ..
        } => vec![format!(
            "the lock of its target could not be given back and lapses by itself: {}",
            without(why, component)
        )],
    }
}

/// What does not get on, and who holds what it waits for.
pub(crate) fn stalled(why: &str, holder: Option<&str>) -> String {
    match holder {
        Some(holder) if !why.contains(holder) => format!("stalled: {why}, held by {holder}"),
        _ => format!("stalled: {why}"),
    }
}

fn scanned(event: &ComponentEvent) -> Vec<String> {
    let ComponentEvent::Scanned {
        at,
        patched,
        in_effect,
        rebooted,
        next,
        ..
    } = event
    else {
        return Vec::new();
    };
    let mut said = vec![match patched {
        // The question was whether it is as before.
        Answer::Yes { .. } if *at == Phase::VerifyBack => "scan: as before".to_owned(),
        Answer::Yes { saw } => saw.clone(),
        other => format!("scan: {other}"),
    }];
    if *at != Phase::VerifyBack {
        if *rebooted != Answer::NotAsked {
            said.push(rebooted.to_string());
        }
        // Before a restart everything still runs the old code; saying so would only alarm.
        if *in_effect != Answer::NotAsked && *next != Phase::Doing(Step::Reboot) {
            said.push(match in_effect {
                Answer::No { .. } => format!("not in effect: {in_effect}"),
                answer => format!("in effect: {answer}"),
            });
        }
    }
    said.extend(going(*next));
    said
}

fn why(failure: &Failure, component: Option<&ComponentId>) -> String {
    match component {
        Some(component) => obstacle(component, failure),
        None => failure.message.clone(),
    }
}

/// A text without the name that stands before it already.
pub(crate) fn without<'a>(text: &'a str, component: Option<&ComponentId>) -> &'a str {
    component
        .and_then(|c| text.strip_prefix(c.as_str()))
        .and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(text)
}

const fn doing(step: Step) -> &'static str {
    match step {
        Step::Take => "taking what is held around it",
        Step::RebootFirst => "restarting before it is patched",
        Step::Reboot => "restarting",
        Step::RebootBack => "restarting after rolling back",
        Step::Stage => "fetching",
        Step::Apply => "applying",
        Step::RollBack => "rolling back",
        Step::GiveBack => "giving back what it owes",
    }
}

const fn done(step: Step) -> &'static str {
    match step {
        Step::Take => "taken",
        Step::RebootFirst | Step::Reboot | Step::RebootBack => "restarted",
        Step::Stage => "staged",
        Step::Apply => "applied",
        Step::RollBack => "rolled back",
        Step::GiveBack => "gave back what it owed",
    }
}

fn going(next: Phase) -> Option<String> {
    let text = match next {
        Phase::Doing(step @ (Step::RollBack | Step::Reboot | Step::RebootBack)) => doing(step),
        Phase::AwaitWayBack => "waits for a slot to be rolled back in",
        Phase::Ended(End::LeftAsIs) => "left as it is",
        Phase::Ended(End::Untouched) | Phase::GivingBack(End::Untouched) => "nothing was changed",
        Phase::InService => "back in service",
        Phase::Quarantined => "a person must decide",
        _ => return None,
    };
    Some(text.to_owned())
}

/// How many ended in which way: `2 rolled back`.
#[must_use]
pub(crate) const fn end(end: End) -> &'static str {
    match end {
        End::Done => "done",
        End::Unsoaked => "patched without a full soak",
        End::RolledBack => "rolled back",
        End::LeftAsIs => "left as they are",
        End::Attested => "attested to be in service",
        End::Untouched => "not touched",
        End::Skipped => "skipped",
    }
}

/// Where a component is, in words.
#[must_use]
pub(crate) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "waits for its turn",
        Phase::Doing(Step::Take) => "takes what is held around it",
        Phase::Doing(Step::RebootFirst) => "restarts before it is patched",
        Phase::Doing(Step::Stage) => "fetches its patches and keeps the way back",
        Phase::Doing(Step::Apply) => "is being patched",
        Phase::Doing(Step::Reboot) => "restarts",
        Phase::Doing(Step::RollBack) => "is being rolled back",
        Phase::Doing(Step::RebootBack) => "restarts after rolling back",
        Phase::Doing(Step::GiveBack) | Phase::GivingBack(_) => "gives back what it owes",
        Phase::VerifyApplied | Phase::VerifyRebooted => "is being scanned",
        Phase::ConfirmVersions => "is being scanned once more, its soak is over",
        Phase::Checking => "is being checked",
        Phase::ConfirmHealth => "is being checked once more, its soak is over",
        Phase::VerifyBack => "is being scanned after rolling back",
        Phase::CheckingBack => "is being checked after rolling back",
        Phase::InService => "is back in service and watched",
        Phase::AwaitWayBack => "failed, and waits for a slot to be rolled back in",
        Phase::Quarantined => "is quarantined: a person must decide",
        Phase::Ended(End::Done) => "is done",
        Phase::Ended(End::Unsoaked) => "is patched, and its soak was cut short",
        Phase::Ended(End::RolledBack) => "failed and is rolled back",
        Phase::Ended(End::LeftAsIs) => "failed and was left as it is",
        Phase::Ended(End::Attested) => "failed, and a person attests that it is in service",
        Phase::Ended(End::Untouched) => "could not begin and was not touched",
        Phase::Ended(End::Skipped) => "had no turn",
    }
}
