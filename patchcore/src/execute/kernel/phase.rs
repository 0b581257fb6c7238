//! Where a component is on its way, and how a run ends.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// A step that changes something on the outside: one operation each.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Take what is to be held around it: alerts silenced, another patcher paused.
    Take,
    /// The restart before anything is applied.
    RebootFirst,
    /// Fetch, and keep the way back.
    Stage,
    /// Put in.
    Apply,
    /// The restart after.
    Reboot,
    /// Put the earlier versions back.
    RollBack,
    /// The restart after rolling back.
    RebootBack,
    /// Give back what was borrowed: what `Take` took, what `Stage` kept.
    GiveBack,
}

impl Step {
    /// The word in operation keys.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::RebootFirst => "reboot-first",
            Self::Stage => "stage",
            Self::Apply => "apply",
            Self::Reboot => "reboot",
            Self::RollBack => "roll-back",
            Self::RebootBack => "reboot-back",
            Self::GiveBack => "give-back",
        }
    }

    /// Every step, in order.
    pub const ALL: [Self; 8] = [
        Self::Take,
        Self::RebootFirst,
        Self::Stage,
        Self::Apply,
        Self::Reboot,
        Self::RollBack,
        Self::RebootBack,
        Self::GiveBack,
    ];

    /// Those that a run can be paused before. What restores service or gives something back is never held up.
    pub const PAUSABLE: [Self; 5] = [
        Self::Take,
        Self::RebootFirst,
        Self::Stage,
        Self::Apply,
        Self::Reboot,
    ];
}

impl FromStr for Step {
    type Err = Error;

    /// Reads the word of a step that a run can be paused before.
    ///
    /// # Errors
    /// `InvalidInput`, with the words that there are.
    fn from_str(word: &str) -> Result<Self> {
        let known = Self::PAUSABLE.into_iter().find(|s| s.slug() == word);
        known.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "there is no such step that a run can be paused before",
            )
            .expected(format!(
                "one of {}",
                Self::PAUSABLE.map(Self::slug).join(", ")
            ))
            .found(word)
        })
    }
}

/// How a component's part in a run ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Patched, verified, soaked.
    Done,
    /// Patched and verified; its soak was cut short by the end of the run.
    Unsoaked,
    /// It failed and is back where it was.
    RolledBack,
    /// It failed and was left as it is.
    LeftAsIs,
    /// It failed and was left as it is, and a person attests that it is in service.
    Attested,
    /// It could not begin, and nothing was changed.
    Untouched,
    /// It never had its turn.
    Skipped,
}

/// Where a component is. One phase has at most one effect in flight.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case", tag = "at", content = "then")]
pub enum Phase {
    /// It waits for its turn.
    #[default]
    Waiting,
    /// An operation. To give back here is to give back what was held around it: it is back in service after that.
    Doing(Step),
    /// Read what is there after applying.
    VerifyApplied,
    /// Read what is there after the restart.
    VerifyRebooted,
    /// Run its checks.
    Checking,
    /// Back in service, and watched until the soak ends.
    InService,
    /// Read what is there at the end of the soak.
    ConfirmVersions,
    /// Run its checks at the end of the soak.
    ConfirmHealth,
    /// It failed after it was back in service, and waits for a slot to be rolled back in.
    AwaitWayBack,
    /// Read what is there after rolling back.
    VerifyBack,
    /// Run its checks after rolling back.
    CheckingBack,
    /// A person must decide.
    Quarantined,
    /// Give back what is owed, then end. What is left as it is gives back only what was held around it, if there is
    /// something.
    GivingBack(End),
    /// It ended.
    Ended(End),
}

impl Phase {
    /// Whether it draws on the disruption budget: out of service, or nobody knows that it is in service.
    #[must_use]
    pub const fn holds_slot(self) -> bool {
        match self {
            Self::Doing(_)
            | Self::VerifyApplied
            | Self::VerifyRebooted
            | Self::Checking
            | Self::VerifyBack
            | Self::CheckingBack
            | Self::Quarantined
            | Self::GivingBack(End::LeftAsIs)
            | Self::Ended(End::LeftAsIs) => true,
            Self::Waiting
            | Self::InService
            | Self::ConfirmVersions
            | Self::ConfirmHealth
            // It is still in service, if badly; rolling it back takes it out, and for that it needs a slot.
            | Self::AwaitWayBack
            | Self::GivingBack(_)
            | Self::Ended(_) => false,
        }
    }

    /// Whether something happens to it, or a person must see to it that something does.
    #[must_use]
    pub const fn is_on_the_way(self) -> bool {
        !matches!(self, Self::Waiting | Self::InService | Self::Ended(_))
    }

    /// Whether something must be in flight for it.
    #[must_use]
    pub const fn acts(self) -> bool {
        !matches!(
            self,
            Self::Waiting
                | Self::InService
                | Self::AwaitWayBack
                | Self::Quarantined
                | Self::Ended(_)
        )
    }

    /// Whether its part is over.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Ended(_))
    }

    /// Whether the wave after it may go on: it is back in service, or its part is over.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(
            self,
            Self::InService
                | Self::ConfirmVersions
                | Self::ConfirmHealth
                | Self::GivingBack(_)
                | Self::Ended(_)
        )
    }
}

/// How a run ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunVerdict {
    /// Everything was done, with no more failures than the policy tolerates.
    Done,
    /// It stopped because of failures, and a person ended it.
    Halted,
    /// A person ended it before it was through.
    Cancelled,
}

#[cfg(test)]
mod tests {
    use super::Step;

    #[test]
    fn only_what_can_be_paused_before_is_read() {
        for step in Step::PAUSABLE {
            assert_eq!(step.slug().parse().ok(), Some(step));
        }
        for word in [Step::RollBack.slug(), Step::GiveBack.slug(), "wait"] {
            let error = word.parse::<Step>().unwrap_err().to_string();
            assert!(error.contains("reboot-first, stage"), "{error}");
        }
    }
}
