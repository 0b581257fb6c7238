//! What the run kernel asks of the rolls of its clusters, and what it lets them do.

use super::{
    advance::Moment,
    event::{ComponentEvent, RunEvent},
    phase::Phase,
    roll::{RollEvent, RollMoment, RollPhase, RollState},
    run::{Decision, RingPhase, RunStatus, Wait},
};
use crate::{
    id::ComponentId,
    plan::{RingRules, roll::WhyNotRolled},
    policy::Gate,
};

impl<'a> Moment<'a> {
    /// Everything that a roll is decided from.
    #[must_use]
    pub fn roll(self, cluster: &'a ComponentId, roll: &'a RollState) -> RollMoment<'a> {
        let open = self.run.status == RunStatus::Open;
        let goes_back = roll.cluster.hosts.iter().any(|host| {
            let state = self.components.get(&host.id);
            state.is_some_and(|state| state.phase == Phase::AwaitWayBack)
        });
        let rolls = open
            && self.run.paused.is_none()
            && self.now < self.envelope.expires
            && self.ring_of(roll).is_some_and(|rules| {
                self.run.ring_phase(&rules.name) == RingPhase::Rolling
                    && matches!(self.roll_gate(roll, rules), Gate::Open { .. })
            });
        RollMoment {
            cluster,
            roll,
            components: self.components,
            open,
            may_begin: rolls || goes_back,
            ending: matches!(
                self.run.status,
                RunStatus::Ending { .. } | RunStatus::Ended { .. }
            ),
            run: Some(self),
            now: self.now,
        }
    }

    /// The rolls of this run as they are now.
    pub(crate) fn rolls(self) -> impl Iterator<Item = RollMoment<'a>> {
        let rolls = self.run.rolls.iter();
        rolls.map(move |(cluster, roll)| self.roll(cluster, roll))
    }

    fn ring_of(self, roll: &RollState) -> Option<&'a RingRules> {
        let hosts = roll.cluster.hosts.iter();
        let ring = hosts
            .filter_map(|host| self.envelope.target(&host.id))
            .map(|target| &target.ring)
            .next()?;
        self.envelope.rings.iter().find(|rules| rules.name == *ring)
    }

    /// Nothing is begun that a window would cut off.
    fn roll_gate(self, roll: &RollState, rules: &RingRules) -> Gate {
        let hosts = roll.cluster.hosts.iter();
        let targets = hosts.filter_map(|host| self.envelope.target(&host.id));
        let longest = targets.map(|target| target.takes.p95).max();
        self.calendar
            .gate(rules.window.as_ref(), self.now, longest.unwrap_or_default())
    }

    /// What follows for the rolls by itself.
    pub(super) fn advance_rolls(self, tells: bool, decision: &mut Decision) {
        for moment in self.rolls() {
            let event = |event: RollEvent| RunEvent::Roll {
                cluster: moment.cluster.clone(),
                event: Box::new(event),
            };
            decision.run.extend(moment.events().into_iter().map(event));
            if moment.may_begin {
                decision.wake_at(moment.wake());
            }
            match &moment.roll.phase {
                RollPhase::Stopped { why } if self.run.status == RunStatus::Open => {
                    let why = format!("the roll of {} stopped: {why}", moment.cluster);
                    decision.run.push(RunEvent::Halted { why, ring: None });
                }
                RollPhase::Rolling if moment.roll.is_through() && moment.open => {
                    self.skip_left_out(moment, decision);
                }
                _ => {}
            }
            self.window_of(moment, tells, decision);
            if tells {
                decision.waits.extend(moment.held_up());
            }
        }
    }

    fn window_of(self, moment: RollMoment<'_>, tells: bool, decision: &mut Decision) {
        let Some(rules) = self.ring_of(moment.roll).filter(|_| moment.open) else {
            return;
        };
        if moment.roll.is_through() || self.run.ring_phase(&rules.name) != RingPhase::Rolling {
            return;
        }
        if let Gate::Closed { next, because } = self.roll_gate(moment.roll, rules) {
            decision.wake_at(next);
            decision.wake_at(Some(self.envelope.expires).filter(|e| *e > self.now));
            if tells {
                let ring = rules.name.clone();
                decision.waits.push(Wait::Window {
                    ring,
                    next,
                    because,
                });
            }
        }
    }

    /// Hosts that the roll leaves out do not get their turn.
    fn skip_left_out(self, moment: RollMoment<'_>, decision: &mut Decision) {
        for host in &moment.roll.cluster.hosts {
            let waits = |s: &super::ComponentState| s.phase == Phase::Waiting;
            if !self.components.get(&host.id).is_some_and(waits) {
                continue;
            }
            let mut left_out = moment.roll.roll.left_out.iter();
            let why = left_out
                .find(|left| left.host == host.id)
                .map(|left| match &left.why {
                    WhyNotRolled::Down => "it is down, or somebody else has it".to_owned(),
                    WhyNotRolled::SkipHost { vm } => {
                        format!("{vm} cannot move, and the policy leaves its host out")
                    }
                    WhyNotRolled::NobodyDecides { vm } => {
                        format!("{vm} cannot move, and nobody says what is to be done about it")
                    }
                    WhyNotRolled::NotEmptied => "no way was found to empty it".to_owned(),
                });
            let why = why.unwrap_or_else(|| "it is no part of the roll".to_owned());
            let why = format!("left out of the roll of {}: {why}", moment.cluster);
            let skipped = ComponentEvent::Skipped { why };
            decision.components.push((host.id.clone(), skipped));
        }
    }

    /// Whether every roll is at its end, and has given everything back.
    pub(super) fn rolls_are_over(self) -> bool {
        self.rolls().all(|moment| moment.is_over())
    }

    /// Whether a component may be worked on, as far as the roll of its cluster is concerned.
    pub(super) fn roll_lets_in(self, component: &ComponentId) -> bool {
        let roll = self.run.roll_of(component);
        roll.is_none_or(|roll| roll.lets_in(component)) && self.rolled_by(component).is_none()
    }
}
