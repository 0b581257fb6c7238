//! What the run kernel asks of all components, kept up to date as single ones change: so that deciding costs by what
//! changed, and not by how many there are.
//!
//! It holds nothing that the states do not say: [`Index::new`] makes the same from them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    component::ComponentState,
    phase::{End, Phase},
    run::Components,
};
use crate::{
    id::{ComponentId, RingName},
    judge::RingCount,
    plan::{Envelope, Schedule},
};

/// The place of a target in its envelope, which is ordered by name.
type At = u32;

/// See the module.
#[derive(Debug, Clone)]
pub struct Index {
    facts: Vec<Option<Facts>>,
    /// The ring of each target, by its place in the envelope.
    of_ring: Vec<Option<u32>>,
    /// Where each target stands in the schedule; ordered by target.
    places: Vec<Place>,
    /// Whom each target comes after, and who comes after it; only where there is somebody.
    before: BTreeMap<At, Vec<At>>,
    behind: BTreeMap<At, Vec<At>>,
    /// The groups that each target is a member of and not down in already, by their place in the envelope.
    counts_in: BTreeMap<At, Vec<usize>>,
    /// The groups whose floor each target must keep.
    keeps: BTreeMap<At, Vec<usize>>,
    in_a_row: bool,
    pub(super) rings: Vec<RingIndex>,
    /// How many of each group are down.
    pub(super) down: Vec<usize>,
    /// Everybody who draws on the disruption budget.
    pub(super) holders: BTreeSet<At>,
    pub(super) quarantined: BTreeSet<At>,
    pub(super) wants_back: BTreeSet<At>,
    /// Who was rolled back, as long as its patches may not be on the deny-list.
    pub(super) denies: BTreeSet<At>,
    /// Left as they are, and owing something.
    pub(super) owing: BTreeSet<At>,
    /// Those that the end of the run cuts short.
    pub(super) idle: BTreeSet<At>,
    /// How many are not over, or have borrowed something.
    pub(super) open: usize,
    pub(super) ends: BTreeMap<End, usize>,
    /// How many failed and are not forgiven.
    pub(super) failed: usize,
    /// Whether failures stop the run, as far as that is known.
    pub(super) stops: Option<Option<(String, Option<RingName>)>>,
}

/// One ring, by its place in the envelope.
#[derive(Debug, Clone, Default)]
pub(super) struct RingIndex {
    pub(super) targets: Vec<At>,
    pub(super) waves: Vec<WaveIndex>,
    /// Waves of which somebody is neither back in service nor over.
    pub(super) unsettled: BTreeSet<usize>,
    pub(super) count: RingCount,
    pub(super) in_service: usize,
    pub(super) not_ended: BTreeSet<At>,
}

/// One wave. Its sets hold places in it.
#[derive(Debug, Clone, Default)]
pub(super) struct WaveIndex {
    pub(super) members: Vec<At>,
    pub(super) waiting: BTreeSet<u32>,
    pub(super) unsettled: BTreeSet<u32>,
    /// Those that wait and will have no turn, because of somebody before them.
    pub(super) doomed: BTreeSet<u32>,
}

impl WaveIndex {
    /// The targets at some of its places.
    pub(super) fn targets(&self, places: &BTreeSet<u32>) -> impl Iterator<Item = At> {
        let places = places.iter();
        places.filter_map(|place| self.members.get(*place as usize).copied())
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    target: At,
    ring: u32,
    wave: u32,
    place: u32,
}

/// What of a state is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Facts {
    phase: Phase,
    failed: bool,
    forgiven: bool,
    owes: bool,
    is_over: bool,
}

impl Facts {
    fn of(state: &ComponentState) -> Self {
        Self {
            phase: state.phase,
            failed: !state.failures.is_empty(),
            forgiven: state.forgiven,
            owes: !state.owed.is_empty(),
            is_over: state.is_over(),
        }
    }

    /// Whether those that come after it have no turn.
    fn dooms(self) -> bool {
        self.failed || self.phase == Phase::Ended(End::Skipped)
    }

    fn denies(self) -> bool {
        let back = matches!(
            self.phase,
            Phase::GivingBack(End::RolledBack) | Phase::Ended(End::RolledBack)
        );
        back && !self.forgiven
    }

    fn counts_as_failed(self) -> bool {
        self.failed && !self.forgiven
    }

    fn is_open(self) -> bool {
        !self.is_over
    }
}

/// What changed for one target.
#[derive(Clone, Copy)]
struct Step {
    at: At,
    was: Option<Facts>,
    is: Facts,
}

impl Step {
    fn both(self, holds: impl Fn(Facts) -> bool) -> (bool, bool) {
        (self.was.is_some_and(&holds), holds(self.is))
    }

    fn changes(self, holds: impl Fn(Facts) -> bool) -> bool {
        let (before, after) = self.both(holds);
        before != after
    }

    fn member<T: Ord>(self, set: &mut BTreeSet<T>, what: T, holds: impl Fn(Facts) -> bool) {
        match self.both(holds) {
            (false, true) => _ = set.insert(what),
            (true, false) => _ = set.remove(&what),
            _ => {}
        }
    }

    fn number(self, number: &mut usize, holds: impl Fn(Facts) -> bool) {
        match self.both(holds) {
            (false, true) => *number += 1,
            (true, false) => *number = number.saturating_sub(1),
            _ => {}
        }
    }
}

impl Index {
    /// Of all components as they are.
    #[must_use]
    pub fn new(envelope: &Envelope, schedule: &Schedule, components: &Components) -> Self {
        let at = |name: &ComponentId| {
            let found = envelope
                .targets
                .binary_search_by(|t| t.component.cmp(name))
                .ok()?;
            At::try_from(found).ok()
        };
        let ring_names: BTreeMap<&RingName, u32> = (0..)
            .zip(&envelope.rings)
            .map(|(place, rules)| (&rules.name, place))
            .collect();
        let group_names: BTreeMap<_, usize> = envelope
            .groups
            .iter()
            .enumerate()
            .map(|(place, group)| (&group.name, place))
            .collect();
        let mut index = Self {
            facts: vec![None; envelope.targets.len()],
            of_ring: Vec::with_capacity(envelope.targets.len()),
            places: Vec::new(),
            before: BTreeMap::new(),
            behind: BTreeMap::new(),
            counts_in: BTreeMap::new(),
            keeps: BTreeMap::new(),
            in_a_row: envelope.on_fail.in_a_row.is_some(),
            rings: vec![RingIndex::default(); envelope.rings.len()],
            down: Vec::with_capacity(envelope.groups.len()),
            holders: BTreeSet::new(),
            quarantined: BTreeSet::new(),
            wants_back: BTreeSet::new(),
            denies: BTreeSet::new(),
            owing: BTreeSet::new(),
            idle: BTreeSet::new(),
            open: 0,
            ends: BTreeMap::new(),
            failed: 0,
            stops: None,
        };
        for (place, target) in (0..).zip(&envelope.targets) {
            let ring = ring_names.get(&target.ring).copied();
            index.of_ring.push(ring);
            if let Some(ring) = ring.and_then(|r| index.rings.get_mut(r as usize)) {
                ring.targets.push(place);
            }
            let before: Vec<At> = target.after.iter().filter_map(at).collect();
            for earlier in &before {
                index.behind.entry(*earlier).or_default().push(place);
            }
            if !before.is_empty() {
                index.before.insert(place, before);
            }
            let keeps = target.groups.iter().filter_map(|g| group_names.get(g));
            let mut keeps: Vec<usize> = keeps.copied().collect();
            keeps.sort_unstable();
            if !keeps.is_empty() {
                index.keeps.insert(place, keeps);
            }
        }
        for (group, floor) in envelope.groups.iter().enumerate() {
            let already: BTreeSet<&ComponentId> = floor.down_already.iter().collect();
            index.down.push(already.len());
            let counts: BTreeSet<At> = floor
                .members
                .iter()
                .filter(|m| !already.contains(m))
                .filter_map(at)
                .collect();
            for member in counts {
                index.counts_in.entry(member).or_default().push(group);
            }
        }
        for scheduled in &schedule.rings {
            let Some(&ring) = ring_names.get(&scheduled.ring) else {
                continue;
            };
            let Some(of_ring) = index.rings.get_mut(ring as usize) else {
                continue;
            };
            if !of_ring.waves.is_empty() {
                // The first schedule of a ring counts.
                continue;
            }
            for (wave, planned) in (0..).zip(&scheduled.waves) {
                let members: Vec<At> = planned.components.iter().filter_map(at).collect();
                for (place, target) in (0..).zip(members.iter().copied()) {
                    index.places.push(Place {
                        target,
                        ring,
                        wave,
                        place,
                    });
                }
                of_ring.waves.push(WaveIndex {
                    members,
                    ..WaveIndex::default()
                });
            }
        }
        index.places.sort_by_key(|place| place.target);
        for (component, state) in components {
            if let Some(place) = at(component) {
                index.changed(place, state);
            }
        }
        index
    }

    /// That the component at a place of the envelope is so now.
    pub fn changed(&mut self, at: u32, state: &ComponentState) {
        let is = Facts::of(state);
        let Some(facts) = self.facts.get_mut(at as usize) else {
            return;
        };
        let was = facts.replace(is);
        if was == Some(is) {
            return;
        }
        let step = Step { at, was, is };
        step.member(&mut self.holders, at, |f| f.phase.holds_slot());
        step.member(&mut self.quarantined, at, |f| f.phase == Phase::Quarantined);
        step.member(&mut self.wants_back, at, |f| f.phase == Phase::AwaitWayBack);
        step.member(&mut self.denies, at, Facts::denies);
        step.member(&mut self.owing, at, |f| {
            f.phase == Phase::Ended(End::LeftAsIs) && f.owes
        });
        step.member(&mut self.idle, at, |f| {
            matches!(f.phase, Phase::Waiting | Phase::InService)
        });
        step.number(&mut self.open, Facts::is_open);
        step.number(&mut self.failed, Facts::counts_as_failed);
        self.count_ends(step);
        if step.changes(|f| f.phase.holds_slot()) {
            for &group in self.counts_in.get(&at).into_iter().flatten() {
                if let Some(down) = self.down.get_mut(group) {
                    step.number(down, |f| f.phase.holds_slot());
                }
            }
        }
        self.count_ring(step);
        self.count_waves(step);
        let of_failures = step.changes(Facts::counts_as_failed)
            || step.changes(|f| f.phase == Phase::Ended(End::LeftAsIs))
            || (self.in_a_row && step.changes(|f| f.phase.is_settled()));
        if of_failures {
            self.stops = None;
        }
    }

    fn count_ends(&mut self, step: Step) {
        let end = |facts: Facts| match facts.phase {
            Phase::Ended(end) => Some(end),
            _ => None,
        };
        let (was, is) = (step.was.and_then(end), end(step.is));
        if was == is {
            return;
        }
        if let Some(was) = was
            && let Some(number) = self.ends.get_mut(&was)
        {
            *number = number.saturating_sub(1);
            if *number == 0 {
                self.ends.remove(&was);
            }
        }
        if let Some(is) = is {
            *self.ends.entry(is).or_default() += 1;
        }
    }

    fn count_ring(&mut self, step: Step) {
        let ring = self.of_ring.get(step.at as usize).copied().flatten();
        let Some(ring) = ring.and_then(|r| self.rings.get_mut(r as usize)) else {
            return;
        };
        let count = &mut ring.count;
        step.number(&mut count.planned, |_| true);
        step.number(&mut count.failed, |f| f.failed);
        step.number(&mut count.done, |f| f.phase == Phase::Ended(End::Done));
        step.number(&mut count.skipped, |f| {
            f.phase == Phase::Ended(End::Skipped)
        });
        step.number(&mut ring.in_service, |f| f.phase == Phase::InService);
        step.member(&mut ring.not_ended, step.at, |f| !f.phase.is_ended());
    }

    fn count_waves(&mut self, step: Step) {
        for place in self.places_of(step.at) {
            let place = self.places[place];
            let Some((wave, unsettled)) = self.wave(place) else {
                continue;
            };
            step.member(&mut wave.waiting, place.place, |f| {
                f.phase == Phase::Waiting
            });
            step.member(&mut wave.unsettled, place.place, |f| !f.phase.is_settled());
            if wave.unsettled.is_empty() {
                unsettled.remove(&(place.wave as usize));
            } else {
                unsettled.insert(place.wave as usize);
            }
        }
        if step.changes(|f| f.phase == Phase::Waiting) {
            self.doom(step.at);
        }
        if step.changes(Facts::dooms)
            && let Some(behind) = self.behind.get(&step.at).cloned()
        {
            for later in behind {
                self.doom(later);
            }
        }
    }

    /// Whether a target will have no turn.
    fn doom(&mut self, at: At) {
        let waits = self.fact(at).is_some_and(|f| f.phase == Phase::Waiting);
        let doomed = waits && self.comes_after(at).any(|f| f.dooms());
        for place in self.places_of(at) {
            let place = self.places[place];
            if let Some((wave, _)) = self.wave(place) {
                if doomed {
                    wave.doomed.insert(place.place);
                } else {
                    wave.doomed.remove(&place.place);
                }
            }
        }
    }

    fn wave(&mut self, place: Place) -> Option<(&mut WaveIndex, &mut BTreeSet<usize>)> {
        let ring = self.rings.get_mut(place.ring as usize)?;
        let wave = ring.waves.get_mut(place.wave as usize)?;
        Some((wave, &mut ring.unsettled))
    }

    /// A target stands in one wave; whatever a schedule says, each of its places is kept.
    fn places_of(&self, at: At) -> std::ops::Range<usize> {
        let from = self.places.partition_point(|p| p.target < at);
        let own = self.places[from..].iter().take_while(|p| p.target == at);
        from..from + own.count()
    }

    fn fact(&self, at: At) -> Option<Facts> {
        self.facts.get(at as usize).copied().flatten()
    }

    fn comes_after(&self, at: At) -> impl Iterator<Item = Facts> {
        let before = self.before.get(&at).into_iter().flatten();
        before.filter_map(|earlier| self.fact(*earlier))
    }

    /// Whether somebody before it is on the way.
    pub(super) fn waits_for_others(&self, at: At) -> bool {
        self.comes_after(at).any(|f| !f.phase.is_settled())
    }

    /// The groups whose floor a target must keep.
    pub(super) fn keeps(&self, at: At) -> &[usize] {
        self.keeps.get(&at).map_or(&[], Vec::as_slice)
    }

    /// The groups in which a target counts as down when it goes.
    pub(super) fn counts_in(&self, at: At) -> &[usize] {
        self.counts_in.get(&at).map_or(&[], Vec::as_slice)
    }
}
