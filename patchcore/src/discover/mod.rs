//! From many views to one estate: sightings are merged by identity, findings are attached, gaps are kept.
//!
//! Pure. The calls to providers are made by [`Estate::discover`](crate::Estate); their answers, in whatever
//! order they came, give the same [`Inventory`].

mod merge;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    error::{Error, ErrorKind, Failure, Result},
    estate::{Available, Finding, Gap, Inventory, Scan, Tool},
    id::{ComponentId, EstateName, ProviderName},
    provider::{BracketKind, Listing},
};

/// What one provider answered, as it came.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// What it sees; the error where it could not say.
    pub listing: Option<std::result::Result<Listing, Failure>>,
    /// What it read of each component, by the name it uses.
    pub scans: BTreeMap<ComponentId, std::result::Result<Scan, Failure>>,
    /// What it has on offer for each component, by the name it uses.
    pub available: BTreeMap<ComponentId, std::result::Result<Available, Failure>>,
    /// The kinds of check it can run.
    pub probes: Vec<String>,
    /// What it can hold around a change.
    pub brackets: BTreeSet<BracketKind>,
    /// What it can do as a tool; none where it is no tool.
    pub tool: Option<Tool>,
}

/// Merges what all providers answered into one inventory.
///
/// Sightings that share an identity are one component; its name is the smallest of theirs, so that the order
/// of answers leaves no trace. What could not be learned stays as a [`Gap`].
///
/// # Errors
/// - `AmbiguousIdentity`: one name stands for two machines (same name, same kind of identity, different values),
///   or one machine would have to be two things.
/// - `NotFound`: a relation or a redundancy group names a component that nobody saw.
pub fn discover(
    estate: EstateName,
    at: Timestamp,
    answers: &BTreeMap<ProviderName, Answers>,
) -> Result<Inventory> {
    let mut inventory = Inventory::empty(estate, at);
    let names = merge::components(answers, &mut inventory)?;
    for (provider, answer) in answers {
        if let Some(Err(failure)) = &answer.listing {
            inventory.gaps.push(Gap {
                provider: provider.clone(),
                component: None,
                call: "list".to_owned(),
                failure: failure.clone(),
            });
        }
        if let Some(Ok(listing)) = &answer.listing {
            merge::relations(provider, listing, &names, &mut inventory)?;
        }
        findings(provider, answer, &names, &mut inventory);
        if let Some(tool) = &answer.tool {
            inventory.tools.insert(provider.clone(), tool.clone());
        }
        if !answer.brackets.is_empty() {
            inventory
                .brackets
                .insert(provider.clone(), answer.brackets.clone());
        }
        for kind in &answer.probes {
            inventory
                .probes
                .entry(kind.clone())
                .or_insert_with(|| provider.clone());
        }
    }
    for group in inventory.groups.values() {
        for member in &group.members {
            if let Some(component) = inventory.components.get_mut(member) {
                component.groups.insert(group.name.clone());
            }
        }
    }
    Ok(inventory)
}

/// Attaches one provider's scans and offers to the components they are about.
fn findings(
    provider: &ProviderName,
    answer: &Answers,
    names: &merge::Names,
    inventory: &mut Inventory,
) {
    for (known_as, scan) in &answer.scans {
        let component = names.of(provider, known_as);
        let scan = match scan {
            Ok(scan) => scan,
            Err(failure) => {
                inventory.gaps.push(Gap {
                    provider: provider.clone(),
                    component: Some(component),
                    call: "scan".to_owned(),
                    failure: failure.clone(),
                });
                continue;
            }
        };
        let offer = match (&scan.available, answer.available.get(known_as)) {
            (Some(offer), _) | (None, Some(Ok(offer))) => Some(offer.clone()),
            (None, Some(Err(failure))) => {
                inventory.gaps.push(Gap {
                    provider: provider.clone(),
                    component: Some(component.clone()),
                    call: "available".to_owned(),
                    failure: failure.clone(),
                });
                None
            }
            (None, None) => None,
        };
        inventory
            .findings
            .entry(component)
            .or_default()
            .push(Finding {
                tool: provider.clone(),
                known_as: known_as.clone(),
                scan: Scan {
                    available: None,
                    ..scan.clone()
                },
                available: offer,
            });
    }
}

/// The error for a name that nobody saw.
fn unseen(provider: &ProviderName, what: &str, name: &ComponentId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("{provider}: {what} names {name}, which no provider lists"),
    )
    .operation("discover")
    .consequence("nothing was planned")
    .hint(format!(
        "list {name} in an inventory, or take it out of the {what}"
    ))
}

#[cfg(test)]
mod tests;
