//! Every component in its place while a plan is made.

use std::collections::{BTreeMap, BTreeSet};

use super::{PatchLeftOut, Target, WhyLeftOut};
use crate::{
    error::{Error, Failure},
    estate::Busy,
    id::ComponentId,
};

/// Every component in exactly one place: a target, or left out with a reason.
#[derive(Default)]
pub(super) struct Sorted {
    pub(super) targets: BTreeMap<ComponentId, Target>,
    pub(super) left_out: BTreeMap<ComponentId, WhyLeftOut>,
    pub(super) patches_left_out: Vec<PatchLeftOut>,
    pub(super) busy: BTreeMap<ComponentId, Busy>,
    /// The ring of each component that a ring selects, planned or not.
    pub(super) ring_of: BTreeMap<ComponentId, usize>,
    /// Components of which nobody can say that they are up.
    pub(super) down: BTreeSet<ComponentId>,
}

/// Left out for these reasons, all at once.
pub(super) fn blocked(errors: impl IntoIterator<Item = Error>) -> WhyLeftOut {
    WhyLeftOut::Blocked {
        reasons: errors.into_iter().map(|e| Failure::from(&e)).collect(),
    }
}
