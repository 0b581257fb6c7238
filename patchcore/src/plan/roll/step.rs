//! A roll: the steps, and what each waits for.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{error::Result, id::ComponentId};

/// How a machine is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// While it runs.
    Live,
    /// Stopped, moved and started.
    Cold,
    /// While it runs, with its disk.
    Storage,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// The host takes no more machines.
    Close {
        /// Which.
        host: ComponentId,
    },
    /// A machine moves; it takes its demand at both ends until it is over.
    Migrate {
        /// Which.
        vm: ComponentId,
        /// Where it is.
        from: ComponentId,
        /// Where it will be.
        to: ComponentId,
        /// How.
        how: How,
    },
    /// A machine ends by itself and is waited for.
    AwaitEnd {
        /// Which.
        vm: ComponentId,
        /// Where it is.
        host: ComponentId,
    },
    /// A pinned machine is shut down, or suspended, and keeps its room.
    Stop {
        /// Which.
        vm: ComponentId,
        /// Where it is.
        host: ComponentId,
        /// Whether it is suspended.
        #[serde(default)]
        suspend: bool,
    },
    /// The empty host is patched, restarted and verified.
    Patch {
        /// Which.
        host: ComponentId,
    },
    /// The patched host takes machines again.
    Reopen {
        /// Which.
        host: ComponentId,
    },
    /// A machine that was stopped starts, or is resumed, where it was.
    Start {
        /// Which.
        vm: ComponentId,
        /// Where.
        host: ComponentId,
    },
}

/// Why a step is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reason {
    /// It follows from the step that it belongs to.
    Follows,
    /// A host closes now: it can be emptied, and enough stays open.
    CanBeEmptied {
        /// Hosts that are closed with it.
        closed: u32,
        /// What the open hosts have beyond all demand and the reserve, of the scarcest resource.
        spare: u64,
        /// That resource.
        resource: String,
    },
    /// The destination needs no more patch, so this machine moves once.
    IntoPatched,
    /// No patched host had room: this machine moves again.
    Spill {
        /// How many patched hosts there were.
        patched: u32,
    },
    /// It makes room for another machine.
    MakesRoom {
        /// For which.
        for_vm: ComponentId,
    },
    /// Its host may not close yet, and its machines leave already.
    Ahead,
    /// It cannot move, for this reason.
    Pinned {
        /// As the cluster says.
        reason: String,
    },
    /// It evens the hosts out.
    Balance,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Follows => f.write_str("follows from the steps it waits for"),
            Self::CanBeEmptied {
                closed,
                spare,
                resource,
            } => write!(
                f,
                "can be emptied; with {closed} closed, {spare} {resource} stay beyond demand and reserve"
            ),
            Self::IntoPatched => f.write_str("its new host needs no more patch, so it moves once"),
            Self::Spill { patched: 0 } => {
                f.write_str("no host is patched yet: it moves again when this host is")
            }
            Self::Spill { patched } => write!(
                f,
                "none of {patched} patched hosts had room: it moves again when this host is patched"
            ),
            Self::MakesRoom { for_vm } => write!(f, "makes room for {for_vm}"),
            Self::Ahead => f.write_str("its host may not close yet, and is emptied already"),
            Self::Pinned { reason } => write!(f, "cannot move: {reason}"),
            Self::Balance => f.write_str("evens the hosts out"),
        }
    }
}

/// One step of a roll. Its number is its place in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// The numbers of the steps that are over before it begins; each is smaller than its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<u32>,
    /// It begins no earlier than so many milliseconds after the roll does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<u64>,
    /// Why it is as it is.
    pub reason: Reason,
}

/// Why a host is not patched by a roll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WhyNotRolled {
    /// It is down.
    Down,
    /// A machine on it cannot move, and the policy says to leave its host out.
    SkipHost {
        /// Which machine.
        vm: ComponentId,
    },
    /// A machine on it cannot move, and nobody says what is to be done about it.
    NobodyDecides {
        /// Which machine.
        vm: ComponentId,
    },
    /// No way was found to empty it, which does not say that there is none.
    NotEmptied,
}

impl fmt::Display for WhyNotRolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("it is down"),
            Self::SkipHost { vm } => {
                write!(f, "{vm} cannot move, and the policy leaves its host out")
            }
            Self::NobodyDecides { vm } => write!(
                f,
                "{vm} cannot move, and nobody says what is to be done about it"
            ),
            Self::NotEmptied => {
                f.write_str("no way was found to empty it, which does not say that there is none")
            }
        }
    }
}

/// A host that is not patched by a roll, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostLeftOut {
    /// Which.
    pub host: ComponentId,
    /// Why.
    pub why: WhyNotRolled,
}

/// How a whole cluster is patched. It carries no figure: what it costs is for the checker to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Roll {
    /// Which schema this is: `patchcore.roll/1`.
    pub schema: String,
    /// Every step, each after those it waits for.
    pub steps: Vec<Step>,
    /// Hosts that need the patch and do not get it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<HostLeftOut>,
    /// Whether hosts may be left out that no policy leaves out.
    #[serde(default)]
    pub partial: bool,
}

impl Roll {
    /// The name and version of the stored form.
    pub const SCHEMA: &'static str = "patchcore.roll/1";

    /// Reads the stored form.
    ///
    /// # Errors
    /// `InvalidInput`: not JSON, not a roll, or a roll of a newer version.
    pub fn from_json(text: &str) -> Result<Self> {
        crate::stored::parse(text, Self::SCHEMA, "a roll", "roll.load")
    }

    /// The stored form.
    ///
    /// # Errors
    /// As [`digest::canonical_json`](crate::digest::canonical_json).
    pub fn to_json(&self) -> Result<String> {
        crate::digest::canonical_json(self)
    }

    /// The JSON Schema of the stored form.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).into()
    }
}
