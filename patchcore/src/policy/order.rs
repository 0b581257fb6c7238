//! What goes before what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::selector::Selector;

/// Inside each group of components that share a label, the steps go one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Order {
    /// The label by which components are grouped, such as `app`.
    pub within: String,
    /// What goes first, second, and so on. A component belongs to the first step that selects it;
    /// one that no step selects is not ordered.
    #[schemars(length(min = 1))]
    pub steps: Vec<Selector>,
}

impl Order {
    /// An order of steps inside each group that shares the label.
    pub fn new(within: impl Into<String>, steps: impl IntoIterator<Item = Selector>) -> Self {
        Self {
            within: within.into(),
            steps: steps.into_iter().collect(),
        }
    }
}
