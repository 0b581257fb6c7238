//! What a patch is for.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a patch is for, as its source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PatchClass {
    /// It closes a weakness.
    Security,
    /// It mends a fault.
    Bugfix,
    /// It adds something.
    Enhancement,
    /// The source does not say.
    Other,
}

impl PatchClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Security, Self::Bugfix, Self::Enhancement, Self::Other];

    /// The word used in policies and JSON.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Bugfix => "bugfix",
            Self::Enhancement => "enhancement",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for PatchClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.slug())
    }
}
