//! How many components that belong together may be out of service together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::selector::Selector;

/// A floor for each value of a label: how many of its components stay in service at every instant.
///
/// It counts every component of the estate that has the label, also those that the plan does not touch, and holds
/// across rings, beside the disruption budget of each ring and the floors of the estate's own redundancy groups: of
/// all floors the highest counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[non_exhaustive]
pub struct Limit {
    /// A label; components that share its value are counted together.
    pub per: String,
    /// Which of them are counted. Default all.
    #[serde(default = "Selector::all")]
    pub select: Selector,
    /// How many.
    #[serde(flatten)]
    pub most: Most,
}

/// What a [`Limit`] allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Most {
    /// So many may be out of service together.
    Down(#[schemars(range(min = 1))] u32),
    /// So many stay in service.
    KeepUp(#[schemars(range(min = 1))] u32),
}

impl Limit {
    /// At most so many of each value of the label may be out of service together.
    pub fn down(per: impl Into<String>, down: u32) -> Self {
        Self::new(per, Most::Down(down))
    }

    /// So many of each value of the label stay in service.
    pub fn keep_up(per: impl Into<String>, keep_up: u32) -> Self {
        Self::new(per, Most::KeepUp(keep_up))
    }

    fn new(per: impl Into<String>, most: Most) -> Self {
        Self {
            per: per.into(),
            select: Selector::all(),
            most,
        }
    }

    /// Which components are counted.
    #[must_use]
    pub fn with_select(mut self, select: Selector) -> Self {
        self.select = select;
        self
    }

    /// How many of `members` stay in service.
    pub(crate) fn keeps(&self, members: usize) -> usize {
        let count = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        match self.most {
            Most::Down(down) => members.saturating_sub(count(down)),
            Most::KeepUp(keep_up) => count(keep_up),
        }
    }
}
