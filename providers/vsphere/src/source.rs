//! What the image of the cluster has for its hosts.

use async_trait::async_trait;
use patchcore::{
    Result,
    estate::Available,
    id::ComponentId,
    provider::{OpContext, PatchSource, PerComponent},
};

use crate::{deployer::scan, drainer::VsphereCluster};

#[async_trait]
impl PatchSource for VsphereCluster {
    async fn available(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Available>> {
        ctx.check()?;
        let (hosts, _) = self
            .hosts_now(&components.iter().cloned().collect(), false)
            .await?;
        let image = self.image_now().await?;
        let offers = hosts.into_iter().map(|(id, host)| {
            let offer = host.map(|host| scan::offer(&host, image.as_ref(), ctx.now()));
            (id, offer)
        });
        Ok(offers.collect())
    }
}
