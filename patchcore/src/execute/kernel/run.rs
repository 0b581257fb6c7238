//! The state of a run as a whole, and what its kernel says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    component::ComponentState,
    event::{ComponentEvent, RunEvent},
    phase::{Phase, RunVerdict, Step},
    roll::RollState,
};
use crate::{
    id::{ComponentId, PersonId, RingName},
    mutant::{self, Mutant},
    plan::Denial,
    policy::ClosedBecause,
};

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum RunStatus {
    /// It goes on.
    #[default]
    Open,
    /// Nothing new starts until a person lifts it or ends the run.
    Halted {
        /// Why.
        why: String,
    },
    /// It is brought to an end.
    Ending {
        /// With which verdict.
        verdict: RunVerdict,
    },
    /// It is over.
    Ended {
        /// How.
        verdict: RunVerdict,
    },
}

/// A step that does not begin until a person says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PausePoint {
    /// Whose step; every component's where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ComponentId")]
    pub component: Option<ComponentId>,
    /// Which step.
    pub step: Step,
    /// Who set it.
    pub by: PersonId,
    /// Why.
    pub reason: String,
}

/// Where a pause point is: *before reboot of web-07*, *before reboot of each component*.
pub(crate) fn before(step: Step, component: Option<&ComponentId>) -> String {
    let whose = component.map_or("each component", ComponentId::as_str);
    format!("before {} of {whose}", step.slug())
}

/// How a ring stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "ring", content = "until")]
pub enum RingPhase {
    /// It has not started.
    #[default]
    Waiting,
    /// Its waves move.
    Rolling,
    /// All are back in service, and it is watched.
    Soaking(#[schemars(with = "String")] Timestamp),
    /// Everything is looked at once more.
    Confirming,
    /// It is through.
    Passed,
}

/// The run as a whole, as a fold over its events.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunState {
    /// How it stands.
    pub status: RunStatus,
    /// Why it halted last.
    pub halted_because: Option<String>,
    /// The ring that could not start when it halted last.
    pub halted_ring: Option<RingName>,
    /// Rings that may start although what they waited for does not hold: a person lifted that.
    pub waived: BTreeSet<RingName>,
    /// Who paused it, and why.
    pub paused: Option<(PersonId, String)>,
    /// Steps that do not begin until a person says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pause_points: Vec<PausePoint>,
    /// How each ring stands.
    pub rings: BTreeMap<RingName, RingPhase>,
    /// Rings that a person approved.
    pub ring_approvals: BTreeMap<RingName, PersonId>,
    /// Patches that this run put on the deny-list.
    pub denials: BTreeSet<Denial>,
    /// Clusters that are rolled.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rolls: BTreeMap<ComponentId, RollState>,
    /// The number of events so far: the next one's place in the stream.
    pub events: u64,
}

/// Why nothing more starts just now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "for")]
#[non_exhaustive]
pub enum Wait {
    /// A window must open.
    Window {
        /// Of which ring.
        ring: RingName,
        /// When it does.
        next: Option<Timestamp>,
        /// Why it is closed.
        because: Vec<ClosedBecause>,
    },
    /// A soak must end.
    Soak {
        /// Of which ring.
        ring: RingName,
        /// When it does.
        until: Timestamp,
    },
    /// A person must approve a ring.
    RingApproval {
        /// Which.
        ring: RingName,
    },
    /// Slots of the disruption budget must become free.
    Slot {
        /// Who waits.
        component: ComponentId,
        /// Who holds them.
        held_by: Vec<ComponentId>,
    },
    /// A redundancy group is at its floor.
    Floor {
        /// Who waits.
        component: ComponentId,
        /// Which group, and who of it is down.
        group: String,
    },
    /// Others must be back in service first.
    Wave {
        /// In which ring.
        ring: RingName,
        /// Who.
        waits_for: Vec<ComponentId>,
    },
    /// Somebody paused the run.
    Paused {
        /// Who.
        by: PersonId,
        /// Why.
        reason: String,
    },
    /// Somebody paused a component before a step.
    PausePoint {
        /// Who waits.
        component: ComponentId,
        /// Before which step, by whom and why.
        point: PausePoint,
    },
    /// A person must lift a halt or end the run.
    Halted {
        /// Why it halted.
        why: String,
    },
    /// What is in flight on a component does not get on. It is waited for all the same.
    Stalled {
        /// Which.
        component: ComponentId,
        /// Since when nothing moved.
        since: Timestamp,
        /// What keeps it.
        why: String,
        /// Who holds what it waits for, where that is known.
        holder: Option<String>,
    },
    /// Something borrowed should have been given back.
    Overdue {
        /// By which component.
        component: ComponentId,
        /// What.
        what: String,
        /// By when it should have been.
        since: Timestamp,
    },
    /// The journal: another program holds it up, and nothing starts that is not recorded.
    Journal {
        /// Why it cannot be written.
        why: String,
    },
    /// A person must decide about a component.
    Person {
        /// Which.
        component: ComponentId,
        /// Why.
        why: String,
    },
}

/// What follows from the state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// Events of the run.
    pub run: Vec<RunEvent>,
    /// Events of components.
    pub components: Vec<(ComponentId, ComponentEvent)>,
    /// When time alone will change the answer.
    pub wake: Option<Timestamp>,
    /// Why nothing more starts.
    pub waits: Vec<Wait>,
}

impl Decision {
    /// Whether there is nothing to record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.run.is_empty() && self.components.is_empty()
    }

    pub(super) fn wake_at(&mut self, at: Option<Timestamp>) {
        self.wake = match (self.wake, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

impl RunState {
    /// Records an event. Decides nothing.
    pub fn evolve(&mut self, event: &RunEvent) {
        self.events += 1;
        match event {
            RunEvent::RingOpened { ring, .. } => self.ring(ring, RingPhase::Rolling),
            RunEvent::SoakStarted { ring, until } => self.ring(ring, RingPhase::Soaking(*until)),
            RunEvent::SoakEnded { ring } => self.ring(ring, RingPhase::Confirming),
            RunEvent::RingPassed { ring, .. } => self.ring(ring, RingPhase::Passed),
            RunEvent::RingApproved { ring, by, .. } => {
                self.ring_approvals.insert(ring.clone(), by.clone());
            }
            RunEvent::Halted { why, ring } => {
                self.halted_ring = ring.clone();
                self.halted_because = Some(why.clone());
                self.status = RunStatus::Halted { why: why.clone() };
            }
            RunEvent::HaltLifted {
                ring, by, reason, ..
            } => {
                for roll in self.rolls.values_mut() {
                    roll.lifted(by, reason);
                }
                self.waived.extend(ring.clone());
                self.halted_because = None;
                self.status = RunStatus::Open;
            }
            RunEvent::Paused { by, reason } => self.paused = Some((by.clone(), reason.clone())),
            RunEvent::Unpaused { .. } => self.paused = None,
            RunEvent::PausePointSet { point } => self.pause_points.push(point.clone()),
            RunEvent::PausePointCleared {
                component, step, ..
            } => self
                .pause_points
                .retain(|p| p.step != *step || p.component != *component),
            RunEvent::Ending {
                verdict,
                by,
                reason,
            } => {
                for roll in self.rolls.values_mut() {
                    roll.ends(by, reason);
                }
                self.status = RunStatus::Ending { verdict: *verdict };
            }
            RunEvent::Roll { cluster, event } => match self.rolls.get_mut(cluster) {
                Some(roll) => roll.evolve(event),
                None => {
                    let begun = RollState::begin(event).map(|roll| (cluster.clone(), roll));
                    self.rolls.extend(begun);
                }
            },
            RunEvent::Ended { verdict, .. } => self.status = RunStatus::Ended { verdict: *verdict },
            RunEvent::Denied { denial } => {
                self.denials.insert(denial.clone());
            }
            RunEvent::Started { .. }
            | RunEvent::TakenOver { .. }
            | RunEvent::DenialLifted { .. }
            | RunEvent::CommandRefused { .. } => {}
        }
    }

    fn ring(&mut self, ring: &RingName, phase: RingPhase) {
        self.rings.insert(ring.clone(), phase);
    }

    /// Where a component must not go on until a person says so: a step that has not begun and that somebody set a
    /// pause point before. A run that is brought to an end is not held up.
    #[must_use]
    pub fn held_before(
        &self,
        component: &ComponentId,
        state: &ComponentState,
    ) -> Option<&PausePoint> {
        let Phase::Doing(step) = state.phase else {
            return None;
        };
        let ends = matches!(
            self.status,
            RunStatus::Ending { .. } | RunStatus::Ended { .. }
        );
        // What restores service is never held up, nor is what is taken around it.
        let restores = step == Step::Take && state.changed;
        if ends || restores || state.op.is_some() || mutant::is(Mutant::PausePointIgnored) {
            return None;
        }
        self.pause_points
            .iter()
            .find(|p| p.step == step && p.component.as_ref().is_none_or(|c| c == component))
    }

    /// The roll that a host is part of, if its cluster is rolled.
    #[must_use]
    pub fn roll_of(&self, host: &ComponentId) -> Option<&RollState> {
        self.rolls.values().find(|roll| roll.has_host(host))
    }

    /// How one ring stands.
    #[must_use]
    pub fn ring_phase(&self, ring: &RingName) -> RingPhase {
        self.rings.get(ring).copied().unwrap_or_default()
    }
}

/// The components of a run by name.
pub type Components = BTreeMap<ComponentId, ComponentState>;
