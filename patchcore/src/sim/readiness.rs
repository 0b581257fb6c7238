//! Whether a verb can begin on a component, judged by what is there now.

use super::{guest::Guest, world::World};
use crate::{
    error::{Error, ErrorKind, Result},
    estate::PatchChange,
    id::{ComponentId, OpKey, PatchId, Version},
    provider::{DeployRequest, Evidence},
};

/// What the state of one component says to a request.
#[derive(Debug)]
pub(super) enum Standing {
    Ready,
    /// What is wanted is so already.
    Holds(Evidence),
    /// Everything that is in the way.
    Blocked(Vec<Error>),
}

/// The changes that a request has for one component.
pub(super) fn changes_for(request: &DeployRequest, component: &ComponentId) -> Vec<PatchChange> {
    match request {
        DeployRequest::Stage { changes }
        | DeployRequest::Apply { changes, .. }
        | DeployRequest::RollBack { changes, .. } => changes
            .iter()
            .filter(|c| c.component == *component)
            .flat_map(|c| c.patches.clone())
            .collect(),
        DeployRequest::Refresh { .. }
        | DeployRequest::Reboot { .. }
        | DeployRequest::Discard { .. } => Vec::new(),
    }
}

impl World {
    /// What the state of a component says to a request.
    pub(super) fn standing(
        &self,
        component: &ComponentId,
        request: &DeployRequest,
    ) -> Result<Standing> {
        let guest = self.reached(component)?;
        if let Some(failure) = &guest.unreadable {
            return Ok(Standing::Blocked(vec![Error::from(failure.clone())]));
        }
        let changes = changes_for(request, component);
        let mut reasons = Vec::new();
        match request {
            DeployRequest::Refresh { .. } => {}
            DeployRequest::Stage { .. } => {
                reasons.extend(changes.iter().flat_map(|c| self.drift(guest, c, None)));
            }
            DeployRequest::Apply { staged, .. } => {
                if let Some(evidence) = self.holds(guest, &changes) {
                    return Ok(Standing::Holds(evidence));
                }
                reasons.extend(self.in_use(guest));
                reasons.extend(unhealthy(guest));
                reasons.extend(
                    changes
                        .iter()
                        .flat_map(|c| self.drift(guest, c, Some(staged))),
                );
            }
            DeployRequest::RollBack { staged, .. } => {
                if let Some(evidence) = self.holds(guest, &changes) {
                    return Ok(Standing::Holds(evidence));
                }
                reasons.extend(self.in_use(guest));
                reasons.extend(
                    changes
                        .iter()
                        .filter_map(|c| self.no_way_back(guest, c, staged)),
                );
            }
            DeployRequest::Reboot { .. } => reasons.extend(self.in_use(guest)),
            DeployRequest::Discard { staged, .. } => {
                if !guest.stages.contains_key(staged) {
                    let evidence = Evidence::observed(self.now, "nothing is kept");
                    return Ok(Standing::Holds(evidence));
                }
            }
        }
        Ok(if reasons.is_empty() {
            Standing::Ready
        } else {
            Standing::Blocked(reasons)
        })
    }

    /// The evidence that every change is there and configured; none where one is not.
    pub(super) fn holds(&self, guest: &Guest, changes: &[PatchChange]) -> Option<Evidence> {
        let there = changes
            .iter()
            .filter(|c| is_at(guest, &c.patch, c.to.as_ref()))
            .count();
        let total = changes.len();
        (there == total).then(|| {
            let saw = format!("dpkg: {there} of {total} at the planned version");
            Evidence::observed(self.now, saw).with_facts(facts(guest, changes))
        })
    }

    fn in_use(&self, guest: &Guest) -> Option<Error> {
        self.busy(guest).map(|busy| {
            Error::new(ErrorKind::Busy, format!("{}: {busy}", guest.id()))
                .hint(format!(
                    "wait for it, or stop {} on {}",
                    busy.holder,
                    guest.id()
                ))
                .retryable(None)
        })
    }

    /// Whether a change is still what was planned: from what is there, to what can be had.
    fn drift(&self, guest: &Guest, change: &PatchChange, staged: Option<&OpKey>) -> Vec<Error> {
        let component = guest.id();
        let patch = &change.patch;
        // One that stands there half-configured is unhealthy, which is said elsewhere, and has not drifted.
        if guest.installed.get(patch) == change.to.as_ref() {
            return Vec::new();
        }
        let mut drift = Vec::new();
        let there = guest.installed.get(patch);
        if there != change.from.as_ref() {
            let error = Error::new(
                ErrorKind::PlanDrift,
                format!("{component}: {patch} is not as approved"),
            );
            drift.push(
                error
                    .expected(words(change.from.as_ref()))
                    .found(words(there))
                    .hint("plan again and have the new plan approved"),
            );
        }
        if let Some(to) = &change.to {
            let wanted = (patch.clone(), to.clone());
            let fetched = staged
                .and_then(|key| guest.stages.get(key))
                .is_some_and(|stage| stage.fetched.contains(&wanted));
            if !fetched && !self.catalogue.serves(component, patch, to, self.now) {
                let error = Error::new(
                    ErrorKind::PlanDrift,
                    format!("{component}: the repository no longer has {patch} {to}"),
                );
                let newest = self.catalogue.newer(component, patch, there, self.now);
                drift.push(match newest {
                    Some(newest) => error.expected(to.as_str()).found(newest.to.as_str()),
                    None => error,
                });
            }
        }
        drift
            .into_iter()
            .map(|e| {
                e.consequence("nothing was changed")
                    .hint("plan again and have the new plan approved")
            })
            .collect()
    }

    fn no_way_back(&self, guest: &Guest, change: &PatchChange, staged: &OpKey) -> Option<Error> {
        let component = guest.id();
        let patch = &change.patch;
        let there = guest.installed.get(patch);
        if is_at(guest, patch, change.to.as_ref()) {
            return None;
        }
        // A half-configured package may stand at either version; both go back.
        if there != change.from.as_ref() && there != change.to.as_ref() {
            let error = Error::new(
                ErrorKind::PlanDrift,
                format!("{component}: {patch} is not what this run put in"),
            );
            return Some(
                error
                    .expected(words(change.from.as_ref()))
                    .found(words(there))
                    .consequence("nothing was changed")
                    .hint("somebody else changed it: look who, then plan again"),
            );
        }
        let to = change.to.as_ref()?;
        (!self.can_get_old(guest, patch, to, staged)).then(|| {
            Error::new(
                ErrorKind::InstallFailed,
                format!(
                    "{component}: {patch} {to} was not kept and the repository no longer has it"
                ),
            )
            .consequence("nothing was changed")
            .hint(format!(
                "restore {component} from its backup, or put {patch} forward"
            ))
        })
    }

    /// Whether an old version can be had, from what was kept or from the repository.
    pub(super) fn can_get_old(
        &self,
        guest: &Guest,
        patch: &PatchId,
        version: &Version,
        staged: &OpKey,
    ) -> bool {
        let kept = guest
            .stages
            .get(staged)
            .is_some_and(|s| s.kept.contains(&(patch.clone(), version.clone())));
        kept || self.has_old(guest, patch, version)
    }
}

/// Whether a package stands at a version and is configured.
pub(super) fn is_at(guest: &Guest, patch: &PatchId, version: Option<&Version>) -> bool {
    guest.installed.get(patch) == version && !guest.half_configured.contains(patch)
}

/// The versions that were read, for the evidence.
pub(super) fn facts(guest: &Guest, changes: &[PatchChange]) -> serde_json::Value {
    changes
        .iter()
        .map(|c| {
            let version = guest.installed.get(&c.patch).map(ToString::to_string);
            (c.patch.to_string(), serde_json::Value::from(version))
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn unhealthy(guest: &Guest) -> Vec<Error> {
    let component = guest.id();
    let half = guest.half_configured.iter().map(|package| {
        Error::new(
            ErrorKind::Unhealthy,
            format!("{component}: {package} is half-configured"),
        )
        .hint(format!(
            "run `dpkg --configure {package}` on {component} and read what it says"
        ))
    });
    let given = guest.faults.iter().map(|fault| {
        Error::new(ErrorKind::Unhealthy, format!("{component}: {}", fault.what))
            .hint(fault.remedy.clone())
    });
    half.chain(given).collect()
}

fn words(version: Option<&Version>) -> String {
    version.map_or_else(|| "not installed".to_owned(), ToString::to_string)
}
