//! What a run waits for, and how it stands.

use std::time::Duration;

use super::{
    component::{stalled, without},
    run::verdict,
};
use crate::{
    execute::{
        Standing,
        kernel::{Wait, before},
    },
    id::ComponentId,
    plan::text::{Times, duration, names},
    policy::ClosedBecause,
};

/// So many names are said before the rest is counted.
const NAMES: usize = 6;

/// One wait in one line.
pub(crate) fn wait(wait: &Wait, times: &Times) -> String {
    match wait {
        Wait::Window {
            ring,
            next,
            because,
        } => {
            let why: Vec<String> = because.iter().map(|b| closed(b, times)).collect();
            let next = match next {
                Some(next) => format!("next {}", times.at(*next)),
                None => "no window comes".to_owned(),
            };
            format!("ring {ring}: {} · {next}", why.join(", "))
        }
        Wait::Soak { ring, until } => format!("soak of {ring} until {}", times.at(*until)),
        Wait::RingApproval { ring } => format!("ring {ring} needs an approval of its own"),
        Wait::Slot { component, held_by } => slot(&[component], held_by),
        Wait::Floor { component, group } => {
            format!("{component} may not go down: group {group}")
        }
        Wait::Wave { ring, waits_for } => format!(
            "ring {ring} goes on when {} {} back in service",
            names(waits_for, NAMES),
            if waits_for.len() == 1 { "is" } else { "are" }
        ),
        Wait::Paused { by, reason } => format!("paused by {by}: {reason}"),
        Wait::PausePoint { component, point } => format!(
            "{component} is paused {} by {}: {}",
            before(point.step, point.component.as_ref()),
            point.by,
            point.reason
        ),
        Wait::Halted { why } => {
            format!("halted: {why} · lift the halt with a reason, or end the run")
        }
        Wait::Stalled {
            component,
            since,
            why,
            holder,
        } => format!(
            "{component} {} · nothing moved since {}",
            stalled(without(why, Some(component)), holder.as_deref()),
            times.at(*since)
        ),
        Wait::Overdue {
            component,
            what,
            since,
        } => format!("{component} {what}, overdue since {}", times.at(*since)),
        Wait::Journal { why } => format!("it cannot record what it decides: {why}"),
        Wait::Person { component, why } => format!(
            "{component}: a person must decide: {}",
            without(why, Some(component))
        ),
    }
}

fn slot(who: &[&ComponentId], held_by: &[ComponentId]) -> String {
    format!(
        "{} {} for a slot of the disruption budget, held by {}",
        names(who.iter().copied(), NAMES),
        if who.len() == 1 { "waits" } else { "wait" },
        names(held_by, NAMES)
    )
}

/// All waits, each said once: those who wait for the same slots share a sentence.
pub(crate) fn waits(all: &[Wait], times: &Times) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for one in all {
        let text = match one {
            Wait::Slot { held_by, .. } => {
                let who: Vec<&ComponentId> = all
                    .iter()
                    .filter_map(|w| match w {
                        Wait::Slot {
                            component,
                            held_by: by,
                        } if by == held_by => Some(component),
                        _ => None,
                    })
                    .collect();
                slot(&who, held_by)
            }
            other => wait(other, times),
        };
        if !told.contains(&text) {
            told.push(text);
        }
    }
    told
}

fn closed(because: &ClosedBecause, times: &Times) -> String {
    match because {
        ClosedBecause::Blackout { from, to, because } => format!(
            "blackout from {} to {}, {because}",
            times.day(*from),
            times.day(*to)
        ),
        ClosedBecause::TooLate {
            window,
            closes,
            needs_seconds,
        } => format!(
            "window {window} closes {}, and {} are needed",
            times.at(*closes),
            duration(Duration::from_secs(*needs_seconds))
        ),
        other => other.to_string(),
    }
}

/// How a run stands, without what it waits for.
pub(crate) fn stands(standing: &Standing, times: &Times) -> String {
    match standing {
        Standing::Working { .. } => "working".to_owned(),
        Standing::Waiting { until, .. } => format!("waiting until {}", times.at(*until)),
        Standing::AtRest { .. } => "only a person can make it go on".to_owned(),
        Standing::Parked {
            until: Some(until), ..
        } => format!("parked · call again {}", times.at(*until)),
        Standing::Parked { until: None, .. } => {
            "parked · only a person can make it go on".to_owned()
        }
        Standing::Ended { verdict: v } => format!("the run {}", verdict(*v)),
        Standing::Broken { failure } => format!(
            "its journal failed: {failure} · nothing more is started; open the journal again and continue"
        ),
    }
}

/// How a run stands, in one line.
pub(crate) fn standing(standing: &Standing, times: &Times) -> String {
    let waits = waits(standing.waits(), times);
    let stands = stands(standing, times);
    match standing {
        _ if waits.is_empty() => stands,
        // What it waits for says until when.
        Standing::Waiting { .. } => format!("waiting: {}", waits.join("; ")),
        _ => format!("{stands} · waiting: {}", waits.join("; ")),
    }
}
