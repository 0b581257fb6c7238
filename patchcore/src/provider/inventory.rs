//! What is there.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::OpContext;
use crate::{
    error::Result,
    estate::{RedundancyGroup, Relation, Sighting},
};

/// Everything one provider sees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Listing {
    /// Components.
    pub sightings: Vec<Sighting>,
    /// How they depend on each other.
    pub relations: Vec<Relation>,
    /// Which stand in for each other.
    pub groups: Vec<RedundancyGroup>,
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
