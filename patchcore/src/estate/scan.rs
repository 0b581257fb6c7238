//! What was read from a component at one moment.

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KeptBack, Patch};
use crate::id::{PatchId, Version};

/// A fault of a component that was there before we came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unhealthy {
    /// What is wrong, naming the thing: `pc-badpost is half-configured`.
    pub what: String,
    /// What a person can do.
    pub remedy: String,
}

/// Somebody else holds what we need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Busy {
    /// What is held: `dpkg`.
    pub what: String,
    /// Who holds it: `unattended-upgrade (pid 412)`.
    pub holder: String,
    /// Since when, where that can be seen.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
}

/// A process that still runs code that is no longer on disk.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct RunningOld {
    /// The process or the service it belongs to: `nginx.service`, `pc-daemon (pid 88)`.
    pub who: String,
    /// What it still maps.
    pub maps: String,
}

/// How a patched component gets back to where it was.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WayBackKind {
    /// The replaced packages are kept and put in again.
    OldPackages,
    /// The old version is installed again from its source.
    Reinstall,
    /// The other firmware bank.
    Bank,
    /// A snapshot.
    Snapshot,
    /// A backup.
    Restore,
    /// Only the vendor can.
    Vendor,
}

impl WayBackKind {
    /// The words for the plan.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::OldPackages => "old packages kept",
            Self::Reinstall => "old version reinstalled",
            Self::Bank => "other firmware bank",
            Self::Snapshot => "snapshot",
            Self::Restore => "restore from backup",
            Self::Vendor => "by the vendor",
        }
    }
}

/// Whether there is a way back, and by what.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case", tag = "state")]
#[non_exhaustive]
pub enum WayBack {
    /// Everything can go back.
    Ready {
        /// By what.
        by: WayBackKind,
    },
    /// Part of it can go back.
    Partial {
        /// By what.
        by: WayBackKind,
        /// What cannot.
        missing: Vec<PatchId>,
        /// Why.
        why: String,
    },
    /// Nothing can go back.
    None {
        /// Why.
        why: String,
    },
}

/// How long a piece of work takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// Half of the cases take at most this long.
    #[serde(with = "crate::clock::iso")]
    #[schemars(with = "String")]
    pub p50: Duration,
    /// 95 % of the cases take at most this long.
    #[serde(with = "crate::clock::iso")]
    #[schemars(with = "String")]
    pub p95: Duration,
}

impl Estimate {
    /// Both figures.
    #[must_use]
    pub const fn new(p50: Duration, p95: Duration) -> Self {
        Self { p50, p95 }
    }
}

/// What is on offer for a component, as its tool knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Available {
    /// When it was asked.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// When the tool itself last heard from its source; unknown is unknown, not now.
    #[schemars(with = "Option<String>")]
    pub catalogue_as_of: Option<Timestamp>,
    /// What it would put in now.
    pub patches: Vec<Patch>,
    /// What it knows and does not offer.
    pub kept_back: Vec<KeptBack>,
}

impl Available {
    /// An offer without patches.
    #[must_use]
    pub fn nothing(at: Timestamp) -> Self {
        Self {
            at,
            catalogue_as_of: None,
            patches: Vec::new(),
            kept_back: Vec::new(),
        }
    }
}

/// What was read from a component at one moment. What could not be read is `None`, and counts as unsafe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Scan {
    /// When it was read.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Everything installed, at the version that is *running or ready to run*; what waits for a restart stands in `pending_activation`.
    pub installed: BTreeMap<PatchId, Version>,
    /// Flashed or staged, and not running before a restart.
    #[serde(default)]
    pub pending_activation: BTreeMap<PatchId, Version>,
    /// Faults that were there.
    #[serde(default)]
    pub unhealthy: Vec<Unhealthy>,
    /// Who holds the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<Busy>,
    /// A value that changes with every start of the component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// Why a restart is wanted; `Some(vec![])` means none is, `None` means nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_wanted: Option<Vec<String>>,
    /// Processes on old code; `None` means it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_old: Option<Vec<RunningOld>>,
    /// The way back for what is on offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<WayBack>,
    /// How long applying what is on offer takes, without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes: Option<Estimate>,
    /// How long a restart takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_takes: Option<Estimate>,
    /// Why the tool does not restart this component, where it could restart others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_refused: Option<String>,
    /// Other programs that may patch it at any time, outside of windows and rings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_patchers: Vec<String>,
    /// The offer, where the tool learns both in one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<Available>,
}

impl Scan {
    /// A scan that knows nothing but what is installed.
    #[must_use]
    pub fn new(at: Timestamp, installed: BTreeMap<PatchId, Version>) -> Self {
        Self {
            at,
            installed,
            pending_activation: BTreeMap::new(),
            unhealthy: Vec::new(),
            busy: None,
            boot_id: None,
            reboot_wanted: None,
            running_old: None,
            way_back: None,
            takes: None,
            restart_takes: None,
            restart_refused: None,
            other_patchers: Vec::new(),
            available: None,
        }
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is locked by {}", self.what, self.holder)
    }
}
