//! Which sightings are one component.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answers, unseen};
use crate::{
    error::{Error, ErrorKind, Result},
    estate::{Component, Identity, IdentityKind, Inventory, RedundancyGroup, Relation, Sighting},
    id::{ComponentId, ProviderName},
    provider::Listing,
};

/// From a provider's name for a component to the estate's name.
pub(super) struct Names(BTreeMap<(ProviderName, ComponentId), ComponentId>);

impl Names {
    /// The estate's name. A name that was not listed stands for itself.
    pub(super) fn of(&self, provider: &ProviderName, known_as: &ComponentId) -> ComponentId {
        self.0
            .get(&(provider.clone(), known_as.clone()))
            .cloned()
            .unwrap_or_else(|| known_as.clone())
    }

    fn listed(&self, provider: &ProviderName, known_as: &ComponentId) -> Option<ComponentId> {
        // A relation may name a component that another provider lists.
        self.0
            .get(&(provider.clone(), known_as.clone()))
            .or_else(|| {
                self.0
                    .iter()
                    .find(|((_, name), _)| name == known_as)
                    .map(|(_, component)| component)
            })
            .cloned()
    }
}

/// Merges sightings: equal names and shared identities join, and joined ones must not contradict each other.
pub(super) fn components(
    answers: &BTreeMap<ProviderName, Answers>,
    inventory: &mut Inventory,
) -> Result<Names> {
    let mut all: Vec<(&ProviderName, &Sighting)> = answers
        .iter()
        .filter_map(|(provider, answer)| match &answer.listing {
            Some(Ok(listing)) => Some(listing.sightings.iter().map(move |s| (provider, s))),
            _ => None,
        })
        .flatten()
        .collect();
    all.sort_by(|a, b| {
        (&a.1.component, a.0, &a.1.identities).cmp(&(&b.1.component, b.0, &b.1.identities))
    });

    let mut sets = Sets::new(all.len());
    let mut by_name: BTreeMap<&ComponentId, usize> = BTreeMap::new();
    let mut by_identity: BTreeMap<&Identity, usize> = BTreeMap::new();
    for (i, (_, sighting)) in all.iter().enumerate() {
        if let Some(&first) = by_name.get(&sighting.component) {
            contradiction(&all, first, i)?;
            sets.join(first, i);
        } else {
            by_name.insert(&sighting.component, i);
        }
        for identity in &sighting.identities {
            if let Some(&first) = by_identity.get(identity) {
                sets.join(first, i);
            } else {
                by_identity.insert(identity, i);
            }
        }
    }

    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for i in 0..all.len() {
        members.entry(sets.root(i)).or_default().push(i);
    }
    let mut names = BTreeMap::new();
    for group in members.values() {
        let component = merged(group.iter().map(|&i| all[i]))?;
        for &i in group {
            names.insert(
                (all[i].0.clone(), all[i].1.component.clone()),
                component.id.clone(),
            );
        }
        inventory.components.insert(component.id.clone(), component);
    }
    Ok(Names(names))
}

/// One name for two machines is refused: a patch would land on the wrong one.
fn contradiction(all: &[(&ProviderName, &Sighting)], a: usize, b: usize) -> Result<()> {
    let (provider_a, a) = all[a];
    let (provider_b, b) = all[b];
    for x in &a.identities {
        let of_kind = |y: &&Identity| y.kind == x.kind;
        let Some(y) = b.identities.iter().find(of_kind) else {
            continue;
        };
        // One machine has several network names; it has one machine id, one serial number and one BIOS UUID.
        if x.kind != IdentityKind::Fqdn && x.value != y.value {
            return Err(two_machines(&a.component, x, provider_a, y, provider_b));
        }
    }
    if a.kind != b.kind {
        return Err(Error::new(
            ErrorKind::AmbiguousIdentity,
            format!("{} is two different things", a.component),
        )
        .expected(format!("a {} (seen by {provider_a})", a.kind.slug()))
        .found(format!("a {} (seen by {provider_b})", b.kind.slug()))
        .operation("discover")
        .consequence("nothing was planned")
        .hint("give one of them another name in its inventory"));
    }
    Ok(())
}

fn two_machines(
    name: &ComponentId,
    x: &Identity,
    by_x: &ProviderName,
    y: &Identity,
    by_y: &ProviderName,
) -> Error {
    Error::new(ErrorKind::AmbiguousIdentity, format!("{name} is the name of two different machines"))
        .expected(format!("{x} (seen by {by_x})"))
        .found(format!("{y} (seen by {by_y})"))
        .operation("discover")
        .consequence("nothing was planned")
        .hint("give one of them another name in its inventory; if one was cloned from the other, give the clone an identity of its own")
}

fn merged<'a>(
    sightings: impl Iterator<Item = (&'a ProviderName, &'a Sighting)> + Clone,
) -> Result<Component> {
    let Some((first_by, first)) = sightings
        .clone()
        .min_by_key(|(provider, s)| (&s.component, *provider))
    else {
        return Err(Error::new(
            ErrorKind::ProviderFault,
            "a component without a sighting",
        ));
    };
    let mut component = Component::new(first.component.clone(), first.kind);
    let mut one_of_each: BTreeMap<IdentityKind, (&Identity, &ProviderName)> = BTreeMap::new();
    for (provider, sighting) in sightings {
        if sighting.kind != component.kind {
            return Err(Error::new(
                ErrorKind::AmbiguousIdentity,
                format!(
                    "{} and {} share an identity and are different things",
                    component.id, sighting.component
                ),
            )
            .expected(format!("a {} (seen by {first_by})", component.kind.slug()))
            .found(format!("a {} (seen by {provider})", sighting.kind.slug()))
            .operation("discover")
            .consequence("nothing was planned")
            .hint("correct the identity in one of the inventories"));
        }
        for identity in &sighting.identities {
            if identity.kind == IdentityKind::Fqdn {
                continue;
            }
            match one_of_each.get(&identity.kind) {
                Some((other, by)) if other.value != identity.value => {
                    return Err(two_machines(&component.id, other, by, identity, provider));
                }
                _ => {
                    one_of_each.insert(identity.kind, (identity, provider));
                }
            }
        }
        if sighting.component != component.id {
            component.also_known_as.insert(sighting.component.clone());
        }
        component.address = component.address.or_else(|| sighting.address.clone());
        component.owner = component.owner.or_else(|| sighting.owner.clone());
        for (key, value) in &sighting.labels {
            component
                .labels
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
        component
            .identities
            .extend(sighting.identities.iter().cloned());
        component.seen_by.insert(provider.clone());
    }
    Ok(component)
}

/// Adds one provider's relations and redundancy groups under the estate's names.
pub(super) fn relations(
    provider: &ProviderName,
    listing: &Listing,
    names: &Names,
    inventory: &mut Inventory,
) -> Result<()> {
    for relation in &listing.relations {
        let name = |known_as| {
            names
                .listed(provider, known_as)
                .ok_or_else(|| unseen(provider, "relation", known_as))
        };
        inventory.relations.insert(Relation {
            from: name(&relation.from)?,
            kind: relation.kind,
            to: name(&relation.to)?,
        });
    }
    for group in &listing.groups {
        let mut members = BTreeSet::new();
        for member in &group.members {
            let seen = names
                .listed(provider, member)
                .ok_or_else(|| unseen(provider, "redundancy group", member))?;
            members.insert(seen);
        }
        let known = inventory
            .groups
            .entry(group.name.clone())
            .or_insert_with(|| RedundancyGroup {
                name: group.name.clone(),
                role: group.role.clone(),
                keep_up: group.keep_up,
                members: BTreeSet::new(),
            });
        // Two providers may each see part of a group; the stricter floor holds.
        known.keep_up = known.keep_up.max(group.keep_up);
        known.members.extend(members);
    }
    Ok(())
}

/// Disjoint sets, small enough that a well-known library would weigh more than its twenty lines.
struct Sets(Vec<usize>);

impl Sets {
    fn new(n: usize) -> Self {
        Self((0..n).collect())
    }

    fn root(&mut self, mut i: usize) -> usize {
        while self.0[i] != i {
            self.0[i] = self.0[self.0[i]];
            i = self.0[i];
        }
        i
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.0[high] = low;
    }
}
