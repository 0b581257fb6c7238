//! One simulated component: how it is described, and what it is like now.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use super::{chance::uuid, history::History};
use crate::{
    error::Failure,
    estate::{
        ComponentKind, Estimate, Identity, IdentityKind, KeptBackReason, RunningOld, Sighting,
        Unhealthy, WayBackKind,
    },
    id::{ComponentId, OpKey, PatchId, PersonId, Version},
};

/// The first description of a simulated component.
#[derive(Debug, Clone)]
pub struct GuestSpec(pub(super) Guest);

impl GuestSpec {
    pub(super) fn new(id: ComponentId, kind: ComponentKind, seed: u64, at: Timestamp) -> Self {
        let machine = uuid(seed, &["machine", id.as_str()]).replace('-', "");
        let sighting =
            Sighting::new(id.clone(), kind, at).with_identity(IdentityKind::MachineId, &machine);
        Self(Guest::new(sighting, seed))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ComponentId {
        &self.0.sighting.component
    }

    /// One label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.sighting = self.0.sighting.with_label(key, value);
        self
    }

    /// Where it is reached.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.0.sighting = self.0.sighting.with_address(address);
        self
    }

    /// Who is responsible for it.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<PersonId>) -> Self {
        self.0.sighting = self.0.sighting.with_owner(owner);
        self
    }

    /// An identity in place of the drawn machine id, or beside it where the kind differs.
    #[must_use]
    pub fn identity(mut self, kind: IdentityKind, value: &str) -> Self {
        self.0.sighting.identities.retain(|i| i.kind != kind);
        self.0
            .sighting
            .identities
            .insert(Identity::new(kind, value));
        self
    }

    /// A package and the version of it that is installed. The repository serves that version, so that there
    /// is a way back to it, unless [`GuestSpec::old_version_gone`] says otherwise.
    #[must_use]
    pub fn package(mut self, name: impl Into<PatchId>, version: impl Into<Version>) -> Self {
        self.0.installed.insert(name.into(), version.into());
        self
    }

    /// A package that would come in newly when it is published, such as a kernel whose name holds its version.
    #[must_use]
    pub fn wants(mut self, name: impl Into<PatchId>) -> Self {
        self.0.wants.insert(name.into());
        self
    }

    /// Somebody set this package on hold.
    #[must_use]
    pub fn hold(self, name: impl Into<PatchId>) -> Self {
        self.keep_back(name, KeptBackReason::Held)
    }

    /// The tool knows newer versions of this package and does not offer them.
    #[must_use]
    pub fn keep_back(mut self, name: impl Into<PatchId>, reason: KeptBackReason) -> Self {
        self.0.kept_back.insert(name.into(), reason);
        self
    }

    /// The repository no longer has the installed version of this package: there is no way back to it.
    #[must_use]
    pub fn old_version_gone(mut self, name: impl Into<PatchId>) -> Self {
        self.0.old_gone.insert(name.into());
        self
    }

    /// A package was left half-configured by somebody else.
    #[must_use]
    pub fn half_configured(mut self, name: impl Into<PatchId>) -> Self {
        self.0.half_configured.insert(name.into());
        self
    }

    /// It waits for a restart already, for this reason.
    #[must_use]
    pub fn restart_wanted(mut self, why: impl Into<String>) -> Self {
        self.0
            .restart_wanted
            .get_or_insert_default()
            .push(why.into());
        self
    }

    /// How long applying takes, in place of a figure drawn from number and size of the patches.
    #[must_use]
    pub fn takes(mut self, p50: Duration, p95: Duration) -> Self {
        self.0.takes = Some(Estimate::new(p50, p95));
        self
    }

    /// How long a restart takes. Default 1 minute, and 2 minutes in 5 % of the cases.
    #[must_use]
    pub fn restart_takes(mut self, p50: Duration, p95: Duration) -> Self {
        self.0.restart_takes = Estimate::new(p50, p95);
        self
    }
}

/// Whether a component runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    On,
    /// On its way down and up again.
    Restarting,
    /// It did not come back.
    Gone,
}

/// What one stage operation keeps.
#[derive(Debug, Clone, Default)]
pub(super) struct Stage {
    /// Fetched, so that it goes in even if the repository withdraws it.
    pub(super) fetched: BTreeSet<(PatchId, Version)>,
    /// Kept for the way back.
    pub(super) kept: BTreeSet<(PatchId, Version)>,
}

/// What holds the package tool of a component on our behalf.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToolUse {
    pub(super) job: u64,
    pub(super) since: Timestamp,
    /// Its services are out meanwhile.
    pub(super) disruptive: bool,
}

/// What a simulated component is like now.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) sighting: Sighting,
    pub(super) installed: BTreeMap<PatchId, Version>,
    pub(super) half_configured: BTreeSet<PatchId>,
    /// Further faults that were there before.
    pub(super) faults: Vec<Unhealthy>,
    pub(super) pending_activation: BTreeMap<PatchId, Version>,
    pub(super) power: Power,
    pub(super) boots: u32,
    pub(super) boot_id: String,
    /// What runs until the next restart, where that is not what is installed.
    pub(super) still_runs: BTreeMap<PatchId, Option<Version>>,
    /// Reasons from before; `None`: the tool cannot say whether a restart is wanted.
    pub(super) restart_wanted: Option<Vec<String>>,
    /// `None`: the tool cannot say.
    pub(super) running_old: Option<Vec<RunningOld>>,
    pub(super) wants: BTreeSet<PatchId>,
    pub(super) kept_back: BTreeMap<PatchId, KeptBackReason>,
    /// Of these the tool does not say which newer version it keeps back.
    pub(super) kept_back_unsaid: BTreeSet<PatchId>,
    /// Installed versions at the beginning that the repository no longer has.
    pub(super) old_gone: BTreeSet<PatchId>,
    pub(super) began_with: BTreeMap<PatchId, Version>,
    pub(super) refreshed: Timestamp,
    pub(super) stages: BTreeMap<OpKey, Stage>,
    pub(super) tool: Option<ToolUse>,
    pub(super) takes: Option<Estimate>,
    pub(super) restart_takes: Estimate,
    /// By what it goes back; `None`: the tool cannot say whether it can.
    pub(super) way_back_by: Option<WayBackKind>,
    /// Why the tool cannot read it; such a component is only listed.
    pub(super) unreadable: Option<Failure>,
    /// Why nobody can say what is on offer.
    pub(super) no_offer: Option<Failure>,
    pub(super) history: History,
}

impl Guest {
    pub(super) fn new(sighting: Sighting, seed: u64) -> Self {
        let boot_id = uuid(seed, &["boot", sighting.component.as_str(), "0"]);
        Self {
            refreshed: sighting.at,
            sighting,
            installed: BTreeMap::new(),
            half_configured: BTreeSet::new(),
            faults: Vec::new(),
            pending_activation: BTreeMap::new(),
            power: Power::On,
            boots: 0,
            boot_id,
            still_runs: BTreeMap::new(),
            restart_wanted: Some(Vec::new()),
            running_old: Some(Vec::new()),
            wants: BTreeSet::new(),
            kept_back: BTreeMap::new(),
            kept_back_unsaid: BTreeSet::new(),
            old_gone: BTreeSet::new(),
            began_with: BTreeMap::new(),
            stages: BTreeMap::new(),
            tool: None,
            takes: None,
            restart_takes: Estimate::new(Duration::from_secs(60), Duration::from_secs(120)),
            way_back_by: Some(WayBackKind::OldPackages),
            unreadable: None,
            no_offer: None,
            history: History::default(),
        }
    }

    pub(super) fn id(&self) -> &ComponentId {
        &self.sighting.component
    }

    /// When its tool last heard from the repository: by `refresh`, or by its own daily timer.
    pub(super) fn catalogue_as_of(&self, now: Timestamp) -> Timestamp {
        const DAY: i64 = 24 * 3600;
        let days = now.duration_since(self.refreshed).as_secs() / DAY;
        let since = Duration::from_secs(u64::try_from(days * DAY).unwrap_or_default());
        self.refreshed.checked_add(since).unwrap_or(now)
    }

    /// Whether the repository lost the version that was there at the beginning.
    pub(super) fn is_gone(&self, patch: &PatchId, version: &Version) -> bool {
        self.old_gone.contains(patch) && self.began_with.get(patch) == Some(version)
    }

    /// Brings one package to a version.
    pub(super) fn put(&mut self, patch: &PatchId, version: Option<&Version>) {
        match version {
            Some(version) => self.installed.insert(patch.clone(), version.clone()),
            None => self.installed.remove(patch),
        };
        self.half_configured.remove(patch);
        // Back at what runs: no restart is wanted for it any more.
        if self
            .still_runs
            .get(patch)
            .is_some_and(|runs| runs.as_ref() == version)
        {
            self.still_runs.remove(patch);
        }
    }

    /// A restart came to its end.
    pub(super) fn started(&mut self, seed: u64) {
        self.boots += 1;
        self.boot_id = uuid(seed, &["boot", self.id().as_str(), &self.boots.to_string()]);
        self.power = Power::On;
        self.still_runs.clear();
        // What the tool cannot say stays unsaid.
        if let Some(reasons) = &mut self.restart_wanted {
            reasons.clear();
        }
        if let Some(processes) = &mut self.running_old {
            processes.clear();
        }
        self.installed.append(&mut self.pending_activation);
    }
}
