//! The estate as it was found: the result of discovery and the input of planning.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Available, Component, RedundancyGroup, Relation, Scan};
use crate::{
    error::Failure,
    id::{ComponentId, EstateName, GroupName, ProviderName},
    provider::BracketKind,
};

/// Something discovery could not learn. Kept as a fact, because missing data is unsafe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// Who could not.
    pub provider: ProviderName,
    /// About what; none where a whole listing failed.
    pub component: Option<ComponentId>,
    /// During which call.
    pub call: String,
    /// Why.
    pub failure: Failure,
}

/// What a tool can do, and how far that is proven.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// The provider's version.
    pub version: String,
    /// The verbs it claims: `apply`, `stage`, `reboot`, `roll_back`, `refresh`.
    pub can: BTreeSet<String>,
    /// How far each verb is proven, in words.
    pub evidence: BTreeMap<String, String>,
}

/// What one tool says of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The tool that would act.
    pub tool: ProviderName,
    /// The name under which that tool knows the component.
    pub known_as: ComponentId,
    /// What it read.
    pub scan: Scan,
    /// What is on offer; none where nobody could say.
    pub available: Option<Available>,
}

/// The estate as it was found. Ordered maps throughout, so that the order of discovery leaves no trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Inventory {
    /// Which schema this is: `patchcore.inventory/1`.
    pub schema: String,
    /// Whose.
    pub estate: EstateName,
    /// When discovery ended.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Everything found.
    pub components: BTreeMap<ComponentId, Component>,
    /// How they depend on each other.
    pub relations: BTreeSet<Relation>,
    /// Which stand in for each other.
    pub groups: BTreeMap<GroupName, RedundancyGroup>,
    /// The tools that can act.
    pub tools: BTreeMap<ProviderName, Tool>,
    /// What each tool said of each component.
    pub findings: BTreeMap<ComponentId, Vec<Finding>>,
    /// What could not be learned.
    pub gaps: Vec<Gap>,
    /// Which checks somebody can run, by provider: `http`, `command`.
    pub probes: BTreeMap<String, ProviderName>,
    /// Which providers hold what around a change.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub brackets: BTreeMap<ProviderName, BTreeSet<BracketKind>>,
}

impl Inventory {
    /// The name and version of the stored form.
    pub const SCHEMA: &'static str = "patchcore.inventory/1";

    /// The JSON Schema of the stored form.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).into()
    }

    /// An estate in which nothing was found.
    #[must_use]
    pub fn empty(estate: EstateName, at: Timestamp) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            estate,
            at,
            components: BTreeMap::new(),
            relations: BTreeSet::new(),
            groups: BTreeMap::new(),
            tools: BTreeMap::new(),
            findings: BTreeMap::new(),
            gaps: Vec::new(),
            probes: BTreeMap::new(),
            brackets: BTreeMap::new(),
        }
    }
}
