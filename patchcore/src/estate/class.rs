//! What kind of change a patch is.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of change a patch is, in the order of how much it matters.
///
/// The classes are those that package sources agree on: the advisory types of RPM's `updateinfo`
/// (security, bugfix, enhancement) cover Debian's security archive and the classifications of
/// Windows Update as well; whatever a source does not say is [`PatchClass::Other`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PatchClass {
    /// Closes a weakness.
    Security,
    /// Mends a fault that is not a weakness.
    Bugfix,
    /// Adds something.
    Enhancement,
    /// The source does not say what it is.
    Other,
}

impl PatchClass {
    /// Every class, most important first.
    pub const ALL: &'static [Self] =
        &[Self::Security, Self::Bugfix, Self::Enhancement, Self::Other];

    /// The word used in policies and stored values, such as `security`.
    #[must_use]
    pub const fn word(self) -> &'static str {
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
        f.pad(self.word())
    }
}
