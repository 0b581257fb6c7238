//! The run kernel without an index: it looks at every component, every time. What the real one must say too.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::{
    Timestamp,
    execute::kernel::{
        ComponentEvent, ComponentState, Components, Decision, End, Phase, RingPhase, RunEvent,
        RunState, RunStatus, RunVerdict, Step, Wait,
    },
    id::{ComponentId, RingName, RunId},
    judge::{self, RingCount},
    plan::{Denial, Envelope, RingRules, Schedule, Target},
    policy::{Calendar, ClosedBecause, Gate, OnComponentFailure},
};

fn later(from: Timestamp, by: std::time::Duration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn wake_at(decision: &mut Decision, at: Option<Timestamp>) {
    decision.wake = match (decision.wake, at) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}

fn first_step(target: &Target) -> Phase {
    Phase::Doing(match (target.reboot_first, target.stages) {
        _ if !target.around.is_empty() => Step::Take,
        (true, _) => Step::RebootFirst,
        (false, true) => Step::Stage,
        (false, false) => Step::Apply,
    })
}

fn giving_back(state: &ComponentState, end: End) -> Phase {
    match state.owed.is_empty() {
        true => Phase::Ended(end),
        false => Phase::GivingBack(end),
    }
}

/// A window that stays open for longer than this has no end that anybody needs to know.
const ALWAYS: std::time::Duration = std::time::Duration::from_secs(365 * 86_400);

/// Everything that follows from the state at this moment. Called again after its events are recorded, until
/// it has none.
pub(crate) fn advance(
    run_id: RunId,
    envelope: &Envelope,
    schedule: &Schedule,
    calendar: &Calendar,
    run: &RunState,
    components: &Components,
    now: Timestamp,
) -> Decision {
    let cx = Context {
        run_id,
        envelope,
        schedule,
        calendar,
        run,
        components,
        now,
    };
    let mut decision = Decision::default();
    cx.denials(&mut decision);
    cx.people(&mut decision);
    cx.late(&mut decision);
    cx.paused(&mut decision);
    cx.pause_points(&mut decision);
    match &run.status {
        RunStatus::Ended { .. } => return Decision::default(),
        RunStatus::Ending { verdict } => {
            cx.ways_back(&mut decision);
            cx.ending(*verdict, &mut decision);
        }
        RunStatus::Halted { why } => {
            cx.ways_back(&mut decision);
            decision.waits.push(Wait::Halted { why: why.clone() });
        }
        RunStatus::Open => {
            cx.ways_back(&mut decision);
            if let Some((why, ring)) = cx.must_halt() {
                decision.run.push(RunEvent::Halted { why, ring });
            } else {
                cx.rings(&mut decision);
            }
        }
    }
    decision
}

struct Context<'a> {
    run_id: RunId,
    envelope: &'a Envelope,
    schedule: &'a Schedule,
    calendar: &'a Calendar,
    run: &'a RunState,
    components: &'a Components,
    now: Timestamp,
}

impl<'a> Context<'a> {
    fn of_ring(
        &self,
        ring: &'a RingName,
    ) -> impl Iterator<Item = (&'a Target, &'a ComponentState)> + use<'a> {
        let components = self.components;
        let targets = self
            .envelope
            .targets
            .iter()
            .filter(move |t| t.ring == *ring);
        targets.filter_map(move |t| components.get(&t.component).map(|c| (t, c)))
    }

    fn count(&self, ring: &'a RingName) -> RingCount {
        let mut count = RingCount::default();
        for (_, state) in self.of_ring(ring) {
            count.planned += 1;
            count.failed += usize::from(!state.failures.is_empty());
            match state.phase {
                Phase::Ended(End::Done) => count.done += 1,
                Phase::Ended(End::Skipped) => count.skipped += 1,
                _ => {}
            }
        }
        count
    }

    /// Everybody who draws on the disruption budget.
    fn holders(&self) -> Vec<&'a ComponentId> {
        self.components
            .iter()
            .filter(|(_, s)| s.phase.holds_slot())
            .map(|(id, _)| id)
            .collect()
    }

    /// Whether one more may go down now; otherwise why not.
    fn slot(&self, target: &'a Target, at_once: usize, taken: &[&ComponentId]) -> Result<(), Wait> {
        let mut holders = self.holders();
        holders.extend(taken);
        if holders.len() >= at_once.max(1) {
            let held_by = holders.into_iter().cloned().collect();
            return Err(Wait::Slot {
                component: target.component.clone(),
                held_by,
            });
        }
        for group in self
            .envelope
            .groups
            .iter()
            .filter(|g| target.groups.contains(&g.name))
        {
            let down: BTreeSet<&ComponentId> = holders
                .iter()
                .copied()
                .filter(|h| group.members.contains(h))
                .chain(group.down_already.iter())
                .collect();
            if down.len() >= group.members.len().saturating_sub(group.keep_up) {
                let down: Vec<&str> = down.iter().map(|d| d.as_str()).collect();
                return Err(Wait::Floor {
                    component: target.component.clone(),
                    group: format!(
                        "{} keeps {} up, and {} is down",
                        group.name,
                        group.keep_up,
                        down.join(", ")
                    ),
                });
            }
        }
        Ok(())
    }

    /// A patch that was rolled back goes on the deny-list: those that are known to be the cause, and where
    /// nobody knows, all that went in together.
    fn denials(&self, decision: &mut Decision) {
        for target in &self.envelope.targets {
            let Some(state) = self.components.get(&target.component) else {
                continue;
            };
            let rolls_back = matches!(
                state.phase,
                Phase::GivingBack(End::RolledBack) | Phase::Ended(End::RolledBack)
            );
            if !rolls_back || state.forgiven {
                continue;
            }
            let blamed: BTreeSet<_> = state.failures.iter().flat_map(|f| &f.blames).collect();
            for patch in &target.patches {
                if !blamed.is_empty() && !blamed.contains(&patch.id) {
                    continue;
                }
                let known = self
                    .run
                    .denials
                    .iter()
                    .any(|d| d.patch == patch.id && d.version == patch.to);
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
        }
    }

    fn late(&self, decision: &mut Decision) {
        for (component, state) in self.components {
            if let Some(stall) = &state.stalled {
                decision.waits.push(Wait::Stalled {
                    component: component.clone(),
                    since: stall.since,
                    why: stall.why.clone(),
                    holder: stall.holder.clone(),
                });
            }
            for owed in &state.owed {
                if let Some(since) = owed.give_back_by.filter(|by| *by < self.now) {
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
        for (component, state) in self.components {
            if state.phase == Phase::Quarantined {
                let last = || state.failures.last().map(|f| f.message.as_str());
                let why = state.quarantine.as_deref().or_else(last);
                decision.waits.push(Wait::Person {
                    component: component.clone(),
                    why: why.unwrap_or_default().to_owned(),
                });
            }
        }
    }

    /// That somebody paused it is told also while it waits for something else, such as a soak.
    fn paused(&self, decision: &mut Decision) {
        let ending = matches!(
            self.run.status,
            RunStatus::Ending { .. } | RunStatus::Ended { .. }
        );
        if let Some((by, reason)) = self.run.paused.as_ref().filter(|_| !ending) {
            decision.waits.push(Wait::Paused {
                by: by.clone(),
                reason: reason.clone(),
            });
        }
    }

    fn pause_points(&self, decision: &mut Decision) {
        for (component, state) in self.components {
            if let Some(point) = self.run.held_before(component, state) {
                decision.waits.push(Wait::PausePoint {
                    component: component.clone(),
                    point: point.clone(),
                });
            }
        }
    }

    /// Rolling back restores service, so it goes on in every status and outside of windows; the budget holds.
    fn ways_back(&self, decision: &mut Decision) {
        let mut taken: Vec<&ComponentId> = Vec::new();
        for target in &self.envelope.targets {
            let waits = self
                .components
                .get(&target.component)
                .is_some_and(|s| s.phase == Phase::AwaitWayBack);
            let Some(rules) = self.rules(&target.ring).filter(|_| waits) else {
                continue;
            };
            match self.slot(target, rules.at_once, &taken) {
                Ok(()) => {
                    taken.push(&target.component);
                    let next = Phase::Doing(match target.around.is_empty() {
                        true => Step::RollBack,
                        false => Step::Take,
                    });
                    decision.components.push((
                        target.component.clone(),
                        ComponentEvent::WayBackOpened { next },
                    ));
                }
                Err(wait) => decision.waits.push(wait),
            }
        }
    }

    fn rules(&self, ring: &RingName) -> Option<&'a RingRules> {
        self.envelope.rings.iter().find(|r| r.name == *ring)
    }

    fn must_halt(&self) -> Option<(String, Option<RingName>)> {
        let on_fail = &self.envelope.on_fail;
        for rules in &self.envelope.rings {
            let mut failed = 0;
            let mut planned = 0;
            for (target, state) in self.of_ring(&rules.name) {
                planned += 1;
                failed += usize::from(state.counts_as_failed());
                let left = state.phase == Phase::Ended(End::LeftAsIs) && state.counts_as_failed();
                if left && on_fail.component == OnComponentFailure::Stop {
                    return Some((
                        format!("{} failed, and policy says stop", target.component),
                        Some(rules.name.clone()),
                    ));
                }
                if left && on_fail.component == OnComponentFailure::RollBack {
                    return Some((
                        format!("{} failed and has no way back", target.component),
                        Some(rules.name.clone()),
                    ));
                }
            }
            let count = RingCount {
                planned,
                failed,
                ..RingCount::default()
            };
            if !judge::tolerated(on_fail.tolerate, &count) {
                return Some((
                    format!(
                        "{failed} of {planned} failed in ring {}, policy tolerates {}",
                        rules.name, on_fail.tolerate
                    ),
                    Some(rules.name.clone()),
                ));
            }
        }
        None
    }

    fn rings(&self, decision: &mut Decision) {
        for (at, rules) in self.envelope.rings.iter().enumerate() {
            match self.run.ring_phase(&rules.name) {
                RingPhase::Passed => continue,
                RingPhase::Waiting => self.open_ring(at, rules, decision),
                RingPhase::Rolling => self.roll(rules, decision),
                RingPhase::Soaking(until) if self.now < until => {
                    wake_at(decision, Some(until));
                    decision.waits.push(Wait::Soak {
                        ring: rules.name.clone(),
                        until,
                    });
                }
                RingPhase::Soaking(_) => self.confirm(rules, decision),
                RingPhase::Confirming => self.pass(rules, decision),
            }
            return;
        }
        self.give_back_at_the_end(decision);
        let all_over = self
            .components
            .values()
            .all(|s| s.phase.is_ended() && s.owed.is_empty() && s.lock.is_none());
        if all_over && decision.is_empty() {
            decision.run.push(RunEvent::Ended {
                verdict: RunVerdict::Done,
                ends: self.ends(),
            });
        }
    }

    /// What was left as it is kept its way back for the person who looks at it; the end of the run takes it.
    fn give_back_at_the_end(&self, decision: &mut Decision) {
        for (component, state) in self.components {
            if state.phase == Phase::Ended(End::LeftAsIs) && !state.owed.is_empty() {
                let next = Phase::GivingBack(End::LeftAsIs);
                decision
                    .components
                    .push((component.clone(), ComponentEvent::CutShort { next }));
            }
        }
    }

    fn open_ring(&self, at: usize, rules: &'a RingRules, decision: &mut Decision) {
        let count = self.count(&rules.name);
        if count.planned == 0 {
            decision.run.push(RunEvent::RingPassed {
                ring: rules.name.clone(),
                count,
            });
            return;
        }
        if let Some(after) = &rules.start_after
            && !self.run.waived.contains(&rules.name)
            && let Some(earlier) = self.envelope.rings[..at]
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
        if rules.needs_approval && !self.run.ring_approvals.contains_key(&rules.name) {
            decision.waits.push(Wait::RingApproval {
                ring: rules.name.clone(),
            });
            return;
        }
        let first = self
            .schedule
            .rings
            .iter()
            .find(|r| r.ring == rules.name)
            .and_then(|r| r.waves.first());
        match self.calendar.gate(
            rules.window.as_ref(),
            self.now,
            first.map(|w| w.p95).unwrap_or_default(),
        ) {
            Gate::Open { window, until } => decision.run.push(RunEvent::RingOpened {
                ring: rules.name.clone(),
                of: count.planned,
                at_once: rules.at_once,
                window,
                until: (until < later(self.now, ALWAYS)).then_some(until),
            }),
            Gate::Closed { next, because } => self.wait_for_window(rules, next, because, decision),
            other => panic!("{other:?} is a new gate"),
        }
    }

    fn wait_for_window(
        &self,
        rules: &RingRules,
        next: Option<Timestamp>,
        because: Vec<ClosedBecause>,
        decision: &mut Decision,
    ) {
        wake_at(decision, next);
        wake_at(
            decision,
            Some(self.envelope.expires).filter(|e| *e > self.now),
        );
        decision.waits.push(Wait::Window {
            ring: rules.name.clone(),
            next,
            because,
        });
    }

    /// Whether nothing new may start, whatever the ring says.
    fn stopped(&self, decision: &mut Decision) -> bool {
        if self.run.paused.is_some() {
            return true;
        }
        if self.now >= self.envelope.expires {
            let why = "the approval expired: plan again for what is left".to_owned();
            decision.run.push(RunEvent::Halted { why, ring: None });
            return true;
        }
        false
    }

    fn roll(&self, rules: &'a RingRules, decision: &mut Decision) {
        let waves = self
            .schedule
            .rings
            .iter()
            .find(|r| r.ring == rules.name)
            .map_or(&[][..], |r| &r.waves);
        for (at, wave) in waves.iter().enumerate() {
            let states = || {
                wave.components
                    .iter()
                    .filter_map(|c| self.components.get(c).map(|s| (c, s)))
            };
            if states().all(|(_, s)| s.phase.is_settled()) {
                continue;
            }
            let waiting: Vec<&ComponentId> = states()
                .filter(|(_, s)| s.phase == Phase::Waiting)
                .map(|(c, _)| c)
                .collect();
            if waiting.is_empty() {
                let waits_for = states()
                    .filter(|(_, s)| !s.phase.is_settled())
                    .map(|(c, _)| c.clone())
                    .collect();
                decision.waits.push(Wait::Wave {
                    ring: rules.name.clone(),
                    waits_for,
                });
            } else if !self.stopped(decision) {
                self.admit(rules, at + 1, &waiting, decision);
            }
            return;
        }
        let until = later(self.now, rules.soak);
        let watched = self
            .of_ring(&rules.name)
            .any(|(_, s)| s.phase == Phase::InService);
        let until = if watched { until } else { self.now };
        decision.run.push(RunEvent::SoakStarted {
            ring: rules.name.clone(),
            until,
        });
    }

    fn admit(
        &self,
        rules: &'a RingRules,
        wave: usize,
        waiting: &[&'a ComponentId],
        decision: &mut Decision,
    ) {
        let mut taken: Vec<&ComponentId> = Vec::new();
        for component in waiting {
            let Some(target) = self.envelope.target(component) else {
                continue;
            };
            let before = || {
                target
                    .after
                    .iter()
                    .filter_map(|a| self.components.get(a).map(|s| (a, s)))
            };
            if let Some((failed, _)) = before()
                .find(|(_, s)| !s.failures.is_empty() || s.phase == Phase::Ended(End::Skipped))
            {
                let why = format!("{failed} comes before it and was not patched");
                decision
                    .components
                    .push(((*component).clone(), ComponentEvent::Skipped { why }));
                continue;
            }
            if before().any(|(_, s)| !s.phase.is_settled()) {
                continue;
            }
            match self
                .calendar
                .gate(rules.window.as_ref(), self.now, target.takes.p95)
            {
                Gate::Closed { next, because } => {
                    self.wait_for_window(rules, next, because, decision);
                    continue;
                }
                Gate::Open { .. } => {}
                other => panic!("{other:?} is a new gate"),
            }
            match self.slot(target, rules.at_once, &taken) {
                Ok(()) => {
                    taken.push(component);
                    decision.components.push((
                        (*component).clone(),
                        ComponentEvent::Admitted {
                            ring: rules.name.clone(),
                            wave,
                            next: first_step(target),
                        },
                    ));
                }
                Err(wait) => decision.waits.push(wait),
            }
        }
    }

    fn confirm(&self, rules: &'a RingRules, decision: &mut Decision) {
        decision.run.push(RunEvent::SoakEnded {
            ring: rules.name.clone(),
        });
        for (target, state) in self
            .of_ring(&rules.name)
            .filter(|(_, s)| s.phase == Phase::InService)
        {
            // Without a soak nothing can have changed since the checks a moment ago.
            let next = if rules.soak.is_zero() {
                giving_back(state, End::Done)
            } else {
                Phase::ConfirmVersions
            };
            decision
                .components
                .push((target.component.clone(), ComponentEvent::SoakOver { next }));
        }
    }

    fn pass(&self, rules: &'a RingRules, decision: &mut Decision) {
        let waits_for: Vec<ComponentId> = self
            .of_ring(&rules.name)
            .filter(|(_, s)| !s.phase.is_ended())
            .map(|(t, _)| t.component.clone())
            .collect();
        if waits_for.is_empty() {
            decision.run.push(RunEvent::RingPassed {
                ring: rules.name.clone(),
                count: self.count(&rules.name),
            });
        } else {
            decision.waits.push(Wait::Wave {
                ring: rules.name.clone(),
                waits_for,
            });
        }
    }

    fn ending(&self, verdict: RunVerdict, decision: &mut Decision) {
        self.give_back_at_the_end(decision);
        for (component, state) in self.components {
            let event = match state.phase {
                Phase::Waiting => ComponentEvent::Skipped {
                    why: "the run was ended before its turn".to_owned(),
                },
                Phase::InService => ComponentEvent::CutShort {
                    next: giving_back(state, End::Unsoaked),
                },
                _ => continue,
            };
            decision.components.push((component.clone(), event));
        }
        if decision.is_empty()
            && self
                .components
                .values()
                .all(|s| s.phase.is_ended() && s.owed.is_empty() && s.lock.is_none())
        {
            decision.run.push(RunEvent::Ended {
                verdict,
                ends: self.ends(),
            });
        }
    }

    fn ends(&self) -> Vec<(End, usize)> {
        let mut ends: BTreeMap<End, usize> = BTreeMap::new();
        for state in self.components.values() {
            if let Phase::Ended(end) = state.phase {
                *ends.entry(end).or_default() += 1;
            }
        }
        ends.into_iter().collect()
    }
}
