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
            let offer = host.and_then(|host| match &image {
                Some(image) => Ok(scan::offer(&host, image, ctx.now())),
                None => Err(
                    scan::no_image(&format!("cluster {}", self.inner.cluster.name))
                        .operation("available"),
                ),
            });
            (id, offer)
        });
        Ok(offers.collect())
    }
}
