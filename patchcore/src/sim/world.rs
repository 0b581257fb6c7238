//! The world: everything that a simulated estate holds, and how it moves on with time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    bracket::Brackets,
    catalogue::Catalogue,
    cluster::{ClusterSpec, Clusters},
    guest::{Guest, GuestSpec, Power},
    history::{Calls, History, OutageCause, most_out_of_service},
    job::{Guarantees, Jobs},
    lock::{Arrival, Locks},
    script::Script,
    scripts::Scripts,
};
use crate::{
    error::{Error, ErrorKind, Result},
    estate::{Patch, RedundancyGroup, Relation},
    id::{ComponentId, OpKey, PatchId, Version},
};

/// Everything that a simulated estate holds. Reached by [`Sim::world`](super::Sim::world).
#[derive(Debug)]
pub struct World {
    pub(super) seed: u64,
    pub(super) now: Timestamp,
    pub(super) guests: BTreeMap<ComponentId, Guest>,
    pub(super) relations: BTreeSet<Relation>,
    pub(super) groups: Vec<RedundancyGroup>,
    pub(super) catalogue: Catalogue,
    pub(super) scripts: Scripts,
    pub(super) guarantees: Guarantees,
    pub(super) jobs: Jobs,
    pub(super) calls: BTreeMap<OpKey, Calls>,
    pub(super) locks: Locks,
    pub(super) brackets: Brackets,
    pub(super) clusters: Clusters,
    pub(super) arrivals: BTreeMap<ComponentId, Vec<Arrival>>,
    due: BTreeMap<(Timestamp, u64), Due>,
    dues: u64,
}

/// What happens when its time has come.
#[derive(Debug, Clone)]
pub(super) enum Due {
    /// A job ends on one of its components.
    TaskEnds { job: u64, component: ComponentId },
    /// A component that lost power is back.
    PowerBack { component: ComponentId },
    /// A script takes the power away.
    PowerLost,
    /// A job on a cluster ends.
    DrainEnds { job: u64 },
    /// Somebody else moves a machine.
    MovedByHand { vm: ComponentId, to: ComponentId },
}

impl World {
    pub(super) fn starting(now: Timestamp, seed: u64) -> Self {
        Self {
            seed,
            now,
            guests: BTreeMap::new(),
            relations: BTreeSet::new(),
            groups: Vec::new(),
            catalogue: Catalogue::default(),
            scripts: Scripts::seeded(seed),
            guarantees: Guarantees::default(),
            jobs: Jobs::default(),
            calls: BTreeMap::new(),
            locks: Locks::default(),
            brackets: Brackets::default(),
            clusters: Clusters::default(),
            arrivals: BTreeMap::new(),
            due: BTreeMap::new(),
            dues: 0,
        }
    }

    /// The time up to which everything has happened.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Publishes a patch now. A component sees it after its next `refresh`, or by its own daily one.
    pub fn publish(&mut self, patch: Patch) {
        self.catalogue.publish(self.now, patch, None);
    }

    /// Takes a version out of the repository now.
    pub fn withdraw(&mut self, patch: impl Into<PatchId>, version: impl Into<Version>) {
        self.catalogue
            .withdraw(self.now, patch.into(), version.into());
    }

    /// Puts a fault in.
    pub fn script(&mut self, script: Script) {
        if let Some(at) = Scripts::power_loss(&script) {
            self.when(at, Due::PowerLost);
        }
        let concerned: Vec<ComponentId> = match &script.only_on {
            Some(only) => only.iter().cloned().collect(),
            None => self.guests.keys().cloned().collect(),
        };
        self.scripts.add(script);
        for component in &concerned {
            self.account(component);
        }
    }

    /// Brings a package to a version behind everybody's back, as a person at the console would.
    ///
    /// # Errors
    /// `NotFound` if there is no such component.
    pub fn install_by_hand(
        &mut self,
        component: impl Into<ComponentId>,
        patch: impl Into<PatchId>,
        version: impl Into<Version>,
    ) -> Result<()> {
        let (component, patch) = (component.into(), patch.into());
        let version = version.into();
        self.guest_mut(&component)?.put(&patch, Some(&version));
        self.account(&component);
        Ok(())
    }

    /// What is installed on a component.
    ///
    /// # Errors
    /// `NotFound` if there is no such component.
    pub fn installed(&self, component: &ComponentId) -> Result<&BTreeMap<PatchId, Version>> {
        Ok(&self.guest(component)?.installed)
    }

    /// Packages of a component that are half-configured.
    ///
    /// # Errors
    /// `NotFound` if there is no such component.
    pub fn half_configured(&self, component: &ComponentId) -> Result<&BTreeSet<PatchId>> {
        Ok(&self.guest(component)?.half_configured)
    }

    /// Stage operations whose files a component still keeps; empty when everything was given back.
    ///
    /// # Errors
    /// `NotFound` if there is no such component.
    pub fn kept_for(&self, component: &ComponentId) -> Result<Vec<OpKey>> {
        Ok(self.guest(component)?.stages.keys().cloned().collect())
    }

    /// What truly happened to a component.
    ///
    /// # Errors
    /// `NotFound` if there is no such component.
    pub fn history(&self, component: &ComponentId) -> Result<&History> {
        Ok(&self.guest(component)?.history)
    }

    /// What truly happened to all components.
    pub fn histories(&self) -> impl Iterator<Item = (&ComponentId, &History)> {
        self.guests.iter().map(|(id, guest)| (id, &guest.history))
    }

    /// How often each operation was asked for and began.
    #[must_use]
    pub fn calls(&self) -> &BTreeMap<OpKey, Calls> {
        &self.calls
    }

    /// The largest number of these components that were out of service at one instant so far.
    pub fn most_out_of_service<'a>(
        &self,
        components: impl IntoIterator<Item = &'a ComponentId>,
    ) -> usize {
        let histories = components.into_iter().filter_map(|c| self.guests.get(c));
        most_out_of_service(histories.map(|g| &g.history))
    }

    /// Scripts whose fault has not happened, in words: a test that planted them did not test them.
    #[must_use]
    pub fn scripts_unmet(&self) -> Vec<String> {
        self.scripts.idle().map(ToString::to_string).collect()
    }

    pub(super) fn add(&mut self, spec: GuestSpec) {
        let mut guest = spec.0;
        for (patch, version) in &guest.installed {
            self.catalogue.began_with(patch.clone(), version.clone());
        }
        guest.began_with = guest.installed.clone();
        let id = guest.id().clone();
        self.guests.insert(id.clone(), guest);
        self.account(&id);
    }

    pub(super) fn guest(&self, component: &ComponentId) -> Result<&Guest> {
        self.guests
            .get(component)
            .ok_or_else(|| unknown(component, self.guests.keys()))
    }

    pub(super) fn guest_mut(&mut self, component: &ComponentId) -> Result<&mut Guest> {
        if !self.guests.contains_key(component) {
            return Err(unknown(component, self.guests.keys()));
        }
        self.guests
            .get_mut(component)
            .ok_or_else(|| unknown(component, [].into_iter()))
    }

    /// An error if nobody reaches the component now.
    pub(super) fn reached(&self, component: &ComponentId) -> Result<&Guest> {
        let guest = self.guest(component)?;
        let why = match guest.power {
            _ if self.scripts.unreachable(component, self.now) => "its address does not answer",
            Power::Restarting => "it restarts",
            Power::Gone => "it did not come back from its restart",
            Power::On => return Ok(guest),
        };
        Err(Error::new(
            ErrorKind::Unreachable,
            format!("{component} cannot be reached: {why}"),
        )
        .hint(format!("wait, or look at the console of {component}"))
        .retryable(None))
    }

    /// What breaks a component's health, in words.
    pub(super) fn broken(&self, guest: &Guest) -> Option<String> {
        if let Some(package) = guest.half_configured.first() {
            return Some(format!("{package} is half-configured"));
        }
        let has = |patch: &PatchId, version: &Version| guest.installed.get(patch) == Some(version);
        self.scripts
            .broken_by(guest.id(), has)
            .map(|(patch, version)| format!("{patch} {version} does not answer"))
    }

    /// Notes whether a component is in service from now on.
    pub(super) fn account(&mut self, component: &ComponentId) {
        let Some(guest) = self.guests.get(component) else {
            return;
        };
        let state = if guest.power != Power::On {
            Some(OutageCause::Restarting)
        } else if guest.tool.is_some_and(|t| t.disruptive) {
            Some(OutageCause::Applying)
        } else {
            self.broken(guest).map(|_| OutageCause::Broken)
        };
        let now = self.now;
        if let Some(guest) = self.guests.get_mut(component) {
            guest.history.account(now, state);
        }
        self.cluster_power(component);
    }

    pub(super) fn add_cluster(&mut self, name: ComponentId, spec: ClusterSpec) {
        self.clusters.all.insert(name, spec.0);
    }

    pub(super) fn when(&mut self, at: Timestamp, due: Due) {
        self.dues += 1;
        self.due.insert((at, self.dues), due);
    }

    /// Lets everything happen that is due until `now`, in order of time.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while let Some(next) = self.due.first_entry().filter(|e| e.key().0 <= now) {
            let ((at, _), due) = next.remove_entry();
            self.now = self.now.max(at);
            match due {
                Due::TaskEnds { job, component } => self.task_ends(job, &component),
                Due::PowerBack { component } => self.started(&component, None),
                Due::PowerLost => self.power_lost(at),
                Due::DrainEnds { job } => self.drain_ends(job),
                Due::MovedByHand { vm, to } => {
                    self.move_by_hand(vm, to);
                }
            }
        }
        self.now = self.now.max(now);
        self.brackets.lapse(self.now);
    }

    /// Mistakes of the description: names that stand for nothing, all at once.
    pub(super) fn check(&self) -> Result<()> {
        let mut mistakes = Vec::new();
        for script in self.scripts.iter() {
            for name in script.only_on.iter().flatten() {
                if !self.guests.contains_key(name) && self.clusters.of(name).is_none() {
                    mistakes.push(format!("script \"{script}\": there is no {name}"));
                }
            }
            if let Some((patch, version)) = script.names()
                && !self.catalogue.knows(patch, version)
            {
                mistakes.push(format!(
                    "script \"{script}\": {patch} {version} is neither published nor installed"
                ));
            }
        }
        for (name, cluster) in &self.clusters.all {
            for host in cluster.hosts.keys() {
                if !self.guests.contains_key(host) {
                    mistakes.push(format!("cluster {name}: its host {host} is no component"));
                }
            }
            for (vm, is) in &cluster.vms {
                if !cluster.hosts.contains_key(&is.host) {
                    mistakes.push(format!(
                        "cluster {name}: {vm} is on {}, which is no host of it",
                        is.host
                    ));
                }
            }
        }
        if mistakes.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, mistakes.join("; "))
            .consequence("nothing was simulated")
            .hint("correct the names, or describe what they stand for"))
    }
}

fn unknown<'a>(component: &ComponentId, known: impl Iterator<Item = &'a ComponentId>) -> Error {
    let nearest = known
        .map(|k| {
            (
                strsim::damerau_levenshtein(k.as_str(), component.as_str()),
                k,
            )
        })
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let error = Error::new(
        ErrorKind::NotFound,
        format!("{component} is not in the simulated estate"),
    );
    match nearest {
        Some((_, name)) => error.hint(format!("did you mean {name}?")),
        None => error.hint("describe it with Sim::guest"),
    }
}
