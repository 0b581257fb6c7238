//! The hosts of a cluster as components, and what is around them.

use std::net::IpAddr;

use async_trait::async_trait;
use patchcore::{
    Result,
    error::Failure,
    estate::{ComponentKind, IdentityKind, Relation, RelationKind, Sighting},
    id::ComponentId,
    provider::{InventorySource, Listing, OpContext},
};

use super::{Roster, around::Around};
use crate::{checkup::SupportKind, deployer::scan, drainer::VsphereCluster};

#[async_trait]
impl InventorySource for VsphereCluster {
    /// The hosts of the cluster, each with what it runs and what the image has for it; and what is only seen: the
    /// machines on them, which whoever patches their systems may know by their UUID, and whom the hosts rely on.
    async fn list(&self, ctx: &OpContext) -> Result<Listing> {
        ctx.check()?;
        let (vcenter, object) = (&self.inner.vcenter, &self.inner.object);
        let roster = vcenter.roster(object).await?;
        let hosts = roster.hosts.values().cloned().collect();
        self.inner.names.learn(&roster).await;
        let (hosts, at) = self.hosts_now(&hosts, false).await?;
        let image = self.image_now().await?;
        let image = self.with_last_check(image, &hosts).await?;
        let around = vcenter.around(object).await?;
        self.look_ahead().await?;
        let mut listing = Listing::default();
        for (id, host) in hosts {
            let mut sighting = Sighting::new(id.clone(), ComponentKind::Host, ctx.now())
                .with_label("cluster", self.inner.cluster.name.clone());
            let name = id.as_str();
            if name.contains('.') && name.parse::<IpAddr>().is_err() {
                sighting = sighting.with_identity(IdentityKind::Fqdn, name);
            }
            if let Some(uuid) = host.as_ref().ok().and_then(|host| host.uuid.as_deref()) {
                sighting = sighting.with_identity(IdentityKind::BiosUuid, uuid);
            }
            let scanned = match host {
                Err(error) => Err(error),
                Ok(host) => match scan::scan(&id, &host, image.as_ref(), ctx.now()) {
                    Err(error) => Err(error),
                    Ok(mut scan) => {
                        self.foreseen(&mut scan, &id, &host, at).await?;
                        Ok(scan)
                    }
                },
            };
            let scanned = scanned.map_err(|e| Failure::from(&e.operation("scan")));
            listing.sightings.push(sighting);
            listing.scans.insert(id, scanned);
        }
        let seen_only = only_seen(&around, &roster, &mut listing.relations);
        for (id, kind, uuid) in seen_only {
            let mut sighting = Sighting::new(id.clone(), kind, ctx.now());
            if kind == ComponentKind::Guest {
                sighting = sighting.with_label("cluster", self.inner.cluster.name.clone());
            }
            if let Some(uuid) = uuid {
                sighting = sighting.with_identity(IdentityKind::BiosUuid, &uuid);
            }
            listing.sightings.push(sighting);
            listing.seen_only.insert(id);
        }
        listing.relations.sort();
        Ok(listing)
    }
}

/// Machines, and whom hosts rely on that is none of them, each with its UUID; and how they depend on each other.
fn only_seen(
    around: &Around,
    roster: &Roster,
    relations: &mut Vec<Relation>,
) -> Vec<(ComponentId, ComponentKind, Option<String>)> {
    let mut all = Vec::new();
    for machine in &around.machines {
        let Some(id) = roster.machines.get(&machine.object) else {
            continue;
        };
        let uuid = machine.bios_uuid.as_ref().map(|uuid| uuid.value.clone());
        all.push((id.clone(), ComponentKind::Guest, uuid));
        if let Some(host) = machine.host.as_ref().and_then(|h| roster.hosts.get(h)) {
            relations.push(Relation::new(
                id.clone(),
                RelationKind::RunsOn,
                host.clone(),
            ));
        }
    }
    for ((kind, name), hosts) in &around.relies {
        let kind = match kind {
            SupportKind::Dns => RelationKind::ResolvesBy,
            SupportKind::Domain => RelationKind::AuthenticatesBy,
            SupportKind::Ntp => continue,
        };
        let is_it = around.machines.iter().filter(|m| m.known_as.contains(name));
        let mut machines = is_it.filter_map(|machine| roster.machines.get(&machine.object));
        let support = machines.next().cloned().unwrap_or_else(|| {
            let id = ComponentId::from(name.as_str());
            if !all.iter().any(|(known, ..)| *known == id) {
                all.push((id.clone(), ComponentKind::RoleService, None));
            }
            id
        });
        for host in hosts.iter().filter_map(|host| roster.hosts.get(host)) {
            relations.push(Relation::new(host.clone(), kind, support.clone()));
        }
    }
    all.sort();
    all
}
