//! What is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OpContext;
use crate::{
    error::{Failure, Result},
    estate::{RedundancyGroup, Relation, Scan, Sighting},
    id::ComponentId,
};

/// Everything one provider sees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Listing {
    /// Components.
    pub sightings: Vec<Sighting>,
    /// How they depend on each other.
    pub relations: Vec<Relation>,
    /// Which stand in for each other.
    pub groups: Vec<RedundancyGroup>,
    /// What was read of components, where the provider learns both in one call; they are not scanned a second
    /// time. The failure where one could not be read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scans: BTreeMap<ComponentId, std::result::Result<Scan, Failure>>,
    /// Those that it only sees, such as machines on a host that it patches: it is not asked what is installed on them or
    /// on offer for them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub seen_only: BTreeSet<ComponentId>,
}

impl Listing {
    /// A listing of components only.
    #[must_use]
    pub fn of(sightings: Vec<Sighting>) -> Self {
        Self {
            sightings,
            ..Self::default()
        }
    }
}

/// Lists components.
///
/// # Contract
/// - Reads only. The same estate gives the same ids every time.
/// - A partial listing is an error, not a shorter list: what is missing from a list counts as gone.
/// - A scan that comes with it is of a component in it, and is what `Deployer::scan` would answer.
///
/// Conformance: `inventory_*` in `patchcore-testkit`.
#[async_trait]
pub trait InventorySource: Debug + Send + Sync + 'static {
    /// Everything this provider sees.
    ///
    /// # Errors
    /// Any kind; discovery keeps it as a fact and goes on with the other providers.
    async fn list(&self, ctx: &OpContext) -> Result<Listing>;
}
