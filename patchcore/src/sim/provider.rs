//! The simulated estate as a provider.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{brackets::SimBrackets, world::World};
use crate::{
    error::{Error, ErrorKind, Result},
    estate::{Available, Sighting},
    id::ComponentId,
    provider::{
        BracketKind, EvidenceLabel, InventorySource, Listing, OpContext, PatchSource, PerComponent,
        Ports, Provider, ProviderInfo,
    },
};

/// The simulated estate as a provider by the name of `sim`. Made by [`Sim::provider`](super::Sim::provider).
#[derive(Debug, Clone)]
pub struct SimProvider {
    info: ProviderInfo,
    ports: Arc<SimPorts>,
    locks: bool,
    brackets: Option<SimBrackets>,
}

impl SimProvider {
    pub(super) fn new(world: Arc<Mutex<World>>) -> Self {
        const VERBS: [&str; 10] = [
            "list",
            "available",
            "scan",
            "refresh",
            "stage",
            "apply",
            "reboot",
            "roll_back",
            "discard",
            "probe",
        ];
        let info = ProviderInfo::new("sim", env!("CARGO_PKG_VERSION"));
        const CLUSTER: [&str; 8] = [
            "view",
            "hold_setting",
            "restore_setting",
            "migrate",
            "shut_down",
            "start",
            "enter_maintenance",
            "exit_maintenance",
        ];
        let has_clusters = !world
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clusters
            .all
            .is_empty();
        let cluster = CLUSTER.into_iter().filter(|_| has_clusters);
        let info = VERBS.into_iter().chain(cluster).fold(info, |info, verb| {
            info.with_evidence(verb, EvidenceLabel::OwnFake)
        });
        Self {
            info,
            ports: Arc::new(SimPorts::new(world)),
            locks: false,
            brackets: None,
        }
    }

    /// With brackets of its own, by the same name.
    #[must_use]
    pub fn with_brackets(mut self, kinds: impl IntoIterator<Item = BracketKind>) -> Self {
        let (name, world) = (self.info.name.clone(), Arc::clone(&self.ports.world));
        self.brackets = Some(SimBrackets::new(name, kinds.into_iter().collect(), world));
        self
    }

    /// With a lock on each target, as machines have that can make a file if it is not there.
    #[must_use]
    pub fn with_target_locks(mut self) -> Self {
        self.locks = true;
        self
    }
}

impl Provider for SimProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        let ports = Ports::none()
            .with_inventory(self.ports.clone())
            .with_source(self.ports.clone())
            .with_deployer(self.ports.clone())
            .with_probe(self.ports.clone());
        let ports = match &self.brackets {
            Some(brackets) => ports.with_bracket(brackets.port()),
            None => ports,
        };
        let ports = match self.ports.world_now().clusters.all.is_empty() {
            true => ports,
            false => ports.with_drainer(self.ports.clone()),
        };
        let ports = match self.locks {
            true => ports.with_lock(self.ports.clone()),
            false => ports,
        };
        ports.never_block()
    }
}

/// All ports over one world.
#[derive(Debug)]
pub(super) struct SimPorts {
    world: Arc<Mutex<World>>,
}

impl SimPorts {
    pub(super) fn new(world: Arc<Mutex<World>>) -> Self {
        Self { world }
    }

    /// The world as it is at the time of a call.
    pub(super) fn world(&self, ctx: &OpContext) -> Result<MutexGuard<'_, World>> {
        ctx.check()?;
        if ctx.now() > ctx.deadline() {
            return Err(
                Error::new(ErrorKind::Timeout, "the call came after its deadline")
                    .expected(format!("by {}", ctx.deadline()))
                    .found(ctx.now().to_string())
                    .consequence("nothing was done")
                    .hint("give the call more time"),
            );
        }
        let mut world = self.world_now();
        world.advance(ctx.now());
        Ok(world)
    }

    /// The world without moving it on, for what does not depend on time.
    pub(super) fn world_now(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer for each component asked.
pub(super) fn each<T>(
    components: &[ComponentId],
    answer: impl Fn(&ComponentId) -> Result<T>,
) -> BTreeMap<ComponentId, Result<T>> {
    components.iter().map(|c| (c.clone(), answer(c))).collect()
}

#[async_trait]
impl InventorySource for SimPorts {
    async fn list(&self, ctx: &OpContext) -> Result<Listing> {
        let world = self.world(ctx)?;
        world.check()?;
        let sightings = world.guests.values().map(|guest| Sighting {
            at: world.now,
            ..guest.sighting.clone()
        });
        let mut listing = Listing::of(sightings.collect());
        listing.relations = world.relations.iter().cloned().collect();
        listing.groups = world.groups.clone();
        Ok(listing)
    }
}

#[async_trait]
impl PatchSource for SimPorts {
    async fn available(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Available>> {
        let world = self.world(ctx)?;
        Ok(each(components, |c| world.available(c)))
    }
}
