//! Members of redundancy groups that are machines of a cluster: what takes one away draws on one floor, whether that is
//! its own patch or the roll of its cluster.

use std::collections::BTreeSet;

use super::{advance::Moment, roll::RollState};
use crate::{
    id::ComponentId,
    mutant::{self, Mutant},
    plan::GroupFloor,
};

impl<'a> Moment<'a> {
    /// The cluster whose roll has a component away: it moves, is stopped, or is about to.
    pub(super) fn rolled_by(self, component: &ComponentId) -> Option<&'a ComponentId> {
        let is = |vm: &ComponentId| self.envelope.named(vm) == component;
        let away = |roll: &RollState| roll.away().any(is);
        let mut rolls = self.run.rolls.iter();
        let on_its_way = || {
            let coming = self.coming.iter();
            coming.filter(|(_, vm)| is(vm)).map(|(by, _)| by)
        };
        rolls
            .find(|(_, roll)| away(roll))
            .map(|(cluster, _)| cluster)
            .or_else(|| on_its_way().next())
    }

    /// How many of a group only rolls have away.
    pub(super) fn rolled_of(self, group: &GroupFloor) -> usize {
        if self.run.rolls.is_empty() {
            return 0;
        }
        let members = group.members.iter();
        members
            .filter(|m| !group.down_already.contains(m) && !self.works_on(m))
            .filter(|m| self.rolled_by(m).is_some())
            .count()
    }

    fn works_on(self, component: &ComponentId) -> bool {
        let state = self.components.get(component);
        state.is_some_and(|state| state.phase.holds_slot())
    }

    /// Why a roll may not take a machine away now; none where it may. `taken` go by the same decision.
    ///
    /// One that moves stays up but for a moment: it waits for others of its group that this run has away, and not for
    /// those that were down before, which may never come back. One that stops is down as any other.
    pub(super) fn keeps_up(
        self,
        vm: &ComponentId,
        stops: bool,
        taken: &BTreeSet<&ComponentId>,
    ) -> Option<WhyUp<'a>> {
        if mutant::is(Mutant::FloorIgnored) {
            return None;
        }
        // Who drains the cluster may have another name for it.
        let vm = self.envelope.named(vm);
        let taken: BTreeSet<&ComponentId> =
            taken.iter().map(|vm| self.envelope.named(vm)).collect();
        if self.works_on(vm) {
            // It counts already; but nobody pulls the plug in the middle of a patch.
            return stops.then_some(WhyUp::WorkedOn);
        }
        let groups = self.envelope.groups.iter();
        let mut groups = groups.filter(|g| g.members.contains(vm) && !g.down_already.contains(vm));
        groups.find_map(|group| {
            let others = group.members.iter().filter(|m| *m != vm);
            let down: Vec<&ComponentId> = others
                .filter(|m| {
                    let ours = self.works_on(m) || taken.contains(m) || self.rolled_by(m).is_some();
                    ours || stops && group.down_already.contains(m)
                })
                .collect();
            let spare = group.members.len().saturating_sub(group.keep_up);
            let spare = if stops { spare } else { spare.max(1) };
            (down.len() >= spare).then_some(WhyUp::Floor { group, down })
        })
    }
}

/// Why a machine may not be taken away.
pub(super) enum WhyUp<'a> {
    /// Its own patch is under way.
    WorkedOn,
    /// Its group cannot spare it.
    Floor {
        group: &'a GroupFloor,
        down: Vec<&'a ComponentId>,
    },
}

/// A group at its floor, for people.
pub(super) fn at_its_floor<'a>(
    group: &GroupFloor,
    down: impl IntoIterator<Item = &'a ComponentId>,
) -> String {
    let down: BTreeSet<&str> = down.into_iter().map(ComponentId::as_str).collect();
    let down: Vec<&str> = down.into_iter().collect();
    format!(
        "{} keeps {} up, and {} is down",
        group.name,
        group.keep_up,
        down.join(", ")
    )
}
