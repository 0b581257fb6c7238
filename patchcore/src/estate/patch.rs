//! A change on offer, how exactly its content is fixed, and what was left out of an offer.

use std::{collections::BTreeSet, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PatchClass;
use crate::id::{AdvisoryId, PatchId, Version};

/// What applying a patch does to its component while it happens.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Impact {
    /// Nothing notices.
    None,
    /// Applied to the running system.
    Live,
    /// Services that use it restart.
    ServiceRestart,
    /// A host gives up part of its capacity.
    PartialMaintenance,
    /// The component restarts.
    Reboot,
    /// The component loses power.
    PowerCycle,
}

/// How exactly the content of a patch is fixed between approval and apply.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pin {
    /// To the byte.
    Artifact {
        /// SHA-256 of the file, hexadecimal.
        sha256: String,
    },
    /// To a version; the repository is trusted to serve one content per version.
    Version,
    /// To a name only.
    NamesOnly,
    /// The provider decides what goes in.
    ProviderManaged,
}

/// One software change on offer for one component.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[non_exhaustive]
pub struct Patch {
    /// Its name.
    pub id: PatchId,
    /// The version that is there now; none where the patch brings something new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Version>,
    /// The version that will be there.
    pub to: Version,
    /// What it is for.
    pub class: PatchClass,
    /// What it does while it happens; unknown counts as a reboot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<Impact>,
    /// How exactly its content is fixed.
    pub pin: Pin,
    /// Weaknesses and bulletins it answers.
    #[serde(default)]
    pub advisories: BTreeSet<AdvisoryId>,
    /// Bytes to fetch, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Patches (name and version) whose content this one carries too.
    #[serde(default)]
    pub contains: BTreeSet<(PatchId, Version)>,
    /// Patches (name and version) that this one corrects or replaces.
    #[serde(default)]
    pub supersedes: BTreeSet<(PatchId, Version)>,
    /// Why the vendor took it back, where he did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalled: Option<String>,
}

impl Patch {
    /// A patch to a version, of unknown class-specific facts.
    pub fn new(
        id: impl Into<PatchId>,
        from: Option<Version>,
        to: impl Into<Version>,
        class: PatchClass,
    ) -> Self {
        Self {
            id: id.into(),
            from,
            to: to.into(),
            class,
            impact: None,
            pin: Pin::Version,
            advisories: BTreeSet::new(),
            size: None,
            contains: BTreeSet::new(),
            supersedes: BTreeSet::new(),
            recalled: None,
        }
    }

    /// What it does while it happens.
    #[must_use]
    pub fn with_impact(mut self, impact: Impact) -> Self {
        self.impact = Some(impact);
        self
    }

    /// How exactly its content is fixed.
    #[must_use]
    pub fn with_pin(mut self, pin: Pin) -> Self {
        self.pin = pin;
        self
    }

    /// One weakness or bulletin it answers.
    #[must_use]
    pub fn with_advisory(mut self, id: impl Into<AdvisoryId>) -> Self {
        self.advisories.insert(id.into());
        self
    }

    /// Bytes to fetch.
    #[must_use]
    pub fn with_size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// The impact, where unknown counts as a reboot.
    #[must_use]
    pub fn assumed_impact(&self) -> Impact {
        self.impact.unwrap_or(Impact::Reboot)
    }

    /// The change as it is sent to a tool.
    #[must_use]
    pub fn change(&self) -> PatchChange {
        PatchChange {
            patch: self.id.clone(),
            from: self.from.clone(),
            to: Some(self.to.clone()),
            pin: self.pin.clone(),
        }
    }
}

/// A change as it is sent to a tool: exactly from this version, exactly to that one.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct PatchChange {
    /// Its name.
    pub patch: PatchId,
    /// The version that must be there before; none: it must be absent.
    pub from: Option<Version>,
    /// The version that must be there after; none: it must be absent.
    pub to: Option<Version>,
    /// How exactly its content is fixed.
    pub pin: Pin,
}

impl PatchChange {
    /// The change back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            patch: self.patch.clone(),
            from: self.to.clone(),
            to: self.from.clone(),
            pin: Pin::Version,
        }
    }
}

impl fmt::Display for PatchChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "{} {from} → {to}", self.patch),
            (None, Some(to)) => write!(f, "{} {to} (new)", self.patch),
            (Some(from), None) => write!(f, "{} {from} → removed", self.patch),
            (None, None) => write!(f, "{}", self.patch),
        }
    }
}

/// Why a tool does not offer a newer version that it knows.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeptBackReason {
    /// Somebody set it on hold.
    Held,
    /// The vendor rolls it out in steps and this component is not yet in.
    Phased {
        /// How far the vendor's rollout is.
        percent: u8,
    },
    /// Its dependencies cannot be met.
    Dependency,
    /// It would remove another package.
    WouldRemove {
        /// What would go.
        removes: Vec<PatchId>,
    },
}

impl fmt::Display for KeptBackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held => f.write_str("held: somebody set it on hold"),
            Self::Phased { percent } => write!(
                f,
                "phased: the vendor's rollout is at {percent} % and this machine is not in it yet"
            ),
            Self::Dependency => f.write_str("its dependencies cannot be met"),
            Self::WouldRemove { removes } => {
                f.write_str("it would remove ")?;
                for (i, name) in removes.iter().enumerate() {
                    write!(f, "{}{name}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

/// A newer version that the tool knows and does not offer.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct KeptBack {
    /// Its name.
    pub patch: PatchId,
    /// The version that is there now.
    pub from: Option<Version>,
    /// The version it could have, where the tool says.
    pub to: Option<Version>,
    /// Why not.
    pub reason: KeptBackReason,
}
