//! Why a component is where it is, in a few lines.

use jiff::Timestamp;

use super::{
    Standing, Story,
    kernel::{End, Phase, Resolution, Step, Wait},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::ComponentId,
    plan::time_words,
};

/// Which gate holds a component, who holds what, since when, and when it may open.
pub(super) fn why(
    story: &Story,
    component: &ComponentId,
    standing: &Standing,
    now: Timestamp,
) -> Result<String> {
    let Some(state) = story.components.get(component) else {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("{component} is not in plan {}", story.plan.id()),
        )
        .hint("the plan says under \"not in this plan\" why, if it was found at all"));
    };
    let at = |time| time_words(&story.plan.envelope, time);
    let mut lines = vec![format!("{component}: {}", phase(state.phase))];
    if let Some(since) = state.since {
        lines.push(format!("since {}", at(since)));
    }
    if let Some(op) = &state.op {
        lines.push(format!(
            "operation {} ({}), intended {}",
            op.key,
            op.step.slug(),
            at(op.since)
        ));
    }
    if let Some(progress) = state.progress.as_ref().and_then(|p| p.message.as_ref()) {
        lines.push(format!("says: {progress}"));
    }
    for failure in &state.failures {
        lines.push(format!("failed: {failure}"));
        lines.extend(
            failure
                .hint
                .iter()
                .map(|hint| format!("what to do: {hint}")),
        );
    }
    lines.extend(
        state
            .quarantine
            .iter()
            .map(|q| format!("a person must decide: {q}")),
    );
    if state.phase == Phase::Quarantined {
        lines.push(format!(
            "what to do: look at {component}, then resolve it with a reason: {}, {}, {} or {}",
            Resolution::AdoptDone.word(),
            Resolution::Retry.word(),
            Resolution::RollBack.word(),
            Resolution::Abandon.word(),
        ));
    }
    lines.extend(state.skipped.iter().map(|s| format!("because {s}")));
    if state.phase == Phase::Waiting {
        let waits = match standing {
            Standing::Working { waits }
            | Standing::Waiting { waits, .. }
            | Standing::AtRest { waits }
            | Standing::Parked { waits, .. } => waits.as_slice(),
            Standing::Ended { .. } | Standing::Broken { .. } => &[],
        };
        let ring = story.plan.envelope.target(component).map(|t| &t.ring);
        for wait in waits.iter().filter(|w| concerns(w, component, ring)) {
            lines.push(format!("waits: {wait}"));
        }
        if lines.len() == 1 {
            lines.push(format!(
                "its ring or wave has not come yet (it is {})",
                at(now)
            ));
        }
    }
    lines.extend(
        state
            .owed
            .iter()
            .map(|o| format!("owes: {} since {}", o.what, at(o.since))),
    );
    Ok(lines.join("\n   "))
}

fn concerns(wait: &Wait, component: &ComponentId, ring: Option<&crate::id::RingName>) -> bool {
    match wait {
        Wait::Slot { component: c, .. }
        | Wait::Floor { component: c, .. }
        | Wait::Person { component: c, .. } => c == component,
        Wait::Window { ring: r, .. }
        | Wait::RingApproval { ring: r }
        | Wait::Wave { ring: r, .. } => Some(r) == ring,
        Wait::Soak { .. } | Wait::Paused { .. } | Wait::Halted { .. } => true,
    }
}

/// Where a component is, in words.
#[must_use]
pub(crate) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "waits for its turn",
        Phase::Doing(Step::RebootFirst) => "restarts before it is patched",
        Phase::Doing(Step::Stage) => "fetches its patches and keeps the way back",
        Phase::Doing(Step::Apply) => "is being patched",
        Phase::Doing(Step::Reboot) => "restarts",
        Phase::Doing(Step::RollBack) => "is being rolled back",
        Phase::Doing(Step::RebootBack) => "restarts after rolling back",
        Phase::Doing(Step::GiveBack) | Phase::GivingBack(_) => "gives back what it owes",
        Phase::VerifyApplied | Phase::VerifyRebooted | Phase::ConfirmVersions => "is being scanned",
        Phase::Checking | Phase::ConfirmHealth => "is being checked",
        Phase::VerifyBack => "is being scanned after rolling back",
        Phase::CheckingBack => "is being checked after rolling back",
        Phase::InService => "is back in service and watched",
        Phase::AwaitWayBack => "failed, and waits for a slot to be rolled back in",
        Phase::Quarantined => "is quarantined",
        Phase::Ended(End::Done) => "is done",
        Phase::Ended(End::Unsoaked) => "is patched, and its soak was cut short",
        Phase::Ended(End::RolledBack) => "failed and is rolled back",
        Phase::Ended(End::LeftAsIs) => "failed and was left as it is",
        Phase::Ended(End::Untouched) => "could not begin and was not touched",
        Phase::Ended(End::Skipped) => "had no turn",
    }
}
