//! What apt would put in.

use async_trait::async_trait;
use patchcore::{
    Error, Result,
    estate::Available,
    id::ComponentId,
    provider::{OpContext, PatchSource, PerComponent},
};

use crate::{client::Machine, error, reading};

#[async_trait]
impl PatchSource for Machine {
    async fn available(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Available>> {
        let at = ctx.now();
        let scan = Self::scan(self, ctx, &[])
            .await
            .map_err(|e| e.operation("available"))?;
        let own = self.name(&scan.facts);
        Ok(components
            .iter()
            .map(|component| {
                let answer = if *component == own {
                    reading::offer(&scan, at).map_err(Error::from)
                } else {
                    Err(error::unknown(component, &own))
                };
                (component.clone(), answer)
            })
            .collect())
    }
}
