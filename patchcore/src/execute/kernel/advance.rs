//! What the run kernel decides: slots, waves, rings, soak and promotion.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    budget::Slots,
    component::ComponentState,
    decide::{first_step, way_back},
    event::{ComponentEvent, RunEvent},
    index::{Index, RingIndex, WaveIndex},
    phase::{End, Phase, RunVerdict},
    run::{Components, Decision, RingPhase, RunState, RunStatus, Wait},
    stop,
};
use crate::{
    clock::later,
    id::{ComponentId, RingName, RunId},
    judge,
    plan::{Denial, Envelope, RingRules, Schedule, Target},
    policy::{Calendar, ClosedBecause, Gate},
};

/// A window that stays open for longer than this has no end that anybody needs to know.
const ALWAYS: std::time::Duration = std::time::Duration::from_secs(365 * 86_400);

/// How many are let in, or begin to be looked at once more, by one decision, where only its events are asked for: more
/// are by the next, and an estate of any size is never one decision.
const LET_IN: usize = 16_384;

/// Everything that a decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// Which run.
    pub run_id: RunId,
    /// What may happen.
    pub envelope: &'a Envelope,
    /// In which order.
    pub schedule: &'a Schedule,
    /// When.
    pub calendar: &'a Calendar,
    /// The run as a whole.
    pub run: &'a RunState,
    /// Its components.
    pub components: &'a Components,
    /// Machines that rolls are about to take away, before the journal says so, each after its cluster.
    pub coming: &'a BTreeSet<(ComponentId, ComponentId)>,
    /// The time now.
    pub now: Timestamp,
}

/// Everything that follows from the state at this moment. Called again after its events are recorded, until
/// it has none.
#[must_use]
pub fn advance(
    run_id: RunId,
    envelope: &Envelope,
    schedule: &Schedule,
    calendar: &Calendar,
    run: &RunState,
    components: &Components,
    now: Timestamp,
) -> Decision {
    let coming = BTreeSet::new();
    let moment = Moment {
        run_id,
        envelope,
        schedule,
        calendar,
        run,
        components,
        coming: &coming,
        now,
    };
    moment.advance(&mut Index::new(envelope, schedule, components))
}

impl<'a> Moment<'a> {
    /// The same, for who tells an index of every component that changes: costs by what changed.
    #[must_use]
    pub fn advance(self, index: &mut Index) -> Decision {
        self.decide(index, true)
    }

    /// The same without what is waited for, which names everybody and so costs by how many there are.
    #[must_use]
    pub fn events(self, index: &mut Index) -> Decision {
        self.decide(index, false)
    }

    fn decide(self, index: &mut Index, tells: bool) -> Decision {
        let mut decision = Decision::default();
        self.denials(index, &mut decision);
        let halts = match self.run.status {
            RunStatus::Open => self.must_halt(index),
            _ => None,
        };
        let cx = Context {
            moment: self,
            index,
            tells,
        };
        self.advance_rolls(tells, &mut decision);
        cx.people(&mut decision);
        cx.late(&mut decision);
        cx.paused(&mut decision);
        cx.pause_points(&mut decision);
        match &self.run.status {
            RunStatus::Ended { .. } => return Decision::default(),
            RunStatus::Ending { verdict } => {
                cx.ways_back(&mut decision);
                cx.ending(*verdict, &mut decision);
            }
            RunStatus::Halted { why } => {
                cx.ways_back(&mut decision);
                cx.waits(&mut decision, || Wait::Halted { why: why.clone() });
            }
            RunStatus::Open => {
                cx.ways_back(&mut decision);
                if let Some((why, ring)) = halts {
                    decision.run.push(RunEvent::Halted { why, ring });
                } else {
                    cx.rings(&mut decision);
                }
            }
        }
        decision
    }

    pub(super) fn target(self, at: u32) -> Option<&'a Target> {
        self.envelope.targets.get(at as usize)
    }

    fn component(self, at: u32) -> Option<(&'a Target, &'a ComponentState)> {
        let target = self.target(at)?;
        Some((target, self.components.get(&target.component)?))
    }

    fn names(self, places: impl IntoIterator<Item = u32>) -> Vec<ComponentId> {
        let targets = places.into_iter().filter_map(|at| self.target(at));
        targets.map(|t| t.component.clone()).collect()
    }

    /// Judged again only when something changed that counts for it.
    fn must_halt(self, index: &mut Index) -> Option<(String, Option<RingName>)> {
        // Every limit lets a run without failures go on.
        if index.failed == 0 {
            return None;
        }
        let judged = || stop::must_halt(self.envelope, self.components);
        index.stops.get_or_insert_with(judged).clone()
    }

    /// A patch that was rolled back goes on the deny-list: those that are known to be the cause, and where
    /// nobody knows, all that went in together.
    fn denials(self, index: &mut Index, decision: &mut Decision) {
        let mut denied = Vec::new();
        for &at in &index.denies {
            let Some((target, state)) = self.component(at) else {
                continue;
            };
            let blamed: BTreeSet<_> = state.failures.iter().flat_map(|f| &f.blames).collect();
            let mut all = true;
            for patch in &target.patches {
                if !blamed.is_empty() && !blamed.contains(&patch.id) {
                    continue;
                }
                let known = self
                    .run
                    .denials
                    .iter()
                    .any(|d| d.patch == patch.id && d.version == patch.to);
                all &= known;
                let told = decision.run.iter().any(|e| {
                    matches!(e, RunEvent::Denied { denial } if denial.patch == patch.id && denial.version == patch.to)
                });
                if !known && !told {
                    let why = state
                        .failures
                        .first()
                        .map_or_else(String::new, |f| f.message.clone());
                    decision.run.push(RunEvent::Denied {
                        denial: Denial {
                            patch: patch.id.clone(),
                            version: patch.to.clone(),
                            component: target.component.clone(),
                            run: self.run_id,
                            at: self.now,
                            why,
                        },
                    });
                }
            }
            if all {
                denied.push(at);
            }
        }
        // The deny-list of a run only grows.
        for at in denied {
            index.denies.remove(&at);
        }
    }
}

struct Context<'a, 'i> {
    moment: Moment<'a>,
    index: &'i Index,
    /// Whether what is waited for is told.
    tells: bool,
}

impl<'a> Context<'a, '_> {
    fn waits(&self, decision: &mut Decision, wait: impl FnOnce() -> Wait) {
        if self.tells {
            decision.waits.push(wait());
        }
    }

    /// What does not get on, and what should have been given back. Nobody is woken for it: it is said to whoever
    /// looks.
    fn late(&self, decision: &mut Decision) {
        for (component, state) in self.moment.components.iter().filter(|_| self.tells) {
            if let Some(stall) = &state.stalled {
                decision.waits.push(Wait::Stalled {
                    component: component.clone(),
                    since: stall.since,
                    why: stall.why.clone(),
                    holder: stall.holder.clone(),
                });
            }
            for owed in &state.owed {
                if let Some(since) = owed.give_back_by.filter(|by| *by < self.moment.now) {
                    decision.waits.push(Wait::Overdue {
                        component: component.clone(),
                        what: owed.what.clone(),
                        since,
                    });
                }
            }
        }
    }

    fn people(&self, decision: &mut Decision) {
        for &at in self.index.quarantined.iter().filter(|_| self.tells) {
            let Some((target, state)) = self.moment.component(at) else {
                continue;
            };
            let last = || state.failures.last().map(|f| f.message.as_str());
            let why = state.quarantine.as_deref().or_else(last);
            decision.waits.push(Wait::Person {
                component: target.component.clone(),
                why: why.unwrap_or_default().to_owned(),
            });
        }
    }

    /// That somebody paused it is told also while it waits for something else, such as a soak.
    fn paused(&self, decision: &mut Decision) {
        let ending = matches!(
            self.moment.run.status,
            RunStatus::Ending { .. } | RunStatus::Ended { .. }
        );
        if let Some((by, reason)) = self.moment.run.paused.as_ref().filter(|_| !ending) {
            self.waits(decision, || Wait::Paused {
                by: by.clone(),
                reason: reason.clone(),
            });
        }
    }

    fn pause_points(&self, decision: &mut Decision) {
        if !self.tells || self.moment.run.pause_points.is_empty() {
            return;
        }
        for (component, state) in self.moment.components {
            if let Some(point) = self.moment.run.held_before(component, state) {
                decision.waits.push(Wait::PausePoint {
                    component: component.clone(),
                    point: point.clone(),
                });
            }
        }
    }

    /// Rolling back restores service, so it goes on in every status and outside of windows; the budget holds.
    fn ways_back(&self, decision: &mut Decision) {
        let mut slots = Slots::new(self.moment, self.index);
        for &at in &self.index.wants_back {
            let Some(target) = self.moment.target(at) else {
                continue;
            };
            let Some(rules) = self.rules(&target.ring) else {
                continue;
            };
            // A host is emptied before it goes back, too.
            if !self.moment.roll_lets_in(&target.component) {
                continue;
            }
            if slots.may_go(at, rules.at_once) {
                slots.take(at);
                let next = way_back(target);
                decision.components.push((
                    target.component.clone(),
                    ComponentEvent::WayBackOpened { next },
                ));
            } else {
                self.waits(decision, || slots.why_not(target, at, rules.at_once));
            }
        }
    }

    fn rules(&self, ring: &RingName) -> Option<&'a RingRules> {
        self.moment.envelope.rings.iter().find(|r| r.name == *ring)
    }

    fn rings(&self, decision: &mut Decision) {
        for (at, rules) in self.moment.envelope.rings.iter().enumerate() {
            let Some(ring) = self.index.rings.get(at) else {
                continue;
            };
            match self.moment.run.ring_phase(&rules.name) {
                RingPhase::Passed => continue,
                RingPhase::Waiting => self.open_ring(at, rules, ring, decision),
                RingPhase::Rolling => self.roll(rules, ring, decision),
                RingPhase::Soaking(until) if self.moment.now < until => {
                    decision.wake_at(Some(until));
                    self.waits(decision, || Wait::Soak {
                        ring: rules.name.clone(),
                        until,
                    });
                }
                RingPhase::Soaking(_) => self.confirm(rules, ring, decision),
                RingPhase::Confirming => self.pass(rules, ring, decision),
            }
            return;
        }
        self.give_back_at_the_end(decision);
        if self.index.open == 0 && decision.is_empty() && self.moment.rolls_are_over() {
            decision.run.push(RunEvent::Ended {
                verdict: RunVerdict::Done,
                ends: self.ends(),
            });
        }
    }

    /// What was left as it is kept its way back for the person who looks at it; the end of the run takes it.
    fn give_back_at_the_end(&self, decision: &mut Decision) {
        for target in self
            .index
            .owing
            .iter()
            .filter_map(|at| self.moment.target(*at))
        {
            let next = Phase::GivingBack(End::LeftAsIs);
            decision
                .components
                .push((target.component.clone(), ComponentEvent::CutShort { next }));
        }
    }

    fn open_ring(
        &self,
        at: usize,
        rules: &'a RingRules,
        ring: &RingIndex,
        decision: &mut Decision,
    ) {
        let count = ring.count;
        if count.planned == 0 {
            decision.run.push(RunEvent::RingPassed {
                ring: rules.name.clone(),
                count,
            });
            return;
        }
        if let Some(after) = &rules.start_after
            && !self.moment.run.waived.contains(&rules.name)
            && let Some(earlier) = self.moment.envelope.rings[..at]
                .iter()
                .find(|r| r.name == after.ring)
        {
            let count = self.count(&earlier.name);
            if !judge::start_after_met(after, earlier, &count) {
                let why = format!(
                    "ring {} may not start: {} of {} of ring {} are healthy, and {} with at least {} are required",
                    rules.name,
                    count.done + earlier.up_to_date,
                    count.planned + earlier.up_to_date,
                    earlier.name,
                    after.success,
                    after.at_least,
                );
                decision.run.push(RunEvent::Halted {
                    why,
                    ring: Some(rules.name.clone()),
                });
                return;
            }
        }
        if self.stopped(decision) {
            return;
        }
        if rules.needs_approval && !self.moment.run.ring_approvals.contains_key(&rules.name) {
            self.waits(decision, || Wait::RingApproval {
                ring: rules.name.clone(),
            });
            return;
        }
        let first = self
            .moment
            .schedule
            .rings
            .iter()
            .find(|r| r.ring == rules.name)
            .and_then(|r| r.waves.first());
        match self.moment.calendar.gate(
            rules.window.as_ref(),
            self.moment.now,
            first.map(|w| w.p95).unwrap_or_default(),
        ) {
            Gate::Open { window, until } => decision.run.push(RunEvent::RingOpened {
                ring: rules.name.clone(),
                of: count.planned,
                at_once: rules.at_once,
                window,
                until: (until < later(self.moment.now, ALWAYS)).then_some(until),
            }),
            Gate::Closed { next, because } => self.wait_for_window(rules, next, because, decision),
        }
    }

    fn count(&self, ring: &RingName) -> judge::RingCount {
        let rings = self.moment.envelope.rings.iter().zip(&self.index.rings);
        let mut found = rings.filter(|(rules, _)| rules.name == *ring);
        found.next().map(|(_, ring)| ring.count).unwrap_or_default()
    }

    fn wait_for_window(
        &self,
        rules: &RingRules,
        next: Option<Timestamp>,
        because: Vec<ClosedBecause>,
        decision: &mut Decision,
    ) {
        decision.wake_at(next);
        decision.wake_at(Some(self.moment.envelope.expires).filter(|e| *e > self.moment.now));
        self.waits(decision, || Wait::Window {
            ring: rules.name.clone(),
            next,
            because,
        });
    }

    /// Whether nothing new may start, whatever the ring says.
    fn stopped(&self, decision: &mut Decision) -> bool {
        if self.moment.run.paused.is_some() {
            return true;
        }
        if self.moment.now >= self.moment.envelope.expires {
            let why = "the approval expired: plan again for what is left".to_owned();
            decision.run.push(RunEvent::Halted { why, ring: None });
            return true;
        }
        false
    }

    fn roll(&self, rules: &'a RingRules, ring: &RingIndex, decision: &mut Decision) {
        self.admit_rolled(rules, ring, decision);
        let current = ring.unsettled.first();
        let Some((at, wave)) = current.and_then(|at| Some((*at, ring.waves.get(*at)?))) else {
            let until = match ring.in_service {
                0 => self.moment.now,
                _ => later(self.moment.now, rules.soak),
            };
            decision.run.push(RunEvent::SoakStarted {
                ring: rules.name.clone(),
                until,
            });
            return;
        };
        if wave.waiting.is_empty() {
            self.waits(decision, || Wait::Wave {
                ring: rules.name.clone(),
                waits_for: self.moment.names(wave.targets(&wave.unsettled)),
            });
        } else if !self.stopped(decision) {
            self.admit(rules, at + 1, wave, decision);
        }
    }

    fn admit(&self, rules: &'a RingRules, nth: usize, wave: &WaveIndex, decision: &mut Decision) {
        let mut slots = Slots::new(self.moment, self.index);
        let mut from = 0;
        for &place in &wave.waiting {
            let enough = slots.is_full(rules.at_once) || decision.components.len() >= LET_IN;
            if !self.tells && enough {
                // Nobody else can be let in now.
                break;
            }
            from = place + 1;
            let Some(at) = wave.members.get(place as usize).copied() else {
                continue;
            };
            let Some(target) = self.moment.target(at) else {
                continue;
            };
            if wave.doomed.contains(&place) {
                self.skip(target, decision);
                continue;
            }
            if self.moment.run.roll_of(&target.component).is_some() {
                // Its turn comes when its host is empty, whatever its wave.
                continue;
            }
            if self.index.waits_for_others(at) {
                continue;
            }
            if let Some(cluster) = self.moment.rolled_by(&target.component) {
                self.waits(decision, || Wait::Slot {
                    component: target.component.clone(),
                    held_by: vec![cluster.clone()],
                });
                continue;
            }
            match self.moment.calendar.gate(
                rules.window.as_ref(),
                self.moment.now,
                target.takes.p95,
            ) {
                Gate::Closed { next, because } => {
                    self.wait_for_window(rules, next, because, decision);
                    continue;
                }
                Gate::Open { .. } => {}
            }
            if slots.may_go(at, rules.at_once) {
                slots.take(at);
                decision.components.push((
                    target.component.clone(),
                    ComponentEvent::Admitted {
                        ring: rules.name.clone(),
                        wave: nth,
                        next: first_step(target),
                    },
                ));
            } else {
                self.waits(decision, || slots.why_not(target, at, rules.at_once));
            }
        }
        for place in wave.doomed.range(from..) {
            let at = wave.members.get(*place as usize);
            if let Some(target) = at.and_then(|at| self.moment.target(*at)) {
                self.skip(target, decision);
            }
        }
    }

    /// Hosts that their cluster's roll has emptied.
    fn admit_rolled(&self, rules: &'a RingRules, ring: &RingIndex, decision: &mut Decision) {
        let emptied = |at: &&u32| {
            let component = self.moment.component(**at);
            component.is_some_and(|(target, state)| {
                let roll = self.moment.run.roll_of(&target.component);
                state.phase == Phase::Waiting && roll.is_some_and(|r| r.lets_in(&target.component))
            })
        };
        if self.moment.run.rolls.is_empty() || !ring.targets.iter().any(|at| emptied(&at)) {
            return;
        }
        if self.stopped(decision) {
            return;
        }
        let mut slots = Slots::new(self.moment, self.index);
        for at in ring.targets.iter().filter(emptied) {
            let Some(target) = self.moment.target(*at) else {
                continue;
            };
            if !slots.may_go(*at, rules.at_once) {
                self.waits(decision, || slots.why_not(target, *at, rules.at_once));
                continue;
            }
            slots.take(*at);
            let wave = ring.waves.iter().position(|w| w.members.contains(at));
            let admitted = ComponentEvent::Admitted {
                ring: rules.name.clone(),
                wave: wave.unwrap_or_default() + 1,
                next: first_step(target),
            };
            decision
                .components
                .push((target.component.clone(), admitted));
        }
    }

    fn skip(&self, target: &Target, decision: &mut Decision) {
        let before = target
            .after
            .iter()
            .filter_map(|a| self.moment.components.get(a).map(|s| (a, s)));
        let mut failed =
            before.filter(|(_, s)| !s.failures.is_empty() || s.phase == Phase::Ended(End::Skipped));
        if let Some((failed, _)) = failed.next() {
            let why = format!("{failed} comes before it and was not patched");
            decision
                .components
                .push((target.component.clone(), ComponentEvent::Skipped { why }));
        }
    }

    fn confirm(&self, rules: &'a RingRules, ring: &RingIndex, decision: &mut Decision) {
        let all = ring
            .targets
            .iter()
            .filter_map(|at| self.moment.component(*at));
        for (target, state) in all.filter(|(_, s)| s.phase == Phase::InService) {
            if !self.tells && decision.components.len() >= LET_IN {
                // The others follow, and with the last of them the end of the soak.
                return;
            }
            // Without a soak nothing can have changed since the checks a moment ago.
            let next = if rules.soak.is_zero() {
                state.giving_back(End::Done)
            } else {
                Phase::ConfirmVersions
            };
            decision
                .components
                .push((target.component.clone(), ComponentEvent::SoakOver { next }));
        }
        decision.run.push(RunEvent::SoakEnded {
            ring: rules.name.clone(),
        });
    }

    fn pass(&self, rules: &'a RingRules, ring: &RingIndex, decision: &mut Decision) {
        if ring.not_ended.is_empty() {
            decision.run.push(RunEvent::RingPassed {
                ring: rules.name.clone(),
                count: ring.count,
            });
        } else {
            self.waits(decision, || Wait::Wave {
                ring: rules.name.clone(),
                waits_for: self.moment.names(ring.not_ended.iter().copied()),
            });
        }
    }

    fn ending(&self, verdict: RunVerdict, decision: &mut Decision) {
        self.give_back_at_the_end(decision);
        let idle = self.index.idle.iter();
        for (target, state) in idle.filter_map(|at| self.moment.component(*at)) {
            let event = match state.phase {
                Phase::Waiting => ComponentEvent::Skipped {
                    why: "the run was ended before its turn".to_owned(),
                },
                Phase::InService => ComponentEvent::CutShort {
                    next: state.giving_back(End::Unsoaked),
                },
                _ => continue,
            };
            decision.components.push((target.component.clone(), event));
        }
        if decision.is_empty() && self.index.open == 0 && self.moment.rolls_are_over() {
            decision.run.push(RunEvent::Ended {
                verdict,
                ends: self.ends(),
            });
        }
    }

    fn ends(&self) -> Vec<(End, usize)> {
        let ends = self.index.ends.iter();
        ends.map(|(end, number)| (*end, *number)).collect()
    }
}
