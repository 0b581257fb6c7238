//! A simulated estate that is made from what discovery found in a real one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use super::{build::Sim, guest::Guest, guest::GuestSpec, script::Script, world::World};
use crate::{
    clock::later,
    error::{Error, ErrorKind, Failure},
    estate::{Available, Component, Finding, Inventory, Patch, Sighting, WayBack, WayBackKind},
    id::ComponentId,
};

/// A lock that discovery met is held for this long: about what an unattended upgrade takes.
const LOCK: Duration = Duration::from_secs(10 * 60);

impl Sim {
    /// The same estate as a simulation, from the moment discovery ended: components, labels, groups, relations,
    /// what is installed and wrong, and what is on offer, so that a policy is tried on it before it runs there.
    ///
    /// Of several tools for one component the first stands for all. What could not be learned cannot be
    /// learned here either. A lock that somebody held is released after ten minutes.
    #[must_use]
    pub fn from_inventory(inventory: &Inventory, seed: u64) -> Self {
        let sim = Self::starting(inventory.at, seed);
        sim.world(|world| fill(world, inventory));
        sim
    }
}

fn fill(world: &mut World, inventory: &Inventory) {
    let mut published: BTreeMap<(Timestamp, Patch), BTreeSet<ComponentId>> = BTreeMap::new();
    for (id, component) in &inventory.components {
        let mut guest = Guest::new(sighting(component, inventory.at), world.seed);
        match inventory.findings.get(id).and_then(|f| f.first()) {
            Some(finding) => {
                read(&mut guest, finding, inventory);
                if let Some(busy) = &finding.scan.busy {
                    let from = busy.since.unwrap_or(inventory.at).min(inventory.at);
                    let until = later(inventory.at, LOCK);
                    world.script(Script::lock_held(&busy.holder, from, until).on(id.clone()));
                }
                for patch in offered(finding.available.as_ref()) {
                    published
                        .entry((guest.refreshed, patch))
                        .or_default()
                        .insert(id.clone());
                }
            }
            None => {
                let why = gap(inventory, id, "scan");
                guest.unreadable = Some(why.unwrap_or_else(|| nobody(id, "no tool reads it")));
            }
        }
        world.add(GuestSpec(guest));
    }
    for ((at, patch), components) in published {
        world.catalogue.publish(at, patch, Some(components));
    }
    world.relations = inventory.relations.clone();
    world.groups = inventory.groups.values().cloned().collect();
}

fn sighting(component: &Component, at: Timestamp) -> Sighting {
    let mut sighting = Sighting::new(component.id.clone(), component.kind, at);
    sighting.address = component.address.clone();
    sighting.labels = component.labels.clone();
    sighting.identities = component.identities.clone();
    sighting.owner = component.owner.clone();
    sighting
}

/// Takes over what a tool read.
fn read(guest: &mut Guest, finding: &Finding, inventory: &Inventory) {
    let scan = &finding.scan;
    guest.installed = scan.installed.clone();
    guest.pending_activation = scan.pending_activation.clone();
    guest.faults = scan.unhealthy.clone();
    if let Some(boot_id) = &scan.boot_id {
        guest.boot_id.clone_from(boot_id);
    }
    // What waits for the restart is told anew from what is pending.
    let told: Vec<String> = scan
        .pending_activation
        .iter()
        .map(|(patch, version)| format!("{patch} {version} waits for it"))
        .collect();
    guest.restart_wanted = scan.reboot_wanted.clone().map(|mut reasons| {
        reasons.retain(|r| !told.contains(r));
        reasons
    });
    guest.running_old = scan.running_old.clone();
    guest.takes = scan.takes;
    guest.restart_takes = scan.restart_takes.unwrap_or(guest.restart_takes);

    let id = guest.id().clone();
    match &finding.available {
        Some(available) => {
            let heard = available.catalogue_as_of.unwrap_or(inventory.at);
            guest.refreshed = heard.min(inventory.at);
            let new = available.patches.iter().filter(|p| p.from.is_none());
            guest.wants = new.map(|p| p.id.clone()).collect();
            guest.kept_back = available
                .kept_back
                .iter()
                .map(|k| (k.patch.clone(), k.reason.clone()))
                .collect();
            let unsaid = available.kept_back.iter().filter(|k| k.to.is_none());
            guest.kept_back_unsaid = unsaid.map(|k| k.patch.clone()).collect();
            let new = available.kept_back.iter().filter(|k| k.from.is_none());
            guest.wants.extend(new.map(|k| k.patch.clone()));
        }
        None => {
            let why = gap(inventory, &id, "available");
            guest.no_offer =
                Some(why.unwrap_or_else(|| nobody(&id, "nobody says what is on offer")));
        }
    }
    guest.way_back_by = match &scan.way_back {
        None => None,
        Some(WayBack::Ready { by }) => Some(*by),
        Some(WayBack::Partial { by, missing, .. }) => {
            guest.old_gone = missing.iter().cloned().collect();
            Some(*by)
        }
        Some(WayBack::None { .. }) => {
            guest.old_gone = offered(finding.available.as_ref()).map(|p| p.id).collect();
            Some(WayBackKind::OldPackages)
        }
    };
}

/// Everything that a tool knows to be newer, kept back or not, as the repository publishes it.
fn offered(available: Option<&Available>) -> impl Iterator<Item = Patch> {
    let patches = available
        .into_iter()
        .flat_map(|a| &a.patches)
        .map(|patch| Patch {
            from: None,
            ..patch.clone()
        });
    let kept_back = available
        .into_iter()
        .flat_map(|a| &a.kept_back)
        .filter_map(|k| {
            let class = crate::estate::PatchClass::Other;
            Some(Patch::new(k.patch.clone(), None, k.to.clone()?, class))
        });
    patches.chain(kept_back)
}

fn gap(inventory: &Inventory, component: &ComponentId, call: &str) -> Option<Failure> {
    let found = inventory
        .gaps
        .iter()
        .find(|g| g.component.as_ref() == Some(component) && g.call == call);
    found.map(|g| g.failure.clone())
}

fn nobody(component: &ComponentId, why: &str) -> Failure {
    let error = Error::new(ErrorKind::Unsupported, format!("{component}: {why}"))
        .hint("add a provider that reads it, and discover again");
    Failure::from(&error)
}
