//! The machines as components.

use std::collections::BTreeMap;

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Failure, Result, Timestamp,
    estate::{ComponentKind, Identity, IdentityKind, Sighting},
    id::ComponentId,
    provider::{InventorySource, Listing, OpContext},
};

use crate::{
    client::{Fleet, Look, Machine},
    pm::apt::{Facts, reading},
};

#[async_trait]
impl InventorySource for Fleet {
    /// Every machine, whether it answers or not: what an inventory names does not go away because it is down.
    /// One script for each brings what it is, what is installed and what is on offer.
    async fn list(&self, ctx: &OpContext) -> Result<Listing> {
        let at = ctx.now();
        let looks = self
            .all(
                ctx,
                |machine, ctx| async move { machine.look(&ctx, &[]).await },
            )
            .await;
        let mut listing = Listing::default();
        let mut seen = Vec::new();
        for (machine, look) in looks {
            match look {
                Ok(look) => {
                    let name = machine.name(&look.facts);
                    let sighting =
                        machine.sighting(name.clone(), Some(&look.facts), look.clocks.at);
                    let scan = machine
                        .reading(&look)
                        .map_err(|e| Failure::from(&e.operation("scan")));
                    listing.sightings.push(sighting);
                    listing.scans.insert(name.clone(), scan);
                    seen.push((name, look.facts));
                }
                Err(error) => {
                    let Some(name) = machine.config.name.clone() else {
                        return Err(error.operation("inventory.list"));
                    };
                    listing
                        .sightings
                        .push(machine.sighting(name.clone(), None, at));
                    let failure = Failure::from(&error.operation("scan"));
                    listing.scans.insert(name, Err(failure));
                }
            }
        }
        twins(&seen, &mut listing);
        Ok(listing)
    }
}

impl Machine {
    /// What patchcore knows of it after a look.
    pub(crate) fn reading(&self, look: &Look) -> Result<patchcore::estate::Scan> {
        let read = look.scan.as_ref().map_err(Clone::clone)?;
        let mut scan = reading::scan(read, &look.clocks);
        if !self.restarts {
            scan.restart_refused = Some(crate::error::why_no_restart(self.is_own).to_owned());
        }
        Ok(scan)
    }

    fn sighting(&self, name: ComponentId, facts: Option<&Facts>, at: Timestamp) -> Sighting {
        let mut sighting = Sighting::new(name, ComponentKind::Guest, at);
        if let Some(facts) = facts {
            sighting = sighting
                .with_label("os", facts.os_id.as_str())
                .with_label("arch", facts.arch.as_str());
            if let Some(release) = &facts.os_version {
                sighting = sighting.with_label("release", release.as_str());
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
        }
        for (key, value) in &self.config.labels {
            sighting = sighting.with_label(key.as_str(), value.as_str());
        }
        if let Some(owner) = &self.config.owner {
            sighting = sighting.with_owner(owner.clone());
        }
        if let Some(address) = &self.address {
            sighting = sighting.with_address(address.as_str());
        }
        sighting
    }
}

/// A host name with a domain. Without one it is no identity: a thousand machines are called `localhost`.
fn fqdn(node: &str) -> Option<&str> {
    (node.contains('.') && !node.starts_with("localhost.")).then_some(node)
}

/// Two names for one machine, and machines that were cloned with their identity.
///
/// Discovery would make one component of them, and a patch would land on either. So both keep their names, lose
/// the identity that does not tell them apart, and are not planned until a person put it right.
fn twins(seen: &[(ComponentId, Facts)], listing: &mut Listing) {
    let mut by_id: BTreeMap<&str, Vec<&(ComponentId, Facts)>> = BTreeMap::new();
    for machine in seen {
        if let Some(id) = &machine.1.machine_id {
            by_id.entry(id).or_default().push(machine);
        }
    }
    for (id, same) in by_id.into_iter().filter(|(_, same)| same.len() > 1) {
        for (name, facts) in &same {
            let (other, others) = same
                .iter()
                .find(|(other, _)| other != name)
                .map_or((name, facts), |(other, facts)| (other, facts));
            let error = twin(name, facts, other, others, id);
            listing
                .scans
                .insert(name.clone(), Err(Failure::from(&error.operation("scan"))));
            if let Some(sighting) = sighting_of(listing, name) {
                sighting.identities.clear();
            }
        }
    }
    // Containers show the BIOS UUID of the machine that they run on, so that it tells none of them from another.
    let mut by_uuid: BTreeMap<Identity, Vec<&ComponentId>> = BTreeMap::new();
    for (name, facts) in seen {
        if let Some(uuid) = &facts.bios_uuid {
            let identity = Identity::new(IdentityKind::BiosUuid, uuid);
            by_uuid.entry(identity).or_default().push(name);
        }
    }
    for (identity, same) in by_uuid.into_iter().filter(|(_, same)| same.len() > 1) {
        for name in same {
            if let Some(sighting) = sighting_of(listing, name) {
                sighting.identities.remove(&identity);
            }
        }
    }
}

fn sighting_of<'a>(listing: &'a mut Listing, name: &ComponentId) -> Option<&'a mut Sighting> {
    listing.sightings.iter_mut().find(|s| s.component == *name)
}

fn twin(name: &ComponentId, facts: &Facts, other: &ComponentId, others: &Facts, id: &str) -> Error {
    let kind = ErrorKind::AmbiguousIdentity;
    let error = match facts.boot_id == others.boot_id {
        true => Error::new(kind, format!("{name} and {other} are the same machine"))
            .hint("take one of the two out of the inventory"),
        false => Error::new(kind, format!("{name} and {other} have the same machine id"))
            .hint(format!(
                "one was cloned from the other: give {name} or {other} an id of its own (rm /etc/machine-id; systemd-machine-id-setup), restart it, and plan again"
            )),
    };
    error
        .expected("a machine id of its own")
        .found(format!("{id} on both"))
        .consequence("neither is planned")
}
