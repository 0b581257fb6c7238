//! Locks that are kept for a step that may follow at once.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    super::kernel::{ComponentState, Effect, Phase},
    Driver,
};
use crate::{clock::later, id::RingName};

/// Without a soak the last step of a component follows when its ring is in service: for so long its lock is kept for that
/// step, instead of being given back and taken again.
const LOCK_KEPT: Duration = Duration::from_secs(10);

impl Driver {
    /// How long the lock is kept of a component whose last step may follow at once; none where it is given back now.
    pub(super) fn keeps_lock(
        &self,
        effect: &Effect,
        state: &ComponentState,
        ring: &RingName,
    ) -> Option<Timestamp> {
        let is_kept = !self.parking
            && matches!(effect, Effect::Unlock { .. })
            && state.phase == Phase::InService
            && {
                let mut rings = self.story.plan.envelope.rings.iter();
                rings.any(|rules| rules.name == *ring && rules.soak.is_zero())
            };
        let until = later(state.since.filter(|_| is_kept)?, LOCK_KEPT);
        (until > self.clock.now()).then_some(until)
    }

    /// Lets those give their locks back whose next step did not come in time.
    pub(super) fn unlock_in_time(&mut self) {
        let until = match self.parking {
            true => Timestamp::MAX,
            false => self.clock.now(),
        };
        while let Some(place) = self.unlocks.take_due(until) {
            self.may_act(place);
        }
    }
}
