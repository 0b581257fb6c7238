//! How far a run is, as figures: what a screen shows while the run goes on.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Standing, Story,
    kernel::{ComponentState, End, Phase, RingPhase, RunStatus},
    words,
};
use crate::{
    clock::later,
    error::Result,
    id::{ComponentId, RingName, RunId},
    plan::{RingRules, RingSchedule, Target, Wave, text::Times},
    policy::Calendar,
};

/// How far a run is at one moment. Made by [`Run::progress`](crate::Run::progress).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunProgress {
    /// Which run.
    pub run: RunId,
    /// The moment.
    pub now: Timestamp,
    /// The zone in which people read its times: that of the run's window.
    pub zone: TimeZone,
    /// How the run stands.
    pub standing: Standing,
    /// Every ring of the plan, in order.
    pub rings: Vec<RingProgress>,
    /// Who is on the way or needs a person; by ring, then by name.
    pub at_work: Vec<ComponentProgress>,
    /// When the last soak ends at the earliest: the plan's figures, corrected by what the components of this run
    /// took so far. None where only a person can make it go on, or where no window comes.
    pub ends: Option<Timestamp>,
}

/// How far one ring is. Every component of it stands in exactly one of the counts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingProgress {
    /// Which.
    pub ring: RingName,
    /// How it stands.
    pub phase: RingPhase,
    /// How many components it has.
    pub components: usize,
    /// How many wait for their turn.
    pub waiting: usize,
    /// How many are on the way: something is done to them, or they wait for the way back.
    pub at_work: usize,
    /// How many are patched, back in service, and watched until the soak ends.
    pub in_service: usize,
    /// How many are patched and through.
    pub done: usize,
    /// How many failed, and what was to be done about it is done.
    pub failed: usize,
    /// How many need a person to decide.
    pub undecided: usize,
    /// How many have no turn any more.
    pub skipped: usize,
}

/// One component that is on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComponentProgress {
    /// Which.
    pub component: ComponentId,
    /// Of which ring.
    pub ring: RingName,
    /// Where it is; its `Display` says it in words.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// By how much it is longer on the way than 95 % of its kind, by the plan's figure for it.
    pub late: Option<Duration>,
    /// What its tool says just now, if it says anything; text from outside, on one line.
    pub says: Option<String>,
}

impl RunProgress {
    /// How the run stands in one line, as [`Run::heartbeat`](crate::Run::heartbeat).
    #[must_use]
    pub fn heartbeat(&self) -> String {
        words::standing(&self.standing, &Times::within(self.zone.clone(), self.now))
    }
}

impl RingProgress {
    fn of(ring: RingName, phase: RingPhase) -> Self {
        Self {
            ring,
            phase,
            components: 0,
            waiting: 0,
            at_work: 0,
            in_service: 0,
            done: 0,
            failed: 0,
            undecided: 0,
            skipped: 0,
        }
    }

    fn count(&mut self, phase: Phase) {
        self.components += 1;
        *match phase {
            Phase::Waiting => &mut self.waiting,
            Phase::Doing(_)
            | Phase::VerifyApplied
            | Phase::VerifyRebooted
            | Phase::Checking
            | Phase::AwaitWayBack
            | Phase::VerifyBack
            | Phase::CheckingBack
            | Phase::GivingBack(_) => &mut self.at_work,
            Phase::InService | Phase::ConfirmVersions | Phase::ConfirmHealth => {
                &mut self.in_service
            }
            Phase::Ended(End::Done | End::Unsoaked) => &mut self.done,
            Phase::Ended(End::RolledBack | End::LeftAsIs | End::Attested | End::Untouched) => {
                &mut self.failed
            }
            Phase::Quarantined => &mut self.undecided,
            Phase::Ended(End::Skipped) => &mut self.skipped,
        } += 1;
    }
}

impl Story {
    /// How far the run is.
    ///
    /// # Errors
    /// `InvalidInput`: the plan's windows cannot be read, such as a zone that this machine does not know.
    pub fn progress(&self, standing: &Standing, now: Timestamp) -> Result<RunProgress> {
        let envelope = &self.plan.envelope;
        let calendar = Calendar::new(&envelope.windows, &envelope.blackouts)?;
        let mut rings: Vec<RingProgress> = envelope
            .rings
            .iter()
            .map(|r| RingProgress::of(r.name.clone(), self.state.ring_phase(&r.name)))
            .collect();
        let mut at_work = Vec::new();
        for (place, ring) in rings.iter_mut().enumerate() {
            let name = ring.ring.clone();
            for target in envelope.targets.iter().filter(|t| t.ring == name) {
                let Some(state) = self.components.get(&target.component) else {
                    continue;
                };
                ring.count(state.phase);
                if state.phase.is_on_the_way() {
                    at_work.push((place, on_the_way(target, state, now)));
                }
            }
        }
        at_work.sort_by(|(p, a), (q, b)| (p, &a.component).cmp(&(q, &b.component)));
        rings.retain(|r| r.components > 0);
        Ok(RunProgress {
            run: self.run,
            now,
            zone: Times::of(envelope, None).zone().clone(),
            standing: standing.clone(),
            rings,
            at_work: at_work.into_iter().map(|(_, c)| c).collect(),
            ends: self.ends(&calendar, now),
        })
    }

    /// When the last soak ends at the earliest.
    fn ends(&self, calendar: &Calendar, now: Timestamp) -> Option<Timestamp> {
        let stuck = self.components.iter().any(|(id, s)| {
            s.phase == Phase::Quarantined || self.state.held_before(id, s).is_some()
        });
        if self.state.status != RunStatus::Open || self.state.paused.is_some() || stuck {
            return None;
        }
        let pace = self.pace();
        let mut cursor = now;
        for schedule in &self.plan.schedule.rings {
            let rules = self
                .plan
                .envelope
                .rings
                .iter()
                .find(|r| r.name == schedule.ring)?;
            cursor = match self.state.ring_phase(&schedule.ring) {
                RingPhase::Passed | RingPhase::Confirming => cursor,
                RingPhase::Soaking(until) => cursor.max(until),
                RingPhase::Waiting | RingPhase::Rolling => {
                    self.ring_ends(schedule, rules, calendar, pace, (cursor, now))?
                }
            };
        }
        Some(cursor)
    }

    /// When the soak of a ring ends that is not through its waves, if it goes on at a moment.
    fn ring_ends(
        &self,
        schedule: &RingSchedule,
        rules: &RingRules,
        calendar: &Calendar,
        pace: f64,
        (from, now): (Timestamp, Timestamp),
    ) -> Option<Timestamp> {
        if schedule.waves.is_empty() {
            return Some(from);
        }
        if rules.needs_approval && !self.state.ring_approvals.contains_key(&rules.name) {
            return None;
        }
        let mut cursor = from;
        for wave in &schedule.waves {
            let (begun, takes) = self.wave_takes(wave, pace, now);
            let Some(takes) = takes else { continue };
            if !begun {
                let window = rules.window.as_ref();
                cursor = calendar.next_opening(window, cursor, wave.p95)?.from;
            }
            cursor = later(cursor, takes);
        }
        Some(later(cursor, rules.soak))
    }

    /// Whether a wave has begun, and how long it takes from now on; nothing where it is through.
    fn wave_takes(&self, wave: &Wave, pace: f64, now: Timestamp) -> (bool, Option<Duration>) {
        let mut begun = false;
        let mut longest = None;
        for component in &wave.components {
            let (Some(state), Some(target)) = (
                self.components.get(component),
                self.plan.envelope.target(component),
            ) else {
                continue;
            };
            if state.phase.is_settled() {
                continue;
            }
            let whole = target.takes.p50.mul_f64(pace);
            let left = match state.begun {
                Some(at) => {
                    begun = true;
                    whole.saturating_sub(between(at, now))
                }
                None => whole,
            };
            longest = longest.max(Some(left));
        }
        (begun, longest)
    }

    /// How long the components of this run took, of what the plan expected: 0.5 is twice as fast. One where none
    /// is back in service yet.
    fn pace(&self) -> f64 {
        let (mut took, mut expected) = (Duration::ZERO, Duration::ZERO);
        for target in &self.plan.envelope.targets {
            let state = self.components.get(&target.component);
            if let Some((begun, back)) = state.and_then(|s| s.begun.zip(s.back)) {
                took += between(begun, back);
                expected += target.takes.p50;
            }
        }
        if expected.is_zero() {
            1.0
        } else {
            took.as_secs_f64() / expected.as_secs_f64()
        }
    }
}

fn on_the_way(target: &Target, state: &ComponentState, now: Timestamp) -> ComponentProgress {
    let said = state.progress.as_ref();
    let message = said.and_then(|p| p.message.as_deref());
    let percent = said.and_then(|p| p.percent).map(|p| format!("{p} %"));
    let says: Vec<String> = percent
        .into_iter()
        .chain(message.map(words::on_one_line))
        .collect();
    ComponentProgress {
        component: target.component.clone(),
        ring: target.ring.clone(),
        phase: state.phase,
        since: state.since.unwrap_or(now),
        late: late(target, state, now),
        says: (!says.is_empty()).then(|| says.join(" · ")),
    }
}

/// By how much a component is longer on the way than 95 % of its kind, by its plan. Who is
/// back in service, or waits for a person, is on nobody's time.
pub(super) fn late(target: &Target, state: &ComponentState, now: Timestamp) -> Option<Duration> {
    let begun = state.begun.filter(|_| state.phase.is_on_the_way())?;
    if state.back.is_some() || state.phase == Phase::Quarantined {
        return None;
    }
    let late = between(begun, now).saturating_sub(target.takes.p95);
    (!late.is_zero()).then_some(late)
}

/// How long it is from one moment to a later one.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
