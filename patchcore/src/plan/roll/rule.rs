//! What must hold between virtual machines and hosts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::ComponentId;

/// How far apart or how near.
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
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// One host.
    #[default]
    Host,
    /// The hosts of one rack.
    Rack,
    /// The hosts of one site.
    Site,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Rack => "rack",
            Self::Site => "site",
        }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// At most `max_per` of the machines in one place at every instant, at both ends of a move.
    AntiAffinity {
        /// Which machines.
        vms: Vec<ComponentId>,
        /// What a place is.
        #[serde(default)]
        level: Level,
        /// How many may be in one.
        #[serde(default = "one")]
        max_per: u32,
        /// What breaking it costs, where it may be broken; none: it may not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        soft: Option<u32>,
    },
    /// The machines are in one place, and move from one to the next together.
    Affinity {
        /// Which machines.
        vms: Vec<ComponentId>,
        /// What a place is.
        #[serde(default)]
        level: Level,
        /// What breaking it costs, where it may be broken; none: it may not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        soft: Option<u32>,
    },
    /// The machines run on these hosts and no others, as a licence may demand.
    Fence {
        /// Which machines.
        vms: Vec<ComponentId>,
        /// Where they may be.
        hosts: Vec<ComponentId>,
    },
    /// The machines never run on these hosts.
    Avoid {
        /// Which machines.
        vms: Vec<ComponentId>,
        /// Where they may not be.
        hosts: Vec<ComponentId>,
    },
    /// At least `keep` of the machines are neither moving nor stopped.
    KeepUp {
        /// Which machines.
        vms: Vec<ComponentId>,
        /// How many stay.
        keep: u32,
    },
    /// Every host of `before` is patched and open again before one of `after` closes.
    Order {
        /// Which hosts go first.
        before: Vec<ComponentId>,
        /// Which wait for them.
        after: Vec<ComponentId>,
    },
    /// Never are two of these hosts closed at once.
    Exclusive {
        /// Which hosts.
        hosts: Vec<ComponentId>,
    },
}

impl Rule {
    /// The word by which the stored form calls it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::AntiAffinity { .. } => "anti_affinity",
            Self::Affinity { .. } => "affinity",
            Self::Fence { .. } => "fence",
            Self::Avoid { .. } => "avoid",
            Self::KeepUp { .. } => "keep_up",
            Self::Order { .. } => "order",
            Self::Exclusive { .. } => "exclusive",
        }
    }
}

fn one() -> u32 {
    1
}
