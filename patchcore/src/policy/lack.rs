//! What a policy that plans still lacks before anything may run.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a policy lacks before a plan made by it may run. It plans without.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lack {
    /// Nobody may approve.
    Approvers,
    /// No window is open, ever: also "any time" must be written.
    Window,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approvers => "nobody may approve: name people in [approval] from",
            Self::Window => {
                "no window is open, ever: add a [[window]], if need be with when = \"any time\""
            }
        })
    }
}
