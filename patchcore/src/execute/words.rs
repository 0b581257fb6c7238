//! How events and waits read.

use std::fmt;

use jiff::Timestamp;

use super::{
    kernel::{ComponentEvent, End, Event, Phase, RunEvent, RunVerdict, Step, Wait},
    story::Told,
};
use crate::judge::Answer;

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self
            .at
            .to_zoned(jiff::tz::TimeZone::UTC)
            .strftime("%a %d %b %H:%M:%S UTC");
        match &self.component {
            Some(component) => write!(f, "{at}  {component}  {}", self.event),
            None => write!(f, "{at}  run {}  {}", self.run, self.event),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(event) => event.fmt(f),
            Self::Component(event) => event.fmt(f),
            Self::Other(kind, _) => write!(f, "{kind} (written by a newer version)"),
        }
    }
}

impl fmt::Display for RunEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started {
                plan,
                components,
                requested_by,
                approved_by,
            } => write!(
                f,
                "plan {plan} · {components} components · requested by {requested_by} · approved by {}",
                approved_by.join(", ")
            ),
            Self::TakenOver { epoch } => write!(f, "resumed from its journal (opening {epoch})"),
            Self::RingOpened {
                ring,
                of,
                at_once,
                window,
                until,
            } => {
                write!(f, "window {window} open")?;
                if let Some(until) = until {
                    write!(f, " until {until}")?;
                }
                write!(f, " · ring {ring}: {at_once} of {of} may be down")
            }
            Self::SoakStarted { ring, until } => {
                write!(f, "ring {ring} is back in service · soak until {until}")
            }
            Self::SoakEnded { ring } => {
                write!(f, "soak of ring {ring} is over · looking once more")
            }
            Self::RingPassed { ring, count } if count.planned == 0 => {
                write!(f, "ring {ring}: nothing to do")
            }
            Self::RingPassed { ring, count } => {
                write!(
                    f,
                    "ring {ring} passed: {} of {} done",
                    count.done, count.planned
                )?;
                if count.failed > 0 {
                    write!(f, ", {} failed", count.failed)?;
                }
                if count.skipped > 0 {
                    write!(f, ", {} skipped", count.skipped)?;
                }
                Ok(())
            }
            Self::RingApproved { ring, by, reason } => {
                write!(f, "ring {ring} approved by {by}: {reason}")
            }
            Self::Halted { why, .. } => write!(f, "halted: {why} · nothing new starts"),
            Self::HaltLifted {
                by,
                reason,
                forgiven,
                ..
            } => {
                write!(
                    f,
                    "halt lifted by {by}: {reason} ({forgiven} failure{} forgiven)",
                    if *forgiven == 1 { "" } else { "s" }
                )
            }
            Self::Paused { by, reason } => {
                write!(f, "paused by {by}: {reason} · nothing new starts")
            }
            Self::Unpaused { by, reason } => write!(f, "unpaused by {by}: {reason}"),
            Self::Ending { by, reason, .. } => {
                write!(
                    f,
                    "brought to an end by {by}: {reason} · what is open is finished, what is owed is given back"
                )
            }
            Self::Denied { denial } => {
                write!(
                    f,
                    "{} {} is on the deny-list from now on: {} ({})",
                    denial.patch, denial.version, denial.why, denial.component
                )
            }
            Self::DenialLifted {
                patch,
                version,
                by,
                reason,
                ..
            } => {
                write!(
                    f,
                    "{patch} {version} is taken off the deny-list by {by}: {reason}"
                )
            }
            Self::CommandRefused { by, verb, why } => write!(f, "{verb} by {by} refused: {why}"),
            Self::Ended { verdict, ends } => {
                f.write_str(match verdict {
                    RunVerdict::Done => "done",
                    RunVerdict::Halted => "ended after its halt",
                    RunVerdict::Cancelled => "cancelled",
                })?;
                for (end, n) in ends {
                    write!(f, " · {n} {}", end_word(*end))?;
                }
                f.write_str(" · nothing is owed")
            }
        }
    }
}

fn end_word(end: End) -> &'static str {
    match end {
        End::Done => "done",
        End::Unsoaked => "patched without a full soak",
        End::RolledBack => "rolled back",
        End::LeftAsIs => "left as they are",
        End::Untouched => "not touched",
        End::Skipped => "skipped",
    }
}

impl fmt::Display for ComponentEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted { ring, wave, .. } => write!(f, "begins · ring {ring}, wave {wave}"),
            Self::Intended { step, owes, .. } => {
                f.write_str(match step {
                    Step::RebootFirst | Step::Reboot | Step::RebootBack => "restarting",
                    Step::Stage => "fetching",
                    Step::Apply => "applying",
                    Step::RollBack => "rolling back",
                    Step::GiveBack => "giving back what it owes",
                })?;
                owes.as_ref().map_or(Ok(()), |owes| write!(f, " · {owes}"))
            }
            Self::Begun { .. } => f.write_str("taken by the target"),
            Self::Progressed { progress } => {
                if let Some(percent) = progress.percent {
                    write!(f, "{percent} % of the step ")?;
                }
                f.write_str(progress.message.as_deref().unwrap_or("goes on"))
            }
            Self::Settled {
                step,
                evidence,
                held_already,
                ..
            } => {
                let done = match step {
                    Step::RebootFirst | Step::Reboot | Step::RebootBack => "restarted",
                    Step::Stage => "staged",
                    Step::Apply => "applied",
                    Step::RollBack => "rolled back",
                    Step::GiveBack => "gave back what it owed",
                };
                write!(
                    f,
                    "{}{done} · {evidence}",
                    if *held_already { "already " } else { "" }
                )
            }
            Self::Failed {
                step,
                failures,
                next,
            } => {
                let text = failures
                    .iter()
                    .map(|x| x.message.as_str())
                    .collect::<Vec<_>>()
                    .join("; ");
                write!(f, "{} failed: {text}{}", step.slug(), going(*next))
            }
            Self::Scanned {
                at,
                patched,
                in_effect,
                rebooted,
                next,
                ..
            } => {
                if *at == Phase::VerifyBack {
                    let as_before = if patched.is_yes() {
                        "as before".to_owned()
                    } else {
                        patched.to_string()
                    };
                    return write!(f, "scan: {as_before}");
                }
                write!(f, "{patched}")?;
                if *rebooted != Answer::NotAsked {
                    write!(f, " · {rebooted}")?;
                }
                // Before a restart everything still runs the old code; saying so would only alarm.
                if *in_effect != Answer::NotAsked && !matches!(next, Phase::Doing(Step::Reboot)) {
                    write!(f, " · in effect: {in_effect}")?;
                }
                f.write_str(going(*next))
            }
            Self::Checked { healthy, next, .. } => match healthy {
                Answer::NotAsked => write!(f, "no checks are asked for{}", going(*next)),
                Answer::Yes { .. } => write!(f, "healthy: {healthy}{}", going(*next)),
                _ => write!(f, "not healthy: {healthy}{}", going(*next)),
            },
            Self::SoakOver { .. } => f.write_str("soak over"),
            Self::WayBackOpened { .. } => f.write_str("has a slot to be rolled back in"),
            Self::Skipped { why } => write!(f, "skipped: {why}"),
            Self::Forgiven => f.write_str("its failure is forgiven"),
            Self::CutShort { .. } => f.write_str("the run ends before its soak does"),
            Self::Quarantined { why } => write!(f, "quarantined: {why} · a person must decide"),
            Self::Resolved {
                by,
                reason,
                how,
                waives,
                ..
            } => {
                write!(
                    f,
                    "{how} by {by}: {reason}{}",
                    if *waives {
                        " · what it owed is waived"
                    } else {
                        ""
                    }
                )
            }
        }
    }
}

fn going(next: Phase) -> &'static str {
    match next {
        Phase::Doing(Step::RollBack) => " · rolling back",
        Phase::AwaitWayBack => " · waits for a slot to be rolled back in",
        Phase::Doing(Step::Reboot | Step::RebootBack) => " · restarting",
        Phase::Ended(End::LeftAsIs) => " · left as it is",
        Phase::Ended(End::Untouched) | Phase::GivingBack(End::Untouched) => {
            " · nothing was changed"
        }
        Phase::InService => " · back in service",
        _ => "",
    }
}

/// A time as people say it; who waits knows no zone but this one.
fn at(time: Timestamp) -> String {
    time.strftime("%a %-d %b %H:%M UTC").to_string()
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window {
                ring,
                next,
                because,
            } => {
                let why = because
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ");
                write!(f, "ring {ring}: {why}")?;
                match next {
                    Some(next) => write!(f, "; next at {}", at(*next)),
                    None => f.write_str("; no window comes"),
                }
            }
            Self::Soak { ring, until } => write!(f, "soak of {ring} until {}", at(*until)),
            Self::RingApproval { ring } => write!(f, "ring {ring} needs an approval of its own"),
            Self::Slot { component, held_by } => {
                let names = held_by
                    .iter()
                    .map(|h| h.as_str())
                    .collect::<Vec<_>>()
                    .join(", ");
                write!(
                    f,
                    "{component} waits for a slot of the disruption budget, held by {names}"
                )
            }
            Self::Floor { component, group } => {
                write!(f, "{component} may not go down: group {group}")
            }
            Self::Wave { ring, waits_for } => {
                let names = waits_for
                    .iter()
                    .map(|h| h.as_str())
                    .collect::<Vec<_>>()
                    .join(", ");
                write!(
                    f,
                    "ring {ring} goes on when {names} {} back in service",
                    if waits_for.len() == 1 { "is" } else { "are" }
                )
            }
            Self::Paused { by, reason } => write!(f, "paused by {by}: {reason}"),
            Self::Halted { why } => write!(
                f,
                "halted: {why}; lift the halt with a reason, or end the run"
            ),
            Self::Person { component, why } => {
                write!(f, "{component}: a person must decide: {why}")
            }
        }
    }
}
