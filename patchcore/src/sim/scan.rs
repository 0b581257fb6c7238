//! What the simulated tool reads of a component.

use std::time::Duration;

use super::{guest::Guest, world::World};
use crate::{
    error::{Error, Result},
    estate::{
        Available, Busy, Estimate, Impact, KeptBack, Patch, PatchChange, Scan, Unhealthy, WayBack,
    },
    id::{ComponentId, PatchId},
};

impl World {
    /// What is on offer, as the component's tool last heard of it.
    pub(super) fn available(&self, component: &ComponentId) -> Result<Available> {
        self.offer(self.readable(component)?)
    }

    fn offer(&self, guest: &Guest) -> Result<Available> {
        if let Some(failure) = &guest.no_offer {
            return Err(Error::from(failure.clone()));
        }
        let as_of = guest.catalogue_as_of(self.now);
        let mut available = Available::nothing(self.now);
        available.catalogue_as_of = Some(as_of);
        let mut names: Vec<&PatchId> = guest.installed.keys().chain(&guest.wants).collect();
        names.sort();
        names.dedup();
        for name in names {
            let from = guest.installed.get(name);
            let newer = self.catalogue.newer(guest.id(), name, from, as_of);
            // What waits for a restart is not on offer once more.
            let newer = newer.filter(|p| guest.pending_activation.get(name) != Some(&p.to));
            match (newer, guest.kept_back.get(name)) {
                (Some(patch), None) => available.patches.push(patch),
                (Some(patch), Some(reason)) => available.kept_back.push(KeptBack {
                    patch: patch.id,
                    from: patch.from,
                    to: Some(patch.to),
                    reason: reason.clone(),
                }),
                (None, Some(reason)) if guest.kept_back_unsaid.contains(name) => {
                    available.kept_back.push(KeptBack {
                        patch: name.clone(),
                        from: from.cloned(),
                        to: None,
                        reason: reason.clone(),
                    });
                }
                (None, _) => {}
            }
        }
        Ok(available)
    }

    /// Everything that the tool reads.
    pub(super) fn scan(&self, component: &ComponentId) -> Result<Scan> {
        let guest = self.readable(component)?;
        let offer = self.offer(guest).ok();
        let offered = offer.as_ref().map_or(&[][..], |o| &o.patches);
        let mut scan = Scan::new(self.now, guest.installed.clone());
        scan.pending_activation = guest.pending_activation.clone();
        scan.unhealthy = guest.faults.clone();
        scan.unhealthy
            .extend(guest.half_configured.iter().map(|p| Unhealthy {
                what: format!("{p} is half-configured"),
                remedy: format!("run `dpkg --configure {p}` on {component} and read what it says"),
            }));
        scan.busy = self.busy(guest);
        scan.boot_id = Some(guest.boot_id.clone());
        scan.reboot_wanted = guest.restart_wanted.clone().map(|mut why| {
            why.extend(guest.still_runs.iter().map(|(patch, runs)| {
                let now = guest.installed.get(patch);
                let installed = now.map_or("nothing", |v| v.as_str());
                match runs {
                    Some(runs) => format!("{patch} {installed} is installed and {runs} runs"),
                    None => format!("{patch} {installed} is installed and does not run yet"),
                }
            }));
            why.extend(
                guest
                    .pending_activation
                    .iter()
                    .map(|(patch, version)| format!("{patch} {version} waits for it")),
            );
            why
        });
        scan.running_old = guest.running_old.clone();
        scan.way_back = self.way_back(guest, offered);
        let changes: Vec<PatchChange> = offered.iter().map(Patch::change).collect();
        scan.takes = Some(self.estimate(guest, "apply", &changes));
        scan.restart_takes = Some(guest.restart_takes);
        scan.available = offer;
        Ok(scan)
    }

    fn readable(&self, component: &ComponentId) -> Result<&Guest> {
        let guest = self.reached(component)?;
        match &guest.unreadable {
            Some(failure) => Err(Error::from(failure.clone())),
            None => Ok(guest),
        }
    }

    /// Who holds the package lock.
    pub(super) fn busy(&self, guest: &Guest) -> Option<Busy> {
        if let Some(tool) = guest.tool {
            return Some(Busy {
                what: "dpkg".to_owned(),
                holder: format!("patchcore (job {})", tool.job),
                since: Some(tool.since),
            });
        }
        if let Some((holder, since)) = self.scripts.lock_held(guest.id(), self.now) {
            return Some(Busy {
                what: "dpkg".to_owned(),
                holder,
                since: Some(since),
            });
        }
        None
    }

    fn way_back(&self, guest: &Guest, offered: &[Patch]) -> Option<WayBack> {
        let by = guest.way_back_by?;
        // A package that comes in newly goes out again; only a replaced version can be missing.
        let missing: Vec<PatchId> = offered
            .iter()
            .filter(|p| {
                p.from
                    .as_ref()
                    .is_some_and(|from| !self.has_old(guest, &p.id, from))
            })
            .map(|p| p.id.clone())
            .collect();
        let why = "the repository no longer has the installed version".to_owned();
        Some(if missing.is_empty() {
            WayBack::Ready { by }
        } else if missing.len() == offered.len() {
            WayBack::None { why }
        } else {
            WayBack::Partial { by, missing, why }
        })
    }

    /// Whether the repository has a version that a component would go back to.
    pub(super) fn has_old(
        &self,
        guest: &Guest,
        patch: &PatchId,
        version: &crate::id::Version,
    ) -> bool {
        !guest.is_gone(patch, version)
            && self.catalogue.serves(guest.id(), patch, version, self.now)
    }

    /// How long a verb takes for these changes.
    pub(super) fn estimate(&self, guest: &Guest, verb: &str, changes: &[PatchChange]) -> Estimate {
        let bytes: u64 = changes
            .iter()
            .filter_map(|c| Some(self.catalogue.size(guest.id(), &c.patch, c.to.as_ref()?)))
            .sum();
        let seconds = match verb {
            "reboot" => return guest.restart_takes,
            "apply" | "roll_back" => {
                if let Some(takes) = guest.takes {
                    return takes;
                }
                // A package tool starts in about 10 s, takes about 4 s for a package, and unpacks about 10 MB/s.
                10 + 4 * changes.len() as u64 + bytes / 10_000_000
            }
            // About 50 MB/s from a mirror nearby.
            "stage" => 5 + bytes / 50_000_000,
            _ => 4,
        };
        let p50 = Duration::from_secs(seconds);
        Estimate::new(p50, p50.mul_f64(1.6))
    }

    /// Whether changes put services out while they go in.
    pub(super) fn disturbs(&self, guest: &Guest, changes: &[PatchChange]) -> bool {
        changes
            .iter()
            .any(|c| self.catalogue.impact(guest.id(), c) >= Impact::ServiceRestart)
    }
}
