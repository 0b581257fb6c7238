//! Why a component is where it is, and what is owed, in a few sentences.

use jiff::Timestamp;

use super::{
    Standing, Story,
    kernel::{ComponentState, End, Owed, Phase, Resolution, RingPhase, RunStatus, Step, Wait},
    progress::late,
    words,
};
use crate::{
    document::nearest,
    error::{Error, ErrorKind, Result},
    id::ComponentId,
    plan::{
        Target,
        text::{Times, names, obstacle},
    },
};

/// A page that is read at night has no more lines than this after its first.
const LINES: usize = 7;
/// And no more names where one is not known.
const NAMES: usize = 12;

impl Story {
    /// What the run owes, as sentences, as of its last event.
    #[must_use]
    pub fn ledger(&self) -> Vec<String> {
        self.ledger_at(self.told_at)
    }

    /// The same at a moment: what is overdue by then is named.
    #[must_use]
    pub fn ledger_at(&self, now: Timestamp) -> Vec<String> {
        let times = Times::of(&self.plan.envelope, None);
        self.components
            .iter()
            .flat_map(|(component, state)| owed(self, component, state, &times, now))
            .chain(self.state.rolls.values().flat_map(|roll| {
                let owed = roll.owed.iter();
                owed.map(|owed| format!("{} · since {}", owed.what, times.at(owed.since)))
            }))
            .collect()
    }

    /// What people waived and nobody gives back, as sentences.
    #[must_use]
    pub fn waived(&self) -> Vec<String> {
        let times = Times::of(&self.plan.envelope, None);
        self.components
            .iter()
            .flat_map(|(component, state)| waived(component, state, &times))
            .chain(self.state.rolls.values().flat_map(|roll| {
                let waived = roll.waived.iter();
                waived.map(|w| format!("{} · waived by {}: {}", w.what, w.by, w.reason))
            }))
            .collect()
    }

    /// Why a component is where it is: which gate, who holds what, since when, and when it may open.
    ///
    /// # Errors
    /// `NotFound`: it is not in this plan.
    pub fn why(
        &self,
        component: &ComponentId,
        standing: &Standing,
        now: Timestamp,
    ) -> Result<String> {
        why(self, component, standing, now)
    }
}

/// Which gate holds a component, who holds what, since when, and when it may open.
fn why(
    story: &Story,
    component: &ComponentId,
    standing: &Standing,
    now: Timestamp,
) -> Result<String> {
    let envelope = &story.plan.envelope;
    let (Some(state), Some(target)) = (story.components.get(component), envelope.target(component))
    else {
        let error = Error::new(
            ErrorKind::NotFound,
            format!("{component} is not in plan {}", story.plan.id()),
        )
        .operation("why");
        let known = envelope.targets.iter().map(|t| t.component.as_str());
        return Err(match nearest(component.as_str(), known) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error
                .expected(format!(
                    "one of {}",
                    names(envelope.targets.iter().map(|t| &t.component), NAMES)
                ))
                .hint("the plan says under \"not in this plan\" why, if it was found at all"),
        });
    };
    let times = Times::of(envelope, None);
    let since = match (state.phase, state.since) {
        (Phase::Waiting, _) => format!("since the run began {}", times.at(story.started_at)),
        (_, Some(since)) => format!("since {}", times.at(since)),
        (_, None) => "since nobody knows when".to_owned(),
    };
    let first = format!("{component} {}, {since}", words::phase(state.phase));

    let mut lines = vec![place(story, target)];
    if state.phase == Phase::Waiting {
        lines.extend(gates(story, target, standing, &times, now));
    } else {
        lines.extend(work(story, component, state, standing, &times));
        lines.extend(late(target, state, now).map(words::overtime));
    }
    lines.extend(state.skipped.iter().map(|why| format!("because {why}")));
    lines.extend(
        state
            .failures
            .iter()
            .map(|f| format!("failed: {}", obstacle(component, f))),
    );
    lines.extend(
        state
            .quarantine
            .iter()
            .map(|why| format!("nobody else can say what happened: {why}")),
    );
    if state.phase == Phase::Quarantined {
        let words = Resolution::ALL.map(Resolution::word).join(", ");
        lines.push(format!(
            "next: look at it, then resolve {component} with a reason: {words}"
        ));
    }
    lines.extend(owed(story, component, state, &times, now).map(|owed| format!("owed: {owed}")));
    lines.extend(waived(component, state, &times).map(|waived| format!("waived: {waived}")));
    if lines.len() > LINES {
        let more = lines.len() - LINES + 1;
        lines.truncate(LINES - 1);
        lines.push(format!("+ {more} more, in the report"));
    }
    lines.insert(0, first);
    Ok(lines.join("\n   "))
}

/// `run 1 · ring canary, wave 1 of 2 · window weeknights`.
fn place(story: &Story, target: &Target) -> String {
    let mut parts = vec![format!("run {}", story.run)];
    let ring = &target.ring;
    let waves = story
        .plan
        .schedule
        .rings
        .iter()
        .find(|r| r.ring == *ring)
        .map_or(&[][..], |r| &r.waves);
    let wave = waves
        .iter()
        .position(|w| w.components.contains(&target.component));
    parts.push(match wave {
        Some(wave) => format!("ring {ring}, wave {} of {}", wave + 1, waves.len()),
        None => format!("ring {ring}"),
    });
    let rules = story.plan.envelope.rings.iter().find(|r| r.name == *ring);
    parts.extend(
        rules
            .and_then(|r| r.window.as_ref())
            .map(|w| format!("window {w}")),
    );
    parts.join(" · ")
}

/// What a component waits for that has not begun.
fn gates(
    story: &Story,
    target: &Target,
    standing: &Standing,
    times: &Times,
    now: Timestamp,
) -> Vec<String> {
    let mut lines = Vec::new();
    let ours: Vec<Wait> = standing
        .waits()
        .iter()
        .filter(|w| concerns(w, target))
        .cloned()
        .collect();
    lines.extend(words::waits(&ours, times));
    for wait in &ours {
        let who = match wait {
            Wait::Slot { held_by, .. } => held_by,
            Wait::Wave { waits_for, .. } => waits_for,
            _ => continue,
        };
        lines.extend(who.iter().take(2).filter_map(|c| at_work(story, c, times)));
    }
    if let RunStatus::Ending { .. } = story.state.status {
        lines.push("the run is being brought to an end".to_owned());
    }
    let before: Vec<&ComponentId> = target
        .after
        .iter()
        .filter(|a| {
            story
                .components
                .get(*a)
                .is_some_and(|s| !s.phase.is_settled())
        })
        .collect();
    if !before.is_empty() {
        lines.push(format!(
            "comes after {}, by the policy's order",
            names(before, 3)
        ));
    }
    lines.extend(earlier_ring(story, target, times, ours.is_empty()));
    let planned = story
        .plan
        .schedule
        .rings
        .iter()
        .flat_map(|r| &r.waves)
        .find(|w| w.components.contains(&target.component))
        .and_then(|w| w.starts);
    if let Some(starts) = planned.filter(|s| *s > now) {
        lines.push(format!("planned for {} at the earliest", times.at(starts)));
    }
    lines
}

/// The ring that is at work before this one; none where this one is.
fn earlier_ring(story: &Story, target: &Target, times: &Times, untold: bool) -> Option<String> {
    let earlier = story
        .plan
        .envelope
        .rings
        .iter()
        .take_while(|r| r.name != target.ring)
        .find(|r| story.state.ring_phase(&r.name) != RingPhase::Passed)?;
    let name = &earlier.name;
    match story.state.ring_phase(name) {
        // The soak of that ring is what the run waits for: it is told already.
        RingPhase::Soaking(_) if !untold => None,
        RingPhase::Soaking(until) => Some(format!(
            "ring {name} comes first: soak until {}",
            times.at(until)
        )),
        RingPhase::Waiting => Some(format!("ring {name} comes first, and has not started")),
        RingPhase::Rolling => Some(format!("ring {name} comes first, and is at work")),
        RingPhase::Confirming | RingPhase::Passed => Some(format!(
            "ring {name} comes first, and is looked at once more"
        )),
    }
}

/// What a component does, and what it waits for in the middle of it.
fn work(
    story: &Story,
    component: &ComponentId,
    state: &ComponentState,
    standing: &Standing,
    times: &Times,
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(op) = &state.op {
        let taken = match &op.handle {
            Some(_) => "the target took it",
            None => "nobody knows yet whether the target took it",
        };
        lines.push(format!(
            "operation {}, intended {}, {taken}",
            op.key,
            times.at(op.since)
        ));
    }
    if let Some(progress) = state.progress.as_ref().and_then(|p| p.message.as_ref()) {
        lines.push(format!("it says: {progress}"));
    }
    if let Some(stall) = &state.stalled {
        lines.push(format!(
            "{} since {}",
            words::stalled(&stall.why, stall.holder.as_deref()),
            times.at(stall.since)
        ));
    }
    if let Some(point) = story.state.held_before(component, state) {
        let component = component.clone();
        let point = point.clone();
        lines.push(words::wait(&Wait::PausePoint { component, point }, times));
    }
    match state.phase {
        Phase::InService => {
            let soaking = story
                .state
                .rings
                .iter()
                .find_map(|(ring, phase)| match phase {
                    RingPhase::Soaking(until) => {
                        Some(format!("soak of {ring} until {}", times.at(*until)))
                    }
                    _ => None,
                });
            lines.push(soaking.unwrap_or_else(|| {
                "its soak begins when all of its ring are back in service".to_owned()
            }));
        }
        Phase::AwaitWayBack => {
            let slots: Vec<Wait> = standing
                .waits()
                .iter()
                .filter(|w| matches!(w, Wait::Slot { .. } | Wait::Floor { .. }))
                .cloned()
                .collect();
            lines.extend(words::waits(&slots, times));
        }
        _ => {}
    }
    lines
}

fn at_work(story: &Story, component: &ComponentId, times: &Times) -> Option<String> {
    let state = story.components.get(component)?;
    let since = times.at(state.since?);
    Some(format!(
        "{component} {}, since {since}",
        words::phase(state.phase)
    ))
}

fn concerns(wait: &Wait, target: &Target) -> bool {
    match wait {
        Wait::Slot { component, .. }
        | Wait::Floor { component, .. }
        | Wait::Stalled { component, .. }
        | Wait::Overdue { component, .. }
        | Wait::PausePoint { component, .. }
        | Wait::Person { component, .. } => *component == target.component,
        Wait::Window { ring, .. } | Wait::RingApproval { ring } | Wait::Wave { ring, .. } => {
            *ring == target.ring
        }
        Wait::Soak { .. } | Wait::Paused { .. } | Wait::Halted { .. } | Wait::Journal { .. } => {
            true
        }
    }
}

/// *web-01 keeps 3 old packages for the way back since Mon 7 Dec 22:00 CET, taken by run 1, given back when its
/// soak ends.*
fn owed(
    story: &Story,
    component: &ComponentId,
    state: &ComponentState,
    times: &Times,
    now: Timestamp,
) -> impl Iterator<Item = String> {
    let when = |owed: &Owed| match state.phase {
        Phase::Doing(Step::GiveBack) | Phase::GivingBack(End::LeftAsIs) if owed.is_around() => {
            "is being given back now"
        }
        Phase::GivingBack(_) => "is being given back now",
        Phase::Quarantined => "is given back when a person has decided",
        Phase::Ended(End::LeftAsIs) => {
            "stays for the person who looks at it, until the run is ended"
        }
        Phase::Ended(_) => "was not given back",
        _ if owed.is_around() && state.failures.is_empty() => {
            "is given back when it is healthy again"
        }
        Phase::Doing(_) | Phase::AwaitWayBack | Phase::VerifyBack | Phase::CheckingBack
            if !state.failures.is_empty() =>
        {
            "is given back when it is back where it was"
        }
        _ => "is given back when its soak ends",
    };
    let run = story.run;
    let lock = state.lock.map(|lock| {
        format!(
            "{component} is locked by us (fence {}) since {}, taken by run {run}, is given back as soon as nothing is done to it",
            lock.fence,
            times.at(lock.since)
        )
    });
    let overdue = |by: Timestamp| {
        if by < now {
            format!(", overdue since {}", times.at(by))
        } else {
            format!(", by {}", times.at(by))
        }
    };
    state
        .owed
        .iter()
        .map(|owed| {
            let fought = state.fights.iter().rfind(|f| f.taken_by == owed.taken_by);
            format!(
                "{component} {} since {}, taken by run {run}, {}{}{}",
                owed.what,
                times.at(owed.since),
                when(owed),
                owed.give_back_by.map(overdue).unwrap_or_default(),
                fought.map_or_else(String::new, |f| format!(
                    " · somebody else changed it: expected {} but found {}",
                    f.expected, f.found
                )),
            )
        })
        .chain(lock)
        .collect::<Vec<_>>()
        .into_iter()
}

/// *web-01 keeps 3 old packages for the way back: waived by maria Tue 8 Dec 10:02: it is built anew.*
fn waived(
    component: &ComponentId,
    state: &ComponentState,
    times: &Times,
) -> impl Iterator<Item = String> {
    state.waived.iter().map(move |waived| {
        format!(
            "{component} {}: waived by {} {}: {}",
            waived.what,
            waived.by,
            times.at(waived.at),
            waived.reason
        )
    })
}
