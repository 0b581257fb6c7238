//! The machine as a component.

use async_trait::async_trait;
use patchcore::{
    Result, Timestamp,
    estate::{ComponentKind, IdentityKind, Sighting},
    provider::{InventorySource, Listing, OpContext},
};

use crate::{client::Machine, pm::apt::Facts};

#[async_trait]
impl InventorySource for Machine {
    async fn list(&self, ctx: &OpContext) -> Result<Listing> {
        let at = ctx.now();
        let facts = self
            .facts(ctx)
            .await
            .map_err(|e| e.operation("inventory.list"))?;
        Ok(Listing::of(vec![self.sighting(&facts, at)]))
    }
}

impl Machine {
    fn sighting(&self, facts: &Facts, at: Timestamp) -> Sighting {
        let mut sighting = Sighting::new(self.name(facts), ComponentKind::Guest, at)
            .with_label("os", facts.os_id.as_str())
            .with_label("arch", facts.arch.as_str());
        if let Some(release) = &facts.os_version {
            sighting = sighting.with_label("release", release.as_str());
        }
        for (key, value) in &self.config.labels {
            sighting = sighting.with_label(key.as_str(), value.as_str());
        }
        if let Some(owner) = &self.config.owner {
            sighting = sighting.with_owner(owner.clone());
        }
        if self.is_own {
            sighting = sighting.with_address("127.0.0.1");
        }
        for (kind, value) in [
            (IdentityKind::MachineId, facts.machine_id.as_deref()),
            // Only root may read it.
            (IdentityKind::BiosUuid, facts.bios_uuid.as_deref()),
            (IdentityKind::Fqdn, fqdn(&facts.node)),
        ] {
            if let Some(value) = value {
                sighting = sighting.with_identity(kind, value);
            }
        }
        sighting
    }
}

/// A host name with a domain. Without one it is no identity: a thousand machines are called `localhost`.
fn fqdn(node: &str) -> Option<&str> {
    (node.contains('.') && !node.starts_with("localhost.")).then_some(node)
}
