//! Which patches are taken.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::estate::class::PatchClass;

/// Which patches are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PatchRules {
    /// The classes that are taken; all others stay as they are. Default `security` and `bugfix`.
    #[schemars(length(min = 1))]
    pub take: BTreeSet<PatchClass>,
}

impl Default for PatchRules {
    fn default() -> Self {
        Self::taking([PatchClass::Security, PatchClass::Bugfix])
    }
}

impl PatchRules {
    /// Takes patches of these classes.
    pub fn taking(classes: impl IntoIterator<Item = PatchClass>) -> Self {
        Self {
            take: classes.into_iter().collect(),
        }
    }
}
