//! What happened to the run.

use super::{
    component::{end, without},
    roll::roll_event,
};
use crate::{
    execute::kernel::{RunEvent, RunVerdict, before},
    judge::RingCount,
    plan::text::{Times, count, duration},
};

/// An event of a run in one line.
pub(crate) fn run_event(event: &RunEvent, times: &Times) -> String {
    match event {
        RunEvent::Started {
            plan,
            components,
            requested_by,
            approved_by,
        } => format!(
            "plan {plan} · {} · requested by {requested_by} · approved by {}",
            count(*components, "component", "components"),
            approved_by.join(", ")
        ),
        RunEvent::TakenOver {
            epoch,
            from,
            forced: None,
        } => {
            let before = from.as_ref();
            let before = before.map_or_else(String::new, |from| format!(", before by {from}"));
            format!("resumed from its journal (opening {epoch}{before})")
        }
        RunEvent::TakenOver {
            epoch,
            from,
            forced: Some(forced),
        } => format!(
            "taken over by {} from {}, which held it for {}: {} (opening {epoch})",
            forced.by,
            from.as_deref().unwrap_or("another process"),
            duration(forced.held_for),
            forced.reason
        ),
        RunEvent::RingOpened {
            ring,
            of,
            at_once,
            window,
            until,
        } => {
            let until = until.map_or_else(String::new, |u| format!(" until {}", times.at(u)));
            format!("window {window} open{until} · ring {ring}: {at_once} of {of} may be down")
        }
        RunEvent::SoakStarted { ring, until } => {
            format!(
                "ring {ring} is back in service · soak until {}",
                times.at(*until)
            )
        }
        RunEvent::SoakEnded { ring } => {
            format!("soak of ring {ring} is over · looking once more")
        }
        RunEvent::RingPassed { ring, count } => passed(ring.as_str(), *count),
        RunEvent::RingApproved { ring, by, reason } => {
            format!("ring {ring} approved by {by}: {reason}")
        }
        RunEvent::Halted { why, .. } => format!("halted: {why} · nothing new starts"),
        RunEvent::HaltLifted {
            by,
            reason,
            forgiven,
            ring,
        } => {
            let forgiven = match (forgiven, ring) {
                (0, Some(ring)) => format!("ring {ring} may start"),
                (n, _) => format!("{} forgiven", count(*n, "failure", "failures")),
            };
            format!("halt lifted by {by}: {reason} · {forgiven}")
        }
        RunEvent::Paused { by, reason } => {
            format!("paused by {by}: {reason} · nothing new starts")
        }
        RunEvent::Unpaused { by, reason } => format!("unpaused by {by}: {reason}"),
        RunEvent::PausePointSet { point } => format!(
            "paused {} by {}: {}",
            before(point.step, point.component.as_ref()),
            point.by,
            point.reason
        ),
        RunEvent::PausePointCleared {
            component,
            step,
            by,
            reason,
        } => format!(
            "unpaused {} by {by}: {reason}",
            before(*step, component.as_ref())
        ),
        RunEvent::Ending { by, reason, .. } => format!(
            "brought to an end by {by}: {reason} · what is open is finished, what is owed is given back"
        ),
        RunEvent::Denied { denial } => format!(
            "{} {} is on the deny-list from now on: on {}, {}",
            denial.patch,
            denial.version,
            denial.component,
            without(&denial.why, Some(&denial.component)),
        ),
        RunEvent::DenialLifted {
            patch,
            version,
            by,
            reason,
            ..
        } => format!("{patch} {version} is taken off the deny-list by {by}: {reason}"),
        RunEvent::CommandRefused { by, verb, why } => {
            format!("{} by {by} refused: {why}", verb.replace('_', " "))
        }
        RunEvent::Roll { cluster, event } => roll_event(cluster, event),
        RunEvent::Ended { verdict: v, ends } => {
            let all: usize = ends.iter().map(|(_, n)| n).sum();
            let ends: Vec<String> = ends
                .iter()
                .map(|(e, n)| format!("{n} {}", end(*e)))
                .collect();
            match ends.as_slice() {
                [] => format!("the run {}", verdict(*v)),
                [_] => format!("the run {} · {all} of {}", verdict(*v), ends.concat()),
                ends => format!("the run {} · of {all}: {}", verdict(*v), ends.join(", ")),
            }
        }
    }
}

fn passed(ring: &str, ring_count: RingCount) -> String {
    if ring_count.planned == 0 {
        return format!("ring {ring}: nothing to do");
    }
    let mut text = format!(
        "ring {ring} passed: {} of {} done",
        ring_count.done, ring_count.planned
    );
    for (n, word) in [
        (ring_count.failed, "failed"),
        (ring_count.skipped, "skipped"),
    ] {
        if n > 0 {
            text.push_str(&format!(", {n} {word}"));
        }
    }
    text
}

/// How a run ended.
pub(crate) const fn verdict(verdict: RunVerdict) -> &'static str {
    match verdict {
        RunVerdict::Done => "is done",
        RunVerdict::Halted => "ended after its halt",
        RunVerdict::Cancelled => "was cancelled",
    }
}
