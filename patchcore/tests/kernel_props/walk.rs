//! One random walk of the kernels over one plan.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::{
    Failure, Plan, Timestamp,
    error::{Error, ErrorKind},
    estate::Scan,
    execute::kernel::{
        Command, ComponentEvent, ComponentState, Components, Decision, Effect, End, Index, Input,
        Moment, OpResult, Phase, Resolution, RingPhase, RunEvent, RunState, RunStatus, Step,
        advance, decide, steer,
    },
    id::{ComponentId, OpKey, RunId},
    judge::CheckResult,
    plan::{PlannedBracket, Target},
    policy::{Calendar, Gate},
    provider::{
        Baseline, BracketKind, BracketRequest, DeployRequest, Evidence, Guarantee, PortCall,
        ProbeVerdict, Undo,
    },
};

use super::reference;

/// Long enough for every plan; a walk that needs more is a run that never ends.
const LONGEST: usize = 20_000;

pub(crate) struct Walk {
    plan: Plan,
    calendar: Calendar,
    luck: Vec<u32>,
    drawn: usize,
    now: Timestamp,
    run: RunState,
    components: Components,
    index: Index,
    boots: BTreeMap<ComponentId, u32>,
    /// What each fetch left on its component, whatever the journal says.
    kept: BTreeMap<ComponentId, BTreeSet<OpKey>>,
    log: Vec<(Option<ComponentId>, serde_json::Value, Timestamp)>,
    pub(crate) seen: BTreeSet<String>,
}

impl Walk {
    pub(crate) fn new(plan: Plan, luck: Vec<u32>) -> Self {
        let envelope = &plan.envelope;
        let mut walk = Self {
            index: Index::new(envelope, &plan.schedule, &Components::new()),
            calendar: Calendar::new(&envelope.windows, &envelope.blackouts).unwrap(),
            now: envelope.made,
            components: envelope
                .targets
                .iter()
                .map(|t| (t.component.clone(), ComponentState::default()))
                .collect(),
            plan,
            luck,
            drawn: 0,
            run: RunState::default(),
            boots: BTreeMap::new(),
            kept: BTreeMap::new(),
            log: Vec::new(),
            seen: BTreeSet::new(),
        };
        walk.bend();
        walk.hold();
        // The schedule may be another one now.
        let envelope = &walk.plan.envelope;
        walk.index = Index::new(envelope, &walk.plan.schedule, &walk.components);
        walk
    }

    /// What follows, as three say it: the index that was told of every change, one that is made anew, and a kernel
    /// that looks at everybody.
    fn advance(&mut self) -> Decision {
        let coming = BTreeSet::new();
        let moment = Moment {
            run_id: RunId(1),
            envelope: &self.plan.envelope,
            schedule: &self.plan.schedule,
            calendar: &self.calendar,
            run: &self.run,
            components: &self.components,
            coming: &coming,
            now: self.now,
        };
        let Moment {
            envelope,
            schedule,
            calendar,
            run,
            components,
            now,
            ..
        } = moment;
        let all = reference::advance(RunId(1), envelope, schedule, calendar, run, components, now);
        let events = moment.events(&mut self.index);
        assert_eq!(
            (&events.run, &events.components),
            (&all.run, &all.components)
        );
        let fresh = advance(RunId(1), envelope, schedule, calendar, run, components, now);
        assert_eq!(fresh, all);
        let told = moment.advance(&mut self.index);
        assert_eq!(told, all);
        told
    }

    /// The kernel must keep what the planner keeps: budgets, floors, order and expiry hold also for a schedule
    /// that would break them all, with everybody of a ring in one wave.
    fn bend(&mut self) {
        if self.draw(2) == 0 {
            return;
        }
        for ring in &mut self.plan.schedule.rings {
            let all = ring.waves.drain(..).reduce(|mut all, wave| {
                all.components.extend(wave.components);
                all
            });
            ring.waves.extend(all);
        }
        for at in 0..self.plan.envelope.rings.len() {
            self.plan.envelope.rings[at].at_once = 1 + self.draw(6);
        }
        if self.draw(3) == 0 {
            let hours = self.draw(200);
            self.plan.envelope.expires = self.now + jiff::SignedDuration::from_hours(hours as i64);
        }
    }

    /// Something is held around some of them.
    fn hold(&mut self) {
        for at in 0..self.plan.envelope.targets.len() {
            let number = self.draw(5).saturating_sub(2);
            let target = &mut self.plan.envelope.targets[at];
            let bracket = |(kind, by): (BracketKind, &str)| PlannedBracket {
                kind,
                by: by.into(),
                known_as: target.known_as.clone(),
                at_least: std::time::Duration::from_secs(3600),
            };
            let all = [
                (BracketKind::Silence, "alerts"),
                (BracketKind::Pause, "backup"),
            ];
            target.around = all.into_iter().take(number).map(bracket).collect();
        }
    }

    fn draw(&mut self, below: usize) -> usize {
        let luck = self.luck[self.drawn % self.luck.len()]
            .wrapping_mul(2_654_435_761)
            .wrapping_add(self.drawn as u32);
        self.drawn += 1;
        (luck >> 3) as usize % below.max(1)
    }

    pub(crate) fn go_to_the_end(&mut self) {
        for _ in 0..LONGEST {
            if matches!(self.run.status, RunStatus::Ended { .. }) {
                return self.at_the_end();
            }
            let decision = self.advance();
            if !decision.is_empty() {
                // One decision is one transaction: its parts are judged together with what was there before.
                self.may_be_admitted(&decision.components);
                for event in decision.run {
                    self.tell_run(&event);
                }
                for (component, event) in decision.components {
                    self.tell(&component, &event);
                }
                continue;
            }
            if self.draw(40) == 0 {
                self.somebody_steers();
                continue;
            }
            let busy: Vec<ComponentId> = self.busy();
            if busy.is_empty() {
                match decision.wake {
                    Some(wake) => {
                        assert!(
                            wake > self.now,
                            "it would wake at once, again and again: {:?}",
                            decision.waits
                        );
                        self.now = wake;
                    }
                    None => self.somebody_must_steer(),
                }
                continue;
            }
            let at = self.draw(busy.len());
            self.finish(&busy[at]);
        }
        panic!(
            "the run never ends: {:?}",
            self.log.iter().rev().take(12).collect::<Vec<_>>()
        );
    }

    fn busy(&self) -> Vec<ComponentId> {
        let targets = self.plan.envelope.targets.iter();
        targets
            .filter(|t| {
                self.run
                    .held_before(&t.component, &self.components[&t.component])
                    .is_none()
            })
            .filter(|t| {
                self.components[&t.component].effect(t, &t.component, "j", RunId(1)) != Effect::None
            })
            .map(|t| t.component.clone())
            .collect()
    }

    /// The effect of one component comes back, with a result that is drawn.
    fn finish(&mut self, component: &ComponentId) {
        let target = self.plan.envelope.target(component).unwrap().clone();
        self.something_is_noted(component);
        let effect = self.components[component].effect(&target, component, "j", RunId(1));
        self.is_held_around(&target, component);
        let good = self.draw(10) > 1;
        let input = match effect {
            Effect::Ensure {
                step,
                key,
                request,
                journaled,
            } => {
                let mut fresh = journaled.is_none();
                if fresh && self.draw(12) == 0 {
                    // It could not begin at all.
                    fresh = false;
                    let blocked = match (step, self.draw(2)) {
                        (Step::GiveBack, 0) => OpResult::Fought {
                            expected: "as it was left".to_owned(),
                            found: "something else".to_owned(),
                        },
                        _ => OpResult::Failed(vec![failure("a lock is held")]),
                    };
                    self.answer(component, Input::Operation(step, blocked));
                }
                if self.components[component].effect(&target, component, "j", RunId(1))
                    == Effect::None
                {
                    return;
                }
                if fresh {
                    let undo = match &request {
                        PortCall::Deploy(DeployRequest::Stage { .. }) => {
                            Undo::By(PortCall::Deploy(DeployRequest::Discard {
                                components: vec![target.known_as.clone()],
                                staged: key.clone(),
                            }))
                        }
                        PortCall::Bracket {
                            by,
                            request: BracketRequest::Take { kind, .. },
                        } => Undo::By(PortCall::Bracket {
                            by: by.clone(),
                            request: BracketRequest::GiveBack {
                                components: vec![target.known_as.clone()],
                                kind: *kind,
                                taken: key.clone(),
                            },
                        }),
                        _ => Undo::Nothing,
                    };
                    let borrows = matches!(step, Step::Stage | Step::Take);
                    let owes = borrows.then(|| "something".to_owned());
                    if borrows {
                        let kept = self.kept.entry(component.clone()).or_default();
                        kept.insert(key.clone());
                    }
                    let intended = ComponentEvent::Intended {
                        step,
                        key,
                        request,
                        baseline: Baseline::empty(),
                        guarantee: Guarantee::Blind,
                        undo,
                        owes,
                        give_back_by: None,
                    };
                    self.tell(component, &intended);
                    return;
                }
                if journaled.is_none() {
                    return;
                }
                if good && matches!(step, Step::Reboot | Step::RebootFirst | Step::RebootBack) {
                    *self.boots.entry(component.clone()).or_default() += 1;
                }
                if let PortCall::Deploy(DeployRequest::Discard { staged: taken, .. })
                | PortCall::Bracket {
                    request: BracketRequest::GiveBack { taken, .. },
                    ..
                } = &request
                    && good
                {
                    self.given_back(component, taken);
                }
                let result = match (good, self.draw(4)) {
                    (true, _) => OpResult::Done(Evidence::observed(self.now, "done")),
                    (false, 0) => OpResult::Unknown {
                        why: "nobody knows".to_owned(),
                    },
                    (false, 1) => OpResult::NotStarted(vec![failure("it was refused")]),
                    (false, _) => OpResult::Failed(vec![failure("it failed")]),
                };
                Input::Operation(step, result)
            }
            Effect::Unlock { fence } => Input::Unlocked {
                fence,
                lapses: (!good).then(|| "it does not answer".to_owned()),
            },
            Effect::Scan if !good && self.draw(2) == 0 => {
                Input::Scan(Err(failure("it does not answer")))
            }
            Effect::Scan => {
                let back = self.components[component].phase == Phase::VerifyBack;
                let versions = target.patches.iter().filter_map(|p| {
                    let there = if back == good {
                        p.from.clone()
                    } else {
                        Some(p.to.clone())
                    };
                    there.map(|v| (p.id.clone(), v))
                });
                let mut scan = Scan::new(self.now, versions.collect());
                scan.reboot_wanted = match self.draw(4) {
                    0 => None,
                    1 => Some(vec!["a kernel".to_owned()]),
                    _ => Some(Vec::new()),
                };
                scan.running_old = Some(Vec::new());
                let boots = self.boots.get(component).copied().unwrap_or_default();
                scan.boot_id = (self.draw(20) > 0).then(|| boots.to_string());
                Input::Scan(Ok(Box::new(scan)))
            }
            Effect::Check(checks) => Input::Checks(
                checks
                    .iter()
                    .map(|c| CheckResult {
                        check: c.kind.to_string(),
                        verdict: Some(if good {
                            ProbeVerdict::Healthy
                        } else {
                            ProbeVerdict::Unhealthy
                        }),
                        saw: "seen".to_owned(),
                    })
                    .collect(),
            ),
            other => panic!("{other:?} comes back"),
        };
        self.answer(component, input);
    }

    /// Nothing is done to a component before all of its brackets are taken, and none is held while it is watched.
    fn is_held_around(&self, target: &Target, component: &ComponentId) {
        let state = &self.components[component];
        if matches!(
            state.phase,
            Phase::Doing(Step::RebootFirst | Step::Stage | Step::Apply)
        ) {
            assert_eq!(
                usize::from(state.taken),
                target.around.len(),
                "{component}: {state:?}"
            );
        }
        if matches!(
            state.phase,
            Phase::InService | Phase::ConfirmVersions | Phase::ConfirmHealth | Phase::AwaitWayBack
        ) {
            let held = state
                .owed
                .iter()
                .any(patchcore::execute::kernel::Owed::is_around);
            assert!(!held, "{component}: {state:?}");
        }
    }

    /// What is only noted while an effect is in flight changes neither where the component is nor what must be done.
    fn something_is_noted(&mut self, component: &ComponentId) {
        let (now, drawn) = (self.now, self.draw(24));
        let state = &self.components[component];
        let event = match drawn {
            0 => ComponentEvent::Stalled {
                call: "observe".to_owned(),
                since: now,
                why: "nothing moves".to_owned(),
                holder: Some("somebody".to_owned()),
            },
            1 if state.stalled.is_some() => ComponentEvent::Moved,
            2 if state.lock.is_none() => ComponentEvent::Locked {
                fence: 1,
                took_over: None,
            },
            _ => return,
        };
        let target = self.plan.envelope.target(component).unwrap().clone();
        let effect = |state: &ComponentState| {
            let mut effect = state.effect(&target, component, "j", RunId(1));
            // What is noted travels along, so that it is not noted again.
            if let Effect::Ensure {
                journaled: Some(op),
                ..
            } = &mut effect
            {
                op.stalled = false;
            }
            effect
        };
        let (phase, before) = (state.phase, effect(state));
        self.tell(component, &event);
        let state = &self.components[component];
        assert_eq!((state.phase, effect(state)), (phase, before), "{event:?}");
    }

    fn answer(&mut self, component: &ComponentId, input: Input) {
        let target = self.plan.envelope.target(component).unwrap();
        let events = decide(
            target,
            &self.plan.envelope.on_fail,
            &self.components[component],
            &input,
        );
        assert!(
            !events.is_empty(),
            "{input:?} is lost on {component} in {:?}",
            self.components[component].phase
        );
        for event in &events {
            self.tell(component, event);
        }
        // What comes twice or late changes nothing.
        let target = self.plan.envelope.target(component).unwrap();
        if let Input::Operation(step, _) = &input
            && !matches!(self.components[component].phase, Phase::Doing(s) if s == *step)
            && !matches!(self.components[component].phase, Phase::GivingBack(_))
        {
            assert!(
                decide(
                    target,
                    &self.plan.envelope.on_fail,
                    &self.components[component],
                    &input
                )
                .is_empty()
            );
        }
    }

    fn somebody_steers(&mut self) {
        if self.draw(4) == 0 {
            let step = Step::PAUSABLE[self.draw(Step::PAUSABLE.len())];
            let component = (self.draw(2) == 0)
                .then(|| self.components.keys().next().cloned())
                .flatten();
            return self.steer(Command::PauseBefore { step, component });
        }
        let command = match self.draw(8) {
            0 | 1 => Command::Pause,
            2 if self.draw(6) == 0 => Command::Cancel,
            _ => Command::Unpause,
        };
        self.steer(command);
    }

    /// At rest: somebody does what the run waits for.
    fn somebody_must_steer(&mut self) {
        if self.run.paused.is_some() {
            return self.steer(Command::Unpause);
        }
        if let Some(point) = self.run.pause_points.first().cloned() {
            return self.steer(Command::UnpauseBefore {
                step: point.step,
                component: point.component,
            });
        }
        let quarantined = self
            .components
            .iter()
            .find(|(_, s)| s.phase == Phase::Quarantined)
            .map(|(c, _)| c.clone());
        if let Some(component) = quarantined {
            let how = [
                Resolution::AdoptDone,
                Resolution::Retry,
                Resolution::RollBack,
                Resolution::Abandon,
            ][self.draw(4)];
            let before = self.log.len();
            self.steer(Command::Resolve {
                component: component.clone(),
                how,
            });
            if self.log.len() == before {
                self.steer(Command::Resolve {
                    component,
                    how: Resolution::Abandon,
                });
            }
            return;
        }
        let stuck = self
            .components
            .iter()
            .find(|(_, s)| s.phase == Phase::AwaitWayBack)
            .map(|(c, _)| c.clone());
        if let Some(component) = stuck {
            let how = if self.draw(2) == 0 {
                Resolution::RollBack
            } else {
                Resolution::Abandon
            };
            return self.steer(Command::Resolve { component, how });
        }
        let left = self
            .components
            .iter()
            .find(|(_, s)| s.phase == Phase::Ended(End::LeftAsIs))
            .map(|(c, _)| c.clone());
        if let Some(component) = left
            && self.draw(3) == 0
        {
            return self.steer(Command::Resolve {
                component,
                how: Resolution::AdoptDone,
            });
        }
        if matches!(self.run.status, RunStatus::Halted { .. }) {
            let expired = self.now >= self.plan.envelope.expires;
            let lift = self.draw(2) == 0 && !expired;
            return self.steer(if lift {
                Command::LiftHalt
            } else {
                Command::End
            });
        }
        let waits = |r: &&patchcore::plan::RingRules| {
            r.needs_approval && !self.run.ring_approvals.contains_key(&r.name)
        };
        if let Some(ring) = self.plan.envelope.rings.iter().find(waits) {
            let ring = ring.name.clone();
            return self.steer(Command::ApproveRing { ring });
        }
        // Slots that nobody can give back, or a window that never comes again: the run is at its end.
        self.steer(Command::Cancel);
    }

    fn steer(&mut self, command: Command) {
        let envelope = &self.plan.envelope;
        let by = envelope
            .approval
            .from
            .iter()
            .find(|p| **p != envelope.requested_by)
            .cloned();
        let by = by.unwrap_or_else(|| "maria".into());
        if let Ok(steered) = steer(
            envelope,
            &self.run,
            &self.components,
            &by,
            "because",
            &command,
        ) {
            for event in steered.run {
                self.tell_run(&event);
            }
            for (component, event) in steered.components {
                self.tell(&component, &event);
            }
        } else if matches!(command, Command::ApproveRing { .. }) {
            // A policy without approvers cannot approve a ring.
            self.steer(Command::Cancel);
        }
    }

    fn tell_run(&mut self, event: &RunEvent) {
        let json = serde_json::to_value(event).unwrap();
        self.note(&json);
        if let RunEvent::Ended { ends, .. } = event {
            for (end, _) in ends {
                self.seen.insert(format!(
                    "end:{}",
                    serde_json::to_value(end).unwrap().as_str().unwrap()
                ));
            }
        }
        self.run
            .evolve(&serde_json::from_value(json.clone()).unwrap());
        self.log.push((None, json, self.now));
    }

    fn tell(&mut self, component: &ComponentId, event: &ComponentEvent) {
        let json = serde_json::to_value(event).unwrap();
        self.note(&json);
        if let ComponentEvent::Resolved { gives, only, .. } = event {
            if let Some(gives) = gives {
                // The person saw that it is given back.
                self.given_back(component, gives);
            }
            if only.is_some() {
                self.seen.insert("waives one".to_owned());
            }
        }
        let known = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(*event, known, "an event is read back as it was written");
        let state = self.components.get_mut(component).unwrap();
        state.evolve(&known, self.now);
        let targets = &self.plan.envelope.targets;
        let at = targets.iter().position(|t| t.component == *component);
        self.index.changed(at.unwrap() as u32, state);
        self.log.push((Some(component.clone()), json, self.now));
    }

    fn given_back(&mut self, component: &ComponentId, taken_by: &OpKey) {
        if let Some(kept) = self.kept.get_mut(component) {
            kept.remove(taken_by);
        }
    }

    fn note(&mut self, json: &serde_json::Value) {
        self.seen.insert(json["kind"].as_str().unwrap().to_owned());
    }

    /// Budget, floors, order, rings, windows and expiry, for everybody who is let in together.
    fn may_be_admitted(&self, events: &[(ComponentId, ComponentEvent)]) {
        let envelope = &self.plan.envelope;
        let mut down: BTreeSet<&ComponentId> = self
            .components
            .iter()
            .filter(|(_, s)| s.phase.holds_slot())
            .map(|(c, _)| c)
            .collect();
        for (component, event) in events {
            let first = matches!(event, ComponentEvent::Admitted { .. });
            if !first && !matches!(event, ComponentEvent::WayBackOpened { .. }) {
                continue;
            }
            let target = envelope.target(component).unwrap();
            let ring = envelope
                .rings
                .iter()
                .position(|r| r.name == target.ring)
                .unwrap();
            down.insert(component);
            assert!(
                down.len() <= envelope.rings[ring].at_once,
                "{component} exceeds the budget: {down:?}"
            );
            for group in envelope
                .groups
                .iter()
                .filter(|g| g.members.contains(component))
            {
                let gone = group
                    .members
                    .iter()
                    .filter(|m| down.contains(m) || group.down_already.contains(m))
                    .count();
                assert!(
                    group.members.len() - gone >= group.keep_up,
                    "group {} is below its floor",
                    group.name
                );
            }
            if !first {
                continue;
            }
            for earlier in &target.after {
                let state = &self.components[earlier];
                assert!(
                    state.phase.is_settled() && state.failures.is_empty(),
                    "{component} comes before {earlier}"
                );
            }
            for earlier in &envelope.rings[..ring] {
                assert_eq!(
                    self.run.ring_phase(&earlier.name),
                    RingPhase::Passed,
                    "{component} comes before its ring"
                );
            }
            assert!(
                self.now < envelope.expires,
                "{component} is let in after the approval expired"
            );
            assert_eq!(
                self.run.paused, None,
                "{component} is let into a paused run"
            );
            assert_eq!(self.run.status, RunStatus::Open);
            let gate = self.calendar.gate(
                envelope.rings[ring].window.as_ref(),
                self.now,
                target.takes.p95,
            );
            assert!(
                matches!(gate, Gate::Open { .. }),
                "{component} is let in outside of its window: {gate:?}"
            );
        }
    }

    fn at_the_end(&self) {
        for (component, state) in &self.components {
            assert!(
                state.phase.is_ended(),
                "{component} is at {:?} when the run is over",
                state.phase
            );
            assert!(
                state.owed.is_empty(),
                "{component} owes {:?} when the run is over",
                state.owed
            );
            let waived: BTreeSet<&OpKey> = state.waived.iter().map(|w| &w.taken_by).collect();
            let left = self.kept.get(component).into_iter().flatten();
            for kept in left {
                assert!(
                    waived.contains(kept),
                    "{kept} left something on {component} that nobody gave back or waived"
                );
            }
            assert_eq!(
                state.lock, None,
                "{component} is still locked when the run is over"
            );
            assert_eq!(
                state.op, None,
                "{component} has an open operation when the run is over"
            );
        }
    }

    /// The same events lead to the same state, also when they come from a journal.
    pub(crate) fn tells_the_same_again(&self) {
        let mut run = RunState::default();
        let mut components: Components = self
            .components
            .keys()
            .map(|c| (c.clone(), ComponentState::default()))
            .collect();
        for (component, json, at) in &self.log {
            match component {
                None => run.evolve(&serde_json::from_value(json.clone()).unwrap()),
                Some(c) => components
                    .get_mut(c)
                    .unwrap()
                    .evolve(&serde_json::from_value(json.clone()).unwrap(), *at),
            }
        }
        assert_eq!(run, self.run);
        assert_eq!(components, self.components);
    }
}

fn failure(what: &str) -> Failure {
    Failure::from(&Error::new(ErrorKind::InstallFailed, what))
}
