//! A run as people follow it: what happened at one moment is told at once, equal things together.
//!
//! One moment is one second on the wall: what is finer is not told apart in the text either. Inside a moment the
//! order of the journal depends on which of two independent answers came first; the order of the text does not.

mod lines;
mod moment;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan, Unit, tz::TimeZone};

pub use lines::Lines;

use crate::{
    execute::{
        Told,
        kernel::{
            ComponentEvent, ComponentState, End, Event, Phase, RunEvent, RunState, RunStatus,
        },
        words,
    },
    id::{ComponentId, RunId},
    plan::{
        Plan,
        text::{Times, names},
    },
};

/// Names longer than this are not waited for by the column after them.
const WIDEST: usize = 16;
/// What stands under a line instead of its time.
const INDENT: &str = "          ";

/// Turns the events of one run, from its first, into lines for people.
///
/// Pure: [`tell`](Self::tell) it every event, print what it returns, and [`flush`](Self::flush) it when nothing
/// more comes. [`Run::lines`](crate::Run::lines) does that for a run that is going on.
#[derive(Debug)]
pub struct Timeline {
    times: Times,
    width: usize,
    verbose: bool,
    headline: String,
    run: RunId,
    state: RunState,
    components: BTreeMap<ComponentId, ComponentState>,
    moment: Vec<Told>,
    /// What was said of the halt that the run is in.
    said_next: bool,
}

impl Timeline {
    /// For one run of a plan. Times are in the zone of the plan's window.
    #[must_use]
    pub fn of(plan: &Plan, run: RunId) -> Self {
        let names = plan.envelope.targets.iter().map(|t| &t.component);
        let width = names
            .map(|c| c.as_str().chars().count())
            .filter(|w| *w <= WIDEST)
            .max();
        Self {
            times: Times::of(&plan.envelope, None),
            width: width.unwrap_or(0).max(6),
            verbose: false,
            headline: String::new(),
            run,
            state: RunState::default(),
            components: BTreeMap::new(),
            moment: Vec::new(),
            said_next: false,
        }
    }

    /// Every event on a line of its own, in the order of the journal.
    #[must_use]
    pub fn verbose(mut self) -> Self {
        self.verbose = true;
        self
    }

    /// The zone of its times.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        self.times.zone()
    }

    /// One more event, in the order of the journal. Returns the lines of the moment that is over by that.
    pub fn tell(&mut self, told: &Told) -> Vec<String> {
        let over = self.moment.first().is_some_and(|first| {
            second(first.at) != second(told.at) || is_of_a_person(&told.event)
        });
        let lines = if over { self.flush() } else { Vec::new() };
        self.moment.push(told.clone());
        lines
    }

    /// One more event that is known already: what comes after it is told as what follows from it.
    pub(super) fn skip(&mut self, told: &Told) {
        self.evolve(told);
    }

    /// When the moment that is being gathered is over; none while nothing is gathered.
    #[must_use]
    pub fn closes(&self) -> Option<Timestamp> {
        let first = self.moment.first()?;
        Some(
            second(first.at)
                .checked_add(1.second())
                .unwrap_or(Timestamp::MAX),
        )
    }

    /// The lines of what is gathered: nothing more comes of this moment.
    pub fn flush(&mut self) -> Vec<String> {
        let moment = std::mem::take(&mut self.moment);
        let Some(at) = moment.first().map(|t| t.at) else {
            return Vec::new();
        };
        for told in &moment {
            self.evolve(told);
        }
        let mut lines = Vec::new();
        let headline = self.times.headline(at);
        if headline != self.headline {
            lines.push(headline.clone());
            self.headline = headline;
        }
        let time = self.times.second(at);
        for (who, text) in self.texts(&moment) {
            let text = words::on_one_line(&text);
            lines.push(match who {
                Some(who) => format!("{time}  {who:<width$}  {text}", width = self.width),
                None => format!("{time}  {text}"),
            });
        }
        lines.extend(
            self.next(&moment)
                .into_iter()
                .map(|l| format!("{INDENT}{l}")),
        );
        lines
    }

    fn evolve(&mut self, told: &Told) {
        match (&told.event, &told.component) {
            (Event::Run(event), _) => {
                self.state.evolve(event);
                if matches!(event, RunEvent::Halted { .. }) {
                    self.said_next = false;
                }
            }
            (Event::Component(event), Some(component)) => self
                .components
                .entry(component.clone())
                .or_default()
                .evolve(event, told.at),
            (Event::Component(_), None) | (Event::Other(..) | Event::Damaged(..), _) => {}
        }
    }

    /// Who and what, in the order in which it is read.
    fn texts(&self, moment: &[Told]) -> Vec<(Option<String>, String)> {
        if self.verbose {
            return moment
                .iter()
                .map(|told| {
                    let text = match &told.event {
                        Event::Run(event) => self.run_text(event, told.at),
                        event => words::event(event, told.component.as_ref(), &self.times),
                    };
                    (told.component.as_ref().map(ToString::to_string), text)
                })
                .collect();
        }
        moment::fold(moment, |event, at| self.run_text(event, at))
    }

    fn run_text(&self, event: &RunEvent, at: Timestamp) -> String {
        let text = words::run_event(event, &self.times);
        match event {
            RunEvent::Started { .. } => format!("run {} · {text}", self.run),
            RunEvent::TakenOver { .. } => format!("run {} {text}", self.run),
            RunEvent::SoakStarted { ring, until } if *until <= at => {
                format!("ring {ring} is through its waves · nothing of it is to soak")
            }
            RunEvent::Ended { .. } => format!("{text} · {}", self.owed()),
            _ => text,
        }
    }

    /// What a person does next, once nothing more happens by itself.
    fn next(&mut self, moment: &[Told]) -> Vec<String> {
        let mut lines = Vec::new();
        let quarantined: BTreeSet<&ComponentId> = moment
            .iter()
            .filter_map(|told| told.component.as_ref())
            .filter(|c| self.phase(c) == Phase::Quarantined)
            .collect();
        lines.extend(
            quarantined
                .into_iter()
                .map(|c| format!("next: {}", words::decide(c.as_str()))),
        );
        let halted = matches!(self.state.status, RunStatus::Halted { .. });
        if !halted || self.said_next || self.components.keys().any(|c| self.is_at_work(c)) {
            return lines;
        }
        self.said_next = true;
        lines.push(format!("nothing more happens by itself · {}", self.owed()));
        let failed = self
            .components
            .iter()
            .filter(|(_, s)| s.counts_as_failed())
            .map(|(c, _)| format!("why {c}"));
        let mut next: Vec<String> = failed.take(2).collect();
        next.push("report".to_owned());
        next.push("lift the halt with a reason, or end the run".to_owned());
        lines.push(format!("next: {}", next.join(" · ")));
        lines
    }

    fn phase(&self, component: &ComponentId) -> Phase {
        self.components
            .get(component)
            .map(|s| s.phase)
            .unwrap_or_default()
    }

    /// Whether something of a component is on its way by itself.
    fn is_at_work(&self, component: &ComponentId) -> bool {
        match self.phase(component) {
            Phase::Doing(_)
            | Phase::VerifyApplied
            | Phase::VerifyRebooted
            | Phase::Checking
            | Phase::ConfirmVersions
            | Phase::ConfirmHealth
            | Phase::VerifyBack
            | Phase::CheckingBack
            | Phase::GivingBack(_) => true,
            // It goes on as soon as it has a slot; those who never give theirs back need a person.
            Phase::AwaitWayBack => !self
                .components
                .values()
                .any(|s| matches!(s.phase, Phase::Quarantined | Phase::Ended(End::LeftAsIs))),
            Phase::Waiting | Phase::InService | Phase::Quarantined | Phase::Ended(_) => false,
        }
    }

    /// `nothing is owed`, or what is.
    fn owed(&self) -> String {
        let mut by_what: BTreeMap<&str, Vec<&ComponentId>> = BTreeMap::new();
        for (component, state) in &self.components {
            for owed in &state.owed {
                by_what.entry(&owed.what).or_default().push(component);
            }
        }
        if by_what.is_empty() {
            return "nothing is owed".to_owned();
        }
        let owed: Vec<String> = by_what
            .into_iter()
            .map(|(what, who)| match who.as_slice() {
                [one] => format!("{one} {what}"),
                _ => format!("each of {} {what}", names(who, 3)),
            })
            .collect();
        format!("owed: {}", owed.join(", "))
    }
}

/// Whether a person decided it: what was before is told first, as it was before that person came.
const fn is_of_a_person(event: &Event) -> bool {
    matches!(
        event,
        Event::Run(
            RunEvent::HaltLifted { .. }
                | RunEvent::Paused { .. }
                | RunEvent::Unpaused { .. }
                | RunEvent::PausePointSet { .. }
                | RunEvent::PausePointCleared { .. }
                | RunEvent::Ending { .. }
                | RunEvent::RingApproved { .. }
                | RunEvent::DenialLifted { .. }
                | RunEvent::CommandRefused { .. }
        ) | Event::Component(ComponentEvent::Resolved { .. } | ComponentEvent::Forgiven)
    )
}

/// The beginning of the second.
fn second(at: Timestamp) -> Timestamp {
    // Rounding towards the past cannot leave the range of time.
    let round = jiff::TimestampRound::new()
        .smallest(Unit::Second)
        .mode(jiff::RoundMode::Floor);
    at.round(round).unwrap_or(at)
}
