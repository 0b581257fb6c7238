//! What apt would put in.

use async_trait::async_trait;
use patchcore::{
    Error, Result,
    estate::Available,
    id::ComponentId,
    provider::{OpContext, PatchSource, PerComponent},
};

use crate::{client::Fleet, pm::apt::reading};

#[async_trait]
impl PatchSource for Fleet {
    async fn available(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Available>> {
        let answers = self.each(ctx, components, |machine, component, ctx| async move {
            let (read, clocks) = machine.scan(&ctx, &[]).await?;
            machine.is_meant(component, &read.facts)?;
            reading::offer(&read, &clocks).map_err(Error::from)
        });
        Ok(answers.await)
    }
}
