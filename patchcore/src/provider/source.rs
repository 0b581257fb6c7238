//! What is on offer.

use std::fmt::Debug;

use async_trait::async_trait;

use super::{OpContext, PerComponent};
use crate::{error::Result, estate::Available, id::ComponentId};

/// Knows what is on offer for a component.
///
/// # Contract
/// - Reads only; not even a catalogue is fetched anew (that is [`DeployRequest::Refresh`](super::DeployRequest::Refresh)).
/// - One answer per component asked. A component that is left out counts as not answered, never as *nothing on offer*.
/// - Nothing that the tool would put in is left out; what it knows and would not put in stands in `kept_back` with the reason.
///
/// Conformance: `source_*` in `patchcore-testkit`.
#[async_trait]
pub trait PatchSource: Debug + Send + Sync + 'static {
    /// What is on offer for each of these components.
    ///
    /// # Errors
    /// For the whole call only; what concerns one component stands in its answer.
    async fn available(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Available>>;
}
