//! How much of a cluster may be down, and what is kept free.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::ComponentId;

/// What is kept free for hosts that fail, at each close.
///
/// Demand counts whole, not as reservations: that machines are admitted does not mean that they fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ha {
    /// Nothing.
    None,
    /// All demand fits on the open hosts without so many of the largest, resource by resource.
    Failures(u32),
    /// So many per cent of what the open hosts have stay free, resource by resource.
    Percent(u32),
    /// Hosts that take no machine.
    Dedicated {
        /// Which.
        hosts: Vec<ComponentId>,
        /// How many of them are open at every instant.
        keep: u32,
    },
}

impl Default for Ha {
    /// One host may fail.
    fn default() -> Self {
        Self::Failures(1)
    }
}

/// A span of time in which hosts may be touched, counted from when the roll begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollWindow {
    /// Seconds until it opens.
    pub from_s: u64,
    /// Seconds until it closes.
    pub until_s: u64,
}

/// How much may be down, and what is kept free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Hosts that are closed or down at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_hosts_down: Option<u32>,
    /// The same within one rack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_down_per_rack: Option<u32>,
    /// The same within one site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_down_per_site: Option<u32>,
    /// What is kept free for hosts that fail.
    pub ha: Ha,
    /// How full, in per cent of what a host has for machines, a move may make it.
    pub fill_cap_percent: u32,
    /// Moves at once in the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_migrations: Option<u32>,
    /// When hosts may be touched: from its close to its opening, at the speed of 95 % of the cases, a host stays
    /// inside one of these, and so does every move. Empty means always.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<RollWindow>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_hosts_down: None,
            max_down_per_rack: None,
            max_down_per_site: None,
            ha: Ha::default(),
            fill_cap_percent: 100,
            max_migrations: None,
            windows: Vec::new(),
        }
    }
}
