//! How a run stands: for whoever drives it, and for whoever only reads its journal.

use jiff::Timestamp;

use super::{
    Story,
    kernel::{self, Command, Decision, Effect, RunStatus, RunVerdict, Steered, Wait},
};
use crate::{
    error::{Failure, Result},
    id::PersonId,
    policy::Calendar,
};

/// How a run stands at this moment, for whoever holds a handle.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Standing {
    /// Something is in flight.
    Working {
        /// Why more does not start.
        waits: Vec<Wait>,
    },
    /// It waits for time to pass.
    Waiting {
        /// Until when.
        until: Timestamp,
        /// For what.
        waits: Vec<Wait>,
    },
    /// Only a person can make it go on.
    AtRest {
        /// What it waits for.
        waits: Vec<Wait>,
    },
    /// It was brought to a safe point, and nobody drives it any more.
    Parked {
        /// When it is worth calling again; none where a person is needed.
        until: Option<Timestamp>,
        /// What it waits for.
        waits: Vec<Wait>,
    },
    /// It is over.
    Ended {
        /// How.
        verdict: RunVerdict,
    },
    /// The journal failed, or the driver panicked: nothing more is started. Open the journal again and continue.
    Broken {
        /// What happened.
        failure: Failure,
    },
}

impl Standing {
    /// Whether it halted and waits for a person.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        matches!(self, Self::AtRest { waits } if waits.iter().any(|w| matches!(w, Wait::Halted { .. })))
    }

    /// Why nothing more starts.
    #[must_use]
    pub fn waits(&self) -> &[Wait] {
        match self {
            Self::Working { waits }
            | Self::Waiting { waits, .. }
            | Self::AtRest { waits }
            | Self::Parked { waits, .. } => waits,
            Self::Ended { .. } | Self::Broken { .. } => &[],
        }
    }

    /// Whether nothing more will happen by itself.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::AtRest { .. } | Self::Parked { .. } | Self::Ended { .. } | Self::Broken { .. }
        )
    }
}

impl Story {
    /// How the run stands by its journal alone, at a moment: what it would do, or wait for, if a process drives it.
    ///
    /// Whether one does is no part of a journal: [`Operator`](crate::Operator) knows. `Parked` and `Broken` concern
    /// a process, so they are never the answer.
    ///
    /// # Errors
    /// `InvalidInput`: the plan's windows cannot be read, such as a zone that this machine does not know.
    pub fn standing(&self, now: Timestamp) -> Result<Standing> {
        if let RunStatus::Ended { verdict } = self.state.status {
            return Ok(Standing::Ended { verdict });
        }
        let envelope = &self.plan.envelope;
        let calendar = Calendar::new(&envelope.windows, &envelope.blackouts)?;
        let decision = self.advance(&calendar, now);
        let waits = decision.waits.clone();
        // What follows by itself is as good as begun.
        if !decision.is_empty() || self.has_effects() {
            return Ok(Standing::Working { waits });
        }
        Ok(match decision.wake {
            Some(until) => Standing::Waiting { until, waits },
            None => Standing::AtRest { waits },
        })
    }

    /// What follows from the state at a moment.
    pub(super) fn advance(&self, calendar: &Calendar, now: Timestamp) -> Decision {
        kernel::advance(
            self.run,
            &self.plan.envelope,
            &self.plan.schedule,
            calendar,
            &self.state,
            &self.components,
            now,
        )
    }

    /// What a command leads to, or why to nothing.
    pub(crate) fn steer(
        &self,
        by: &PersonId,
        reason: &str,
        command: &Command,
    ) -> Result<Steered, String> {
        if reason.trim().is_empty() {
            return Err("it needs a reason, for those who read the journal later".to_owned());
        }
        kernel::steer(
            &self.plan.envelope,
            &self.state,
            &self.components,
            by,
            reason,
            command,
        )
    }

    /// Whether something must be in flight.
    fn has_effects(&self) -> bool {
        self.plan.envelope.targets.iter().any(|target| {
            let state = self.components.get(&target.component);
            // The key does not matter for whether there is an effect.
            state.is_some_and(|s| s.effect(target, &target.component, "", self.run) != Effect::None)
        })
    }
}
