//! Locks that are kept for a step that may follow at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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

/// Places in the envelope, each with the time at which its lock is given back unless something comes before.
#[derive(Debug, Default)]
pub(super) struct Unlocks {
    by_time: BTreeSet<(Timestamp, u32)>,
    by_place: BTreeMap<u32, Timestamp>,
}

impl Unlocks {
    pub(super) fn set(&mut self, place: u32, at: Timestamp) {
        self.forget(place);
        self.by_time.insert((at, place));
        self.by_place.insert(place, at);
    }

    /// Something came before.
    pub(super) fn forget(&mut self, place: u32) {
        if let Some(at) = self.by_place.remove(&place) {
            self.by_time.remove(&(at, place));
        }
    }

    /// The first time.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes one whose time has come.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<u32> {
        let (at, place) = *self.by_time.first()?;
        (at <= now).then(|| {
            self.forget(place);
            place
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_once_at_its_last_time_unless_it_is_forgotten() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut unlocks = Unlocks::default();
        for (place, second) in [(7, 30), (8, 10), (9, 20), (8, 25)] {
            unlocks.set(place, at(second));
        }
        unlocks.forget(9);
        assert_eq!(unlocks.first(), Some(at(25)));
        assert_eq!(unlocks.take_due(at(24)), None);
        assert_eq!(unlocks.take_due(at(40)), Some(8));
        assert_eq!(unlocks.take_due(at(40)), Some(7));
        assert!(unlocks.take_due(at(40)).is_none() && unlocks.is_empty());
    }
}
