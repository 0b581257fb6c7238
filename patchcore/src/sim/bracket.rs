//! What is held around changes in the simulated estate: silenced alerts, and things that are paused.
//!
//! Alerts can be silenced by many at once, and each silence ends by itself when its time is over. A pause is one
//! switch for all: who finds it thrown by somebody else leaves it so, and it stays until it is thrown back.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::world::World;
use crate::{
    id::{ComponentId, OpKey, ProviderName},
    provider::{BracketKind, BracketRequest},
};

/// Which thing around which component.
pub(super) type Place = (ProviderName, BracketKind, ComponentId);

/// One who holds something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    /// The operation that took it; none where a person did.
    pub(super) by: Option<OpKey>,
    /// When it ends by itself.
    until: Option<Timestamp>,
}

/// What became of something that is held around a component.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BracketChange {
    /// An operation took it.
    Taken(OpKey),
    /// It was given back; by the key of the operation that had taken it.
    GivenBack(OpKey),
    /// Its time was over.
    Lapsed(OpKey),
    /// A person took it.
    TakenByHand,
    /// A person ended what that operation had taken.
    EndedByHand(OpKey),
}

/// One line of what truly happened to what is held around components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BracketEntry {
    /// When.
    pub at: Timestamp,
    /// Which provider's.
    pub by: ProviderName,
    /// What kind.
    pub kind: BracketKind,
    /// Around whom.
    pub component: ComponentId,
    /// What.
    pub change: BracketChange,
}

/// Everything that is held around components, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Brackets {
    held: BTreeMap<Place, Vec<Hold>>,
    log: Vec<BracketEntry>,
    /// Every operation that did its work, and which content it had.
    pub(super) done: BTreeMap<OpKey, BracketRequest>,
}

impl Brackets {
    pub(super) fn note(&mut self, at: Timestamp, place: &Place, change: BracketChange) {
        let (by, kind, component) = place.clone();
        self.log.push(BracketEntry {
            at,
            by,
            kind,
            component,
            change,
        });
    }

    /// Ends what has an end of its own.
    pub(super) fn lapse(&mut self, now: Timestamp) {
        let over = |hold: &mut Hold| hold.until.is_some_and(|until| until <= now);
        let mut ended: Vec<(Timestamp, Place, OpKey)> = Vec::new();
        for (place, holds) in &mut self.held {
            for hold in holds.extract_if(.., over) {
                if let (Some(key), Some(until)) = (hold.by, hold.until) {
                    ended.push((until, place.clone(), key));
                }
            }
        }
        ended.sort();
        for (at, place, key) in ended {
            self.note(at, &place, BracketChange::Lapsed(key));
        }
    }

    pub(super) fn holds(&self, place: &Place) -> &[Hold] {
        self.held.get(place).map_or(&[], Vec::as_slice)
    }

    pub(super) fn is_held_by(&self, place: &Place, key: &OpKey) -> bool {
        self.holds(place).iter().any(|h| h.by.as_ref() == Some(key))
    }

    /// What became of what an operation took last; none where it took nothing.
    pub(super) fn fate(&self, place: &Place, taken: &OpKey) -> Option<&BracketEntry> {
        self.log.iter().rev().find(|entry| {
            let of = match &entry.change {
                BracketChange::Taken(key)
                | BracketChange::GivenBack(key)
                | BracketChange::Lapsed(key)
                | BracketChange::EndedByHand(key) => Some(key),
                BracketChange::TakenByHand => None,
            };
            of == Some(taken)
                && (&entry.by, entry.kind, &entry.component) == (&place.0, place.1, &place.2)
        })
    }

    pub(super) fn take(
        &mut self,
        place: &Place,
        key: &OpKey,
        until: Option<Timestamp>,
        now: Timestamp,
    ) {
        let by = Some(key.clone());
        self.held
            .entry(place.clone())
            .or_default()
            .push(Hold { by, until });
        self.note(now, place, BracketChange::Taken(key.clone()));
    }

    /// Ends what an operation took; whether there was something to end.
    pub(super) fn end(&mut self, place: &Place, taken: &OpKey) -> bool {
        let Some(holds) = self.held.get_mut(place) else {
            return false;
        };
        let before = holds.len();
        holds.retain(|h| h.by.as_ref() != Some(taken));
        holds.len() < before
    }
}

impl World {
    /// What truly became of everything that was held around components, in order.
    #[must_use]
    pub fn brackets(&self) -> &[BracketEntry] {
        &self.brackets.log
    }

    /// Whether something is held around a component now, by whomever.
    #[must_use]
    pub fn is_held(&self, by: &str, kind: BracketKind, component: &str) -> bool {
        self.holders(by, kind, component) > 0
    }

    /// How many hold something around a component now.
    #[must_use]
    pub fn holders(&self, by: &str, kind: BracketKind, component: &str) -> usize {
        let place = (by.into(), kind, component.into());
        self.brackets.holds(&place).len()
    }

    /// A person takes something around a component, without an end.
    pub fn hold_by_hand(&mut self, by: &str, kind: BracketKind, component: &str) {
        let place = (by.into(), kind, component.into());
        let hold = Hold {
            by: None,
            until: None,
        };
        self.brackets
            .held
            .entry(place.clone())
            .or_default()
            .push(hold);
        self.brackets
            .note(self.now, &place, BracketChange::TakenByHand);
    }

    /// A person ends whatever operations hold around a component.
    pub fn end_by_hand(&mut self, by: &str, kind: BracketKind, component: &str) {
        let place = (by.into(), kind, component.into());
        let held = self.brackets.holds(&place).iter();
        let taken: Vec<OpKey> = held.filter_map(|h| h.by.clone()).collect();
        for key in taken {
            self.brackets.end(&place, &key);
            self.brackets
                .note(self.now, &place, BracketChange::EndedByHand(key));
        }
    }
}
