//! Faults that are known and not mended yet. The list must become empty; an entry that nothing shows any more is wrong.

use super::judge::{Invariant, Violation};

/// A fault that is known.
pub(crate) struct Known {
    /// What is wrong, for the table.
    pub(crate) fault: &'static str,
    invariant: Invariant,
    /// Words of the place where it shows.
    places: &'static [&'static str],
}

pub(crate) const KNOWN: &[Known] = &[];

/// The known fault that a violation shows.
pub(crate) fn known(violation: &Violation) -> Option<usize> {
    KNOWN.iter().position(|known| {
        known.invariant == violation.invariant
            && known.places.iter().any(|p| violation.what.contains(p))
    })
}
