//! Whose lock is given back in a while.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

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
