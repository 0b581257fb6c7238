//! What is said to a person who reads and steers a run from another process.

use std::{fmt, time::Duration};

use super::on_one_line;
use crate::{
    execute::{
        DrivenBy, RingProgress, RunProgress, Standing, inbox,
        journal::CommandRow,
        kernel::{Command, Resolution, RingPhase, Wait},
    },
    plan::text::{Times, duration},
};

/// More of those at work are only counted.
const AT_WORK: usize = 12;

/// Who drives a run: *driven by process 412 on build-1 since 2026-12-07 21:00:03 UTC*.
impl fmt::Display for DrivenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(holder) => write!(f, "driven by {holder}"),
            Self::Held(holder) => write!(
                f,
                "nobody drives it now · the journal is held by {holder}, which parked this run, let go of it, or has not \
                 taken it up"
            ),
            Self::Nobody { last: Some(last) } => {
                write!(
                    f,
                    "nobody drives it now · the journal was held last by {last}"
                )
            }
            Self::Nobody { last: None } => f.write_str("nobody drives it now"),
        }
    }
}

/// A command and who gave it: *pause by jon: the mail system is down*.
pub(crate) fn command(row: &CommandRow) -> String {
    let said = match inbox::read(row) {
        Ok((command, reason)) => format!("{} by {}: {reason}", asked(&command), row.by),
        Err(why) => format!("{} by {}: {why}", row.verb, row.by),
    };
    on_one_line(&said)
}

/// What a command asks for, with the words in which it is typed.
pub(crate) fn asked(command: &Command) -> String {
    match command {
        Command::ApproveRing { ring } => format!("approve {ring}"),
        Command::Resolve { component, how } => format!("resolve {component} {}", how.word()),
        Command::LiftDenial {
            patch,
            version,
            run,
        } => format!("lift-denial {patch} {version} of run {run}"),
        Command::PauseBefore { step, component } | Command::UnpauseBefore { step, component } => {
            let whose = component
                .as_ref()
                .map_or_else(String::new, |c| format!(" {c}"));
            let verb = command.verb().replace('_', "-");
            format!("{verb} {}{whose}", step.slug())
        }
        Command::Pause | Command::Unpause | Command::Cancel | Command::LiftHalt | Command::End => {
            command.verb().replace('_', "-")
        }
    }
}

/// How far each ring is, who is on the way, and when it ends, line by line.
pub(crate) fn progress(progress: &RunProgress, times: &Times) -> Vec<String> {
    let mut lines: Vec<String> = progress
        .rings
        .iter()
        .map(|ring| format!("ring {}: {}", ring.ring, counts(ring, times)))
        .collect();
    for one in progress.at_work.iter().take(AT_WORK) {
        let mut line = format!(
            "{} {}, since {}",
            one.component,
            one.phase,
            times.moment(one.since)
        );
        if let Some(late) = one.late {
            line.push_str(&format!(" · {}", overtime(late)));
        }
        if let Some(says) = &one.says {
            line.push_str(&format!(" · it says: {says}"));
        }
        lines.push(line);
    }
    if progress.at_work.len() > AT_WORK {
        lines.push(format!(
            "+ {} more on the way",
            progress.at_work.len() - AT_WORK
        ));
    }
    lines
}

/// *12 min longer than 95 % of its kind take*.
pub(crate) fn overtime(late: Duration) -> String {
    format!("{} longer than 95 % of its kind take", duration(late))
}

/// How many of a ring stand where: *3 of 10 back in service · 2 at work · 5 wait*.
fn counts(ring: &RingProgress, times: &Times) -> String {
    let all = ring.components;
    let mut parts = vec![if ring.in_service == 0 && ring.done > 0 {
        format!("{} of {all} done", ring.done)
    } else {
        format!("{} of {all} back in service", ring.done + ring.in_service)
    }];
    let waits = if ring.waiting == 1 { "waits" } else { "wait" };
    for (count, word) in [
        (ring.at_work, "at work"),
        (ring.failed, "failed"),
        (ring.undecided, "for a person"),
        (ring.waiting, waits),
        (ring.skipped, "skipped"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    if let RingPhase::Soaking(until) = ring.phase {
        parts.push(format!("soak until {}", times.at(until)));
    }
    parts.join(" · ")
}

/// What a person can do now, each in the words in which it is typed.
pub(crate) fn next(standing: &Standing, driven: &DrivenBy) -> Vec<String> {
    if let Standing::Ended { .. } = standing {
        return vec!["report".to_owned()];
    }
    let mut next: Vec<String> = Vec::new();
    for wait in standing.waits() {
        let one = match wait {
            Wait::Paused { .. } => "unpause with a reason, or cancel".to_owned(),
            Wait::PausePoint { point, .. } => {
                let whose = point.component.as_ref();
                let whose = whose.map_or_else(String::new, |c| format!(" {c}"));
                format!("unpause-before {}{whose} with a reason", point.step.slug())
            }
            Wait::Halted { .. } => "lift-halt with a reason, or end the run".to_owned(),
            Wait::RingApproval { ring } => format!("approve {ring}"),
            Wait::Person { component, .. } => decide(component.as_str()),
            Wait::Window { .. }
            | Wait::Soak { .. }
            | Wait::Slot { .. }
            | Wait::Floor { .. }
            | Wait::Wave { .. }
            | Wait::Overdue { .. }
            | Wait::Journal { .. } => continue,
            Wait::Stalled { component, .. } => format!("why {component}, then look at it"),
        };
        if !next.contains(&one) {
            next.push(one);
        }
    }
    next.extend(resume(driven));
    next
}

/// How a run goes on that nobody drives; none where a process does.
pub(crate) fn resume(driven: &DrivenBy) -> Option<String> {
    match driven {
        DrivenBy::Process(_) => None,
        DrivenBy::Nobody { .. } => Some(RESUME.to_owned()),
        DrivenBy::Held(holder) => Some(format!(
            "to resume it, let process {} take it up again, or end that process and start the program that drives it",
            holder.pid
        )),
    }
}

/// What a person does about a component that is quarantined.
pub(crate) fn decide(component: &str) -> String {
    let [first @ .., last] = Resolution::ALL.map(Resolution::word);
    format!(
        "why {component} · resolve {component} with a reason: {} or {last}",
        first.join(", ")
    )
}

/// How a run goes on whose journal nobody has.
const RESUME: &str = "to resume it, start the program that drives it: it goes on from its journal";
