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

pub(crate) const KNOWN: &[Known] = &[
    Known {
        fault: "a state is believed before the quiet time is over",
        invariant: Invariant::NothingSaidEarly,
        places: &["StateOnly"],
    },
    Known {
        fault: "what several stagings keep is given back once",
        invariant: Invariant::LedgerExplains,
        places: &["blind, done again"],
    },
    Known {
        fault: "what several stagings keep is given back once",
        invariant: Invariant::NothingLeft,
        places: &["blind, done again"],
    },
    Known {
        fault: "`retry` after a failed way back patches again",
        invariant: Invariant::LedgerExplains,
        places: &["the way back fails"],
    },
    Known {
        fault: "`retry` after a failed way back patches again",
        invariant: Invariant::NothingLeft,
        places: &["the way back fails"],
    },
    Known {
        fault: "a refused patch counts as tried, and is denied",
        invariant: Invariant::DeniedOnlyIfTried,
        places: &["the patch is refused"],
    },
];

/// The known fault that a violation shows.
pub(crate) fn known(violation: &Violation) -> Option<usize> {
    KNOWN.iter().position(|known| {
        known.invariant == violation.invariant
            && known.places.iter().any(|p| violation.what.contains(p))
    })
}
