//! Checks of [`InventorySource`](patchcore::provider::InventorySource).

use std::collections::{BTreeMap, BTreeSet};

use patchcore::{
    Timestamp,
    estate::{Identity, IdentityKind, Scan},
    id::ComponentId,
    provider::Listing,
};

use crate::{
    bench::{Bench, Connection},
    check::{Checked, Verdict, demand, fault},
};

async fn list(bench: &Bench, on: &Connection) -> Checked<Listing> {
    match on.inventory()?.list(&bench.reading()).await {
        Ok(listing) => Ok(listing),
        Err(error) => fault(format!("list failed: {}", error.chain())),
    }
}

fn names(listing: &Listing) -> BTreeSet<ComponentId> {
    listing
        .sightings
        .iter()
        .map(|s| s.component.clone())
        .collect()
}

pub(super) async fn inventory_names_the_same_components_twice(bench: &Bench) -> Checked {
    let one = bench.connect().await?;
    let first = names(&list(bench, &one).await?);
    let second = names(&list(bench, &one).await?);
    let third = names(&list(bench, &bench.connect().await?).await?);
    for (again, when) in [(&second, "a second listing"), (&third, "a new process")] {
        demand(again == &first, || {
            format!(
                "{when} names other components: only then {:?}, only before {:?}",
                again.difference(&first).collect::<Vec<_>>(),
                first.difference(again).collect::<Vec<_>>()
            )
        })?;
    }
    Ok(())
}

pub(super) async fn inventory_says_the_same_of_each_component_twice(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let first = list(bench, &on).await?;
    let second = list(bench, &on).await?;
    let both: BTreeSet<ComponentId> = names(&first)
        .intersection(&names(&second))
        .cloned()
        .collect();
    // When something was seen may differ, and what is named differently is another check's matter.
    let kept = |listing: &Listing| -> Vec<_> {
        let mut sightings = listing.sightings.clone();
        sightings.retain(|s| both.contains(&s.component));
        for sighting in &mut sightings {
            sighting.at = Timestamp::UNIX_EPOCH;
        }
        sightings
    };
    let (before, after) = (kept(&first), kept(&second));
    for (was, is) in before.iter().zip(&after) {
        demand(was == is, || {
            format!("a second listing differs: first {was:?}, then {is:?}")
        })?;
    }
    demand(
        first.relations == second.relations && first.groups == second.groups,
        || "a second listing has other relations or groups, or another order of them".to_owned(),
    )
}

pub(super) async fn inventory_names_each_component_once(bench: &Bench) -> Checked {
    let listing = list(bench, &bench.connect().await?).await?;
    let mut counts: BTreeMap<&ComponentId, usize> = BTreeMap::new();
    for sighting in &listing.sightings {
        *counts.entry(&sighting.component).or_default() += 1;
    }
    match counts.into_iter().find(|(_, n)| *n > 1) {
        Some((component, n)) => fault(format!("{component} is listed {n} times")),
        None => Ok(()),
    }
}

pub(super) async fn inventory_names_every_component_of_the_outside(bench: &Bench) -> Checked {
    // A provider that invents names leaves nothing to compare; the check of stable names shows that.
    let on = bench.connect().await?;
    let listed = names(&list(bench, &on).await?);
    if listed != names(&list(bench, &on).await?) {
        return Err(Verdict::Unjudged {
            see: "inventory_names_the_same_components_twice",
            why: "two listings name different components".to_owned(),
        });
    }
    match bench.components().into_iter().find(|c| !listed.contains(c)) {
        Some(missing) => fault(format!("{missing} is there and not listed")),
        None => Ok(()),
    }
}

pub(super) async fn inventory_identities_are_in_normal_form(bench: &Bench) -> Checked {
    let listing = list(bench, &bench.connect().await?).await?;
    for sighting in &listing.sightings {
        for identity in &sighting.identities {
            let normal = Identity::new(identity.kind, &identity.value);
            demand(&normal == identity, || {
                format!(
                    "{}: {} is written {:?}, its normal form is {:?}",
                    sighting.component,
                    identity.kind.words(),
                    identity.value,
                    normal.value
                )
            })?;
            demand(has_the_shape_of_its_kind(identity), || {
                format!(
                    "{}: {:?} has not the shape of a {}",
                    sighting.component,
                    identity.value,
                    identity.kind.words()
                )
            })?;
        }
    }
    Ok(())
}

fn has_the_shape_of_its_kind(identity: &Identity) -> bool {
    let value = identity.value.as_str();
    let hex = |s: &str| s.bytes().all(|b| b.is_ascii_hexdigit());
    match identity.kind {
        IdentityKind::BiosUuid => {
            let parts: Vec<&str> = value.split('-').collect();
            parts.iter().map(|p| p.len()).eq([8, 4, 4, 4, 12]) && parts.into_iter().all(hex)
        }
        IdentityKind::MachineId => value.len() == 32 && hex(value),
        IdentityKind::Fqdn => !value.is_empty() && value.split('.').all(|label| !label.is_empty()),
        _ => !value.is_empty(),
    }
}

pub(super) async fn inventory_scans_are_those_of_scan(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let asked = bench.now();
    let listing = list(bench, &on).await?;
    let listed = names(&listing);
    for (component, early) in &listing.scans {
        demand(listed.contains(component), || {
            format!("a scan of {component} comes with a listing that does not name it")
        })?;
        let late = on
            .deployer()?
            .scan(&bench.reading(), std::slice::from_ref(component))
            .await
            .ok()
            .and_then(|mut answers| answers.remove(component));
        let undated = |scan: &Scan| {
            let mut scan = scan.clone();
            scan.at = Timestamp::UNIX_EPOCH;
            if let Some(offer) = &mut scan.available {
                offer.at = Timestamp::UNIX_EPOCH;
            }
            scan
        };
        match (early, late) {
            (Ok(early), Some(Ok(late))) => {
                demand(undated(early) == undated(&late), || {
                    format!(
                        "{component}: the scan of the listing is {early:?}, a scan of its own {late:?}"
                    )
                })?;
                demand(early.at >= asked, || {
                    format!(
                        "{component}: a listing asked for at {asked} has a scan of {}",
                        early.at
                    )
                })?;
            }
            (Err(_), None | Some(Err(_))) => {}
            (early, late) => {
                return fault(format!(
                    "{component}: the listing says {early:?}, a scan of its own {late:?}"
                ));
            }
        }
    }
    Ok(())
}

pub(super) async fn inventory_changes_nothing(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let before = bench.look_at_all().await?;
    list(bench, &on).await?;
    bench.untouched_since(&before, "list").await
}
