//! Who may go down now: the disruption budget, and the floors of redundancy groups.

use std::collections::BTreeMap;

use super::{advance::Moment, floors::at_its_floor, index::Index, run::Wait};
use crate::{
    mutant::{self, Mutant},
    plan::Target,
};

/// The slots of one decision: those that are held, and those that it takes itself.
pub(super) struct Slots<'a> {
    moment: Moment<'a>,
    index: &'a Index,
    taken: Vec<u32>,
    /// How many more of each group are down by those.
    down: BTreeMap<usize, usize>,
}

impl<'a> Slots<'a> {
    pub(super) fn new(moment: Moment<'a>, index: &'a Index) -> Self {
        Self {
            moment,
            index,
            taken: Vec::new(),
            down: BTreeMap::new(),
        }
    }

    /// Whether the budget lets nobody else go.
    pub(super) fn is_full(&self, at_once: usize) -> bool {
        self.index.holders.len() + self.taken.len() >= at_once.max(1)
    }

    /// Whether one more may go down now.
    pub(super) fn may_go(&self, at: u32, at_once: usize) -> bool {
        !self.is_full(at_once) && self.at_its_floor(at).is_none()
    }

    /// It goes down.
    pub(super) fn take(&mut self, at: u32) {
        if mutant::is(Mutant::SlotTwice) {
            return;
        }
        self.taken.push(at);
        for group in self.index.counts_in(at) {
            *self.down.entry(*group).or_default() += 1;
        }
    }

    /// The first of its groups that cannot spare it.
    fn at_its_floor(&self, at: u32) -> Option<usize> {
        if mutant::is(Mutant::FloorIgnored) {
            return None;
        }
        let keeps = self.index.keeps(at).iter().copied();
        keeps.into_iter().find(|place| {
            let Some(group) = self.moment.envelope.groups.get(*place) else {
                return false;
            };
            let held = self.index.down.get(*place).copied().unwrap_or(0);
            let taken = self.down.get(place).copied().unwrap_or(0);
            let down = held + taken + self.moment.rolled_of(group);
            down >= group.members.len().saturating_sub(group.keep_up)
        })
    }

    /// Why one more may not go down.
    pub(super) fn why_not(&self, target: &Target, at: u32, at_once: usize) -> Wait {
        let holders = self.index.holders.iter().chain(&self.taken);
        let holders = holders.filter_map(|at| Some(&self.moment.target(*at)?.component));
        let component = target.component.clone();
        let floor = self
            .at_its_floor(at)
            .and_then(|place| self.moment.envelope.groups.get(place));
        let Some(group) = floor.filter(|_| !self.is_full(at_once)) else {
            return Wait::Slot {
                component,
                held_by: holders.cloned().collect(),
            };
        };
        let members = group.members.iter();
        let rolled = members.filter(|m| self.moment.rolled_by(m).is_some());
        let down = holders
            .filter(|holder| group.members.contains(holder))
            .chain(&group.down_already)
            .chain(rolled);
        Wait::Floor {
            component,
            group: at_its_floor(group, down),
        }
    }
}
