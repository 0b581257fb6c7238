//! What is taken before a change and given back after it: alerts silenced, another patcher or a backup job paused.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Evidence, OpContext, Operations, PerComponent, PortRequest};
use crate::{
    error::Result,
    id::{ComponentId, OpKey},
};

/// What a bracket does to the thing that it is taken from.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BracketKind {
    /// Alerts about the component reach nobody.
    Silence,
    /// Whatever works on the component by itself, such as another patcher or a backup job, begins nothing there.
    Pause,
}

impl BracketKind {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Silence, Self::Pause];

    /// The word of the policy.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Pause => "pause",
        }
    }

    /// What was done, as a sentence begins.
    #[cfg(feature = "sqlite")]
    pub(crate) const fn taken_words(self) -> &'static str {
        match self {
            Self::Silence => "its alerts were silenced",
            Self::Pause => "what works on it by itself was paused",
        }
    }

    /// What should be seen.
    #[cfg(feature = "sqlite")]
    pub(crate) const fn held_words(self) -> &'static str {
        match self {
            Self::Silence => "alerts that reach nobody",
            Self::Pause => "a pause",
        }
    }
}

/// The verbs of a [`Bracket`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "verb", deny_unknown_fields)]
#[non_exhaustive]
pub enum BracketRequest {
    /// Takes it.
    Take {
        /// Around whom.
        components: Vec<ComponentId>,
        /// What.
        kind: BracketKind,
        /// For how long it must hold. A target that lets go by itself does so later than that, and one that never does
        /// holds it until it is given back.
        #[serde(with = "crate::clock::iso")]
        #[schemars(with = "String")]
        at_least: Duration,
    },
    /// Gives it back.
    GiveBack {
        /// Around whom.
        components: Vec<ComponentId>,
        /// What.
        kind: BracketKind,
        /// The operation that took it.
        taken: OpKey,
    },
}

impl BracketRequest {
    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> BracketKind {
        match self {
            Self::Take { kind, .. } | Self::GiveBack { kind, .. } => *kind,
        }
    }
}

impl PortRequest for BracketRequest {
    const PORT: &'static str = "bracket";

    fn verb(&self) -> &'static str {
        match self {
            Self::Take { .. } => "take",
            Self::GiveBack { .. } => "give_back",
        }
    }

    fn subjects(&self) -> BTreeSet<ComponentId> {
        match self {
            Self::Take { components, .. } | Self::GiveBack { components, .. } => {
                components.iter().cloned().collect()
            }
        }
    }

    fn only(&self, keep: &BTreeSet<ComponentId>) -> Option<Self> {
        let mut narrowed = self.clone();
        match &mut narrowed {
            Self::Take { components, .. } | Self::GiveBack { components, .. } => {
                components.retain(|c| keep.contains(c));
            }
        }
        (!narrowed.subjects().is_empty()).then_some(narrowed)
    }
}

/// What a provider of brackets can take.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct BracketCapabilities {
    /// Which kinds. Another answers `Unsupported` from `prepare`.
    pub kinds: BTreeSet<BracketKind>,
}

impl BracketCapabilities {
    /// These kinds.
    #[must_use]
    pub fn of(kinds: impl IntoIterator<Item = BracketKind>) -> Self {
        Self {
            kinds: kinds.into_iter().collect(),
        }
    }
}

/// Whether what an operation took is there.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Holding {
    /// It is there, as read back.
    Held(Evidence),
    /// It is not.
    NotHeld {
        /// What is there instead, as a sentence.
        found: String,
    },
}

/// Takes something around a change, and gives it back.
///
/// # Contract
/// - `Take` is undone by the `GiveBack` that names it: `undo` of a `Take` is that request, and there is no other.
/// - What somebody else holds already is nobody's but theirs: `prepare` of a `Take` answers `AlreadyHolds` only where
///   the target counts one holding in all and theirs will outlast ours; then nothing is owed, and nothing given back.
/// - `prepare` of a `GiveBack` answers `ChangedMeanwhile` when what is there is not what the `Take` left: it is never
///   overwritten. What is gone because its time was over is given back: `AlreadyHolds`.
/// - `held` reads the target and not what the provider remembers.
///
/// Conformance: `bracket_*` and `operations_*` in `patchcore-testkit`.
#[async_trait]
pub trait Bracket: Operations<BracketRequest> {
    /// What it can take.
    fn capabilities(&self) -> BracketCapabilities;

    /// Whether what an operation took is there now, for each of these components.
    ///
    /// # Errors
    /// For the whole call only; what concerns one component stands in its answer.
    async fn held(
        &self,
        ctx: &OpContext,
        kind: BracketKind,
        taken: &OpKey,
        components: &[ComponentId],
    ) -> Result<PerComponent<Holding>>;
}
