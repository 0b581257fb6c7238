//! The hosts of a cluster as components.

use std::net::IpAddr;

use async_trait::async_trait;
use patchcore::{
    Result,
    error::Failure,
    estate::{ComponentKind, IdentityKind, Sighting},
    provider::{InventorySource, Listing, OpContext},
};

use crate::{deployer::scan, drainer::VsphereCluster};

#[async_trait]
impl InventorySource for VsphereCluster {
    /// The hosts of the cluster, each with what it runs and what the image has for it. Its machines are known to the
    /// roll, and are components of who patches them.
    async fn list(&self, ctx: &OpContext) -> Result<Listing> {
        ctx.check()?;
        let roster = self.inner.vcenter.roster(&self.inner.object).await?;
        let hosts = roster.hosts.values().cloned().collect();
        self.inner.names.learn(&roster).await;
        let (seen, _) = self.hosts_now(&hosts, false).await?;
        let image = self.image_now().await?;
        let mut listing = Listing::default();
        for (id, host) in seen {
            let mut sighting = Sighting::new(id.clone(), ComponentKind::Host, ctx.now())
                .with_label("cluster", self.inner.cluster.name.clone());
            let name = id.as_str();
            if name.contains('.') && name.parse::<IpAddr>().is_err() {
                sighting = sighting.with_identity(IdentityKind::Fqdn, name);
            }
            if let Some(uuid) = host.as_ref().ok().and_then(|host| host.uuid.as_deref()) {
                sighting = sighting.with_identity(IdentityKind::BiosUuid, uuid);
            }
            let scanned = host.and_then(|host| scan::scan(&id, &host, image.as_ref(), ctx.now()));
            let scanned = scanned.map_err(|e| Failure::from(&e.operation("scan")));
            listing.sightings.push(sighting);
            listing.scans.insert(id, scanned);
        }
        Ok(listing)
    }
}
