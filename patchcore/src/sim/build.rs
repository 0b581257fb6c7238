//! The simulated estate as a value: describing it, and asking what truly happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use super::{
    brackets::SimBrackets,
    clock::VirtualClock,
    cluster::ClusterSpec,
    guest::GuestSpec,
    history::{Calls, History},
    provider::SimProvider,
    script::Script,
    world::World,
};
use crate::{
    clock::{Clock, SharedClock},
    error::Result,
    estate::{ComponentKind, Patch, RedundancyGroup, Relation, RelationKind},
    id::{ComponentId, OpKey, PatchId, ProviderName, Version},
    provider::{BracketKind, Guarantee},
};

/// A simulated estate: a cheap clone of one world and its time. It outlives every run, so that a run can
/// crash and another one can look for what the first left behind.
#[derive(Debug, Clone)]
pub struct Sim {
    clock: VirtualClock,
    world: Arc<Mutex<World>>,
}

impl Sim {
    /// An empty estate in virtual time. The same seed and the same calls give the same history.
    #[must_use]
    pub fn starting(at: Timestamp, seed: u64) -> Self {
        Self {
            clock: VirtualClock::starting(at),
            world: Arc::new(Mutex::new(World::starting(at, seed))),
        }
    }

    /// A guest.
    #[must_use]
    pub fn guest(
        self,
        name: impl Into<ComponentId>,
        describe: impl FnOnce(GuestSpec) -> GuestSpec,
    ) -> Self {
        self.component(name, ComponentKind::Guest, describe)
    }

    /// Guests that are alike.
    #[must_use]
    pub fn guests<I>(self, names: I, describe: impl Fn(GuestSpec) -> GuestSpec) -> Self
    where
        I: IntoIterator,
        I::Item: Into<ComponentId>,
    {
        names
            .into_iter()
            .fold(self, |sim, name| sim.guest(name, &describe))
    }

    /// A component of any kind that is patched as a guest is, such as an appliance.
    #[must_use]
    pub fn component(
        self,
        name: impl Into<ComponentId>,
        kind: ComponentKind,
        describe: impl FnOnce(GuestSpec) -> GuestSpec,
    ) -> Self {
        self.with(|world| {
            let spec = GuestSpec::new(name.into(), kind, world.seed, world.now);
            world.add(describe(spec));
        })
    }

    /// A cluster of hosts that are components of this estate, and the machines on them. Each amount of a capacity or a
    /// demand is of the resource at its place in `resources`.
    #[must_use]
    pub fn cluster(
        self,
        name: impl Into<ComponentId>,
        resources: impl IntoIterator<Item = impl Into<String>>,
        describe: impl FnOnce(ClusterSpec) -> ClusterSpec,
    ) -> Self {
        let resources = resources.into_iter().map(Into::into).collect();
        let spec = describe(ClusterSpec::new(resources));
        self.with(|world| world.add_cluster(name.into(), spec))
    }

    /// Somebody else moves a machine at this time, where its cluster lets them then.
    #[must_use]
    pub fn moves_at(
        self,
        at: Timestamp,
        vm: impl Into<ComponentId>,
        to: impl Into<ComponentId>,
    ) -> Self {
        self.with(|world| world.moves_at(at, vm.into(), to.into()))
    }

    /// Components that stand in for each other.
    #[must_use]
    pub fn group(self, group: RedundancyGroup) -> Self {
        self.with(|world| world.groups.push(group))
    }

    /// How one component depends on another.
    #[must_use]
    pub fn relation(
        self,
        from: impl Into<ComponentId>,
        kind: RelationKind,
        to: impl Into<ComponentId>,
    ) -> Self {
        self.with(|world| {
            world.relations.insert(Relation::new(from, kind, to));
        })
    }

    /// A patch in the repository, for every component that has the package. Of two versions the one that was
    /// published later is newer, whatever they look like.
    #[must_use]
    pub fn publish(self, patch: Patch) -> Self {
        self.with(|world| world.publish(patch))
    }

    /// A patch in the repository of these components only.
    #[must_use]
    pub fn publish_for<I>(self, components: I, patch: Patch) -> Self
    where
        I: IntoIterator,
        I::Item: Into<ComponentId>,
    {
        let only: BTreeSet<ComponentId> = components.into_iter().map(Into::into).collect();
        self.with(|world| world.catalogue.publish(world.now, patch, Some(only)))
    }

    /// A patch that comes later. A component sees it after its next `refresh`, or by its own daily one.
    #[must_use]
    pub fn publish_at(self, at: Timestamp, patch: Patch) -> Self {
        self.with(|world| world.catalogue.publish(at, patch, None))
    }

    /// A version that the repository takes out at this time. What was fetched before still goes in.
    #[must_use]
    pub fn withdraw_at(
        self,
        at: Timestamp,
        patch: impl Into<PatchId>,
        version: impl Into<Version>,
    ) -> Self {
        self.with(|world| world.catalogue.withdraw(at, patch.into(), version.into()))
    }

    /// A version that the repository replaces by another at this time: approved plans drift.
    #[must_use]
    pub fn replace_at(self, at: Timestamp, version: impl Into<Version>, by: Patch) -> Self {
        let patch = by.id.clone();
        self.withdraw_at(at, patch, version).publish_at(at, by)
    }

    /// A fault.
    #[must_use]
    pub fn script(self, script: Script) -> Self {
        self.with(|world| world.script(script))
    }

    /// What the targets promise about interrupted operations, in place of the default: `Keyed` with a memory
    /// of 30 days, and for `reboot` `Locatable` by the boot id.
    #[must_use]
    pub fn with_guarantee(self, guarantee: Guarantee) -> Self {
        self.with(|world| world.guarantees.for_all = Some(guarantee))
    }

    /// What the targets promise for one verb, such as `apply`.
    #[must_use]
    pub fn with_guarantee_for(self, verb: impl Into<String>, guarantee: Guarantee) -> Self {
        self.with(|world| {
            world.guarantees.by_verb.insert(verb.into(), guarantee);
        })
    }

    fn with(self, change: impl FnOnce(&mut World)) -> Self {
        self.world(change);
        self
    }

    /// The provider, by the name of `sim`. Every one of them sees the same world.
    #[must_use]
    pub fn provider(&self) -> SimProvider {
        SimProvider::new(self.world.clone())
    }

    /// A provider of brackets: something that is taken around a change, such as an alert manager or a backup. It knows
    /// the components of this estate by their names.
    #[must_use]
    pub fn brackets(
        &self,
        name: impl Into<ProviderName>,
        kinds: impl IntoIterator<Item = BracketKind>,
    ) -> SimBrackets {
        SimBrackets::new(name.into(), kinds.into_iter().collect(), self.world.clone())
    }

    /// Its time.
    #[must_use]
    pub fn clock(&self) -> VirtualClock {
        self.clock.clone()
    }

    /// Its time, as an estate takes it.
    #[must_use]
    pub fn shared_clock(&self) -> SharedClock {
        Arc::new(self.clock.clone())
    }

    /// Looks at the world, or changes it, as it is now.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let now = self.clock.now();
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance(now);
        look(&mut world)
    }

    /// The mistakes of the description, all at once: scripts that name what does not exist.
    ///
    /// # Errors
    /// `InvalidInput`. Listing the estate's inventory fails the same way.
    pub fn check(&self) -> Result<()> {
        self.world(|world| world.check())
    }

    /// What is installed on a component now.
    ///
    /// # Errors
    /// `NotFound` if there is no such component.
    pub fn installed(&self, component: &str) -> Result<BTreeMap<PatchId, Version>> {
        self.world(|world| world.installed(&component.into()).cloned())
    }

    /// The version of one package that is installed on a component now.
    #[must_use]
    pub fn version(&self, component: &str, patch: &str) -> Option<Version> {
        self.installed(component).ok()?.get(patch).cloned()
    }

    /// What truly happened to a component so far.
    ///
    /// # Errors
    /// `NotFound` if there is no such component.
    pub fn history(&self, component: &str) -> Result<History> {
        self.world(|world| world.history(&component.into()).cloned())
    }

    /// How often an operation was asked for and how often it began.
    #[must_use]
    pub fn calls(&self, key: &OpKey) -> Calls {
        self.world(|world| world.calls().get(key).copied().unwrap_or_default())
    }

    /// The largest number of these components that were out of service at one instant so far.
    pub fn most_out_of_service<I>(&self, components: I) -> usize
    where
        I: IntoIterator,
        I::Item: Into<ComponentId>,
    {
        let components: Vec<ComponentId> = components.into_iter().map(Into::into).collect();
        self.world(|world| world.most_out_of_service(&components))
    }
}
