//! The locks of simulated targets.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{provider::SimPorts, world::World};
use crate::{
    error::{Failure, Result},
    id::{ComponentId, OpKey},
    provider::{
        Begun, Claim, DeployRequest, Held, Op, OpContext, PortRequest, Taken, TargetLock,
        lock::fenced,
    },
};

/// The lock of one target.
#[derive(Debug, Clone, Default)]
struct Kept {
    /// The number of the last holding.
    fence: u64,
    held: Option<Held>,
}

/// The locks of targets in memory: the whole contract of [`TargetLock`], for those whose targets live there.
#[derive(Debug, Clone, Default)]
pub struct Locks(BTreeMap<ComponentId, Kept>);

impl Locks {
    /// As [`TargetLock::take`].
    pub fn take(&mut self, component: &ComponentId, claim: &Claim, now: Timestamp) -> Taken {
        let kept = self.0.entry(component.clone()).or_default();
        let mut from = None;
        if let Some(held) = kept.held.take() {
            let held = held.read_at(now);
            if held.claim.is_of(claim) {
                let fence = held.fence;
                kept.held = Some(held.with_seen(now));
                return Taken::Ours { fence };
            }
            if !held.yields_to(claim) {
                kept.held = Some(held.clone());
                return Taken::HeldBy(held);
            }
            from = Some(held);
        }
        kept.fence += 1;
        let fence = kept.fence;
        kept.held = Some(Held::new(claim.clone(), fence, now));
        match from {
            Some(from) => Taken::TakenOver { fence, from },
            None => Taken::Ours { fence },
        }
    }

    /// As [`TargetLock::give_back`].
    pub fn give_back(&mut self, component: &ComponentId, fence: u64) {
        if let Some(kept) = self.0.get_mut(component)
            && kept.held.as_ref().is_some_and(|held| held.fence == fence)
        {
            kept.held = None;
        }
    }

    /// As [`TargetLock::look`].
    #[must_use]
    pub fn look(&self, component: &ComponentId, now: Timestamp) -> Option<Held> {
        let held = self.0.get(component)?.held.as_ref()?;
        Some(held.clone().read_at(now))
    }

    /// A sign of life of whoever comes with the fence of the holding.
    pub fn seen(&mut self, component: &ComponentId, fence: u64, now: Timestamp) {
        if let Some(held) = self.0.get_mut(component).and_then(|k| k.held.as_mut())
            && held.fence == fence
        {
            held.seen = now;
        }
    }

    /// Whether whoever comes with this fence may begin something.
    ///
    /// # Errors
    /// `Fenced`.
    pub fn admits(&self, component: &ComponentId, fence: u64, now: Timestamp) -> Result<()> {
        let Some(kept) = self.0.get(component) else {
            return Ok(());
        };
        let admitted = match &kept.held {
            Some(held) => held.fence == fence,
            None => kept.fence <= fence,
        };
        match admitted {
            true => Ok(()),
            false => {
                let by = self.look(component, now);
                Err(fenced(component, fence, kept.fence, by.as_ref()))
            }
        }
    }
}

/// A begin that reached a target, as the target itself noted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Timestamp,
    /// Under which key.
    pub key: OpKey,
    /// With which fence.
    pub fence: u64,
    /// Whether it was let in.
    pub admitted: bool,
}

impl World {
    /// Who has the lock of a component now.
    #[must_use]
    pub fn locked(&self, component: &ComponentId) -> Option<Held> {
        self.locks.look(component, self.now)
    }

    /// Every begin that reached a target of this component, in order.
    #[must_use]
    pub fn arrivals(&self, component: &ComponentId) -> &[Arrival] {
        self.arrivals.get(component).map_or(&[], Vec::as_slice)
    }

    /// A call of whoever holds the locks is a sign of life.
    pub(super) fn heard(&mut self, op: &Op<DeployRequest>, fence: u64) {
        for component in op.request.subjects() {
            self.locks.seen(&component, fence, self.now);
        }
    }

    /// The refusal of a begin that comes with the fence of a holding that is over. Notes every begin.
    pub(super) fn turned_away(&mut self, op: &Op<DeployRequest>, fence: u64) -> Option<Begun> {
        self.heard(op, fence);
        let mut refusal = None;
        for component in op.request.subjects() {
            let answer = self.locks.admits(&component, fence, self.now);
            self.arrivals.entry(component).or_default().push(Arrival {
                at: self.now,
                key: op.key.clone(),
                fence,
                admitted: answer.is_ok(),
            });
            refusal = refusal.or(answer.err());
        }
        refusal.map(|error| Begun::Refused(Failure::from(&error.operation("begin"))))
    }
}

#[async_trait]
impl TargetLock for SimPorts {
    async fn take(&self, ctx: &OpContext, component: &ComponentId, claim: &Claim) -> Result<Taken> {
        let mut world = self.world(ctx)?;
        world.reached(component)?;
        let now = world.now;
        Ok(world.locks.take(component, claim, now))
    }

    async fn give_back(&self, ctx: &OpContext, component: &ComponentId, fence: u64) -> Result<()> {
        let mut world = self.world(ctx)?;
        world.reached(component)?;
        world.locks.give_back(component, fence);
        Ok(())
    }

    async fn look(&self, ctx: &OpContext, component: &ComponentId) -> Result<Option<Held>> {
        let world = self.world(ctx)?;
        world.reached(component)?;
        Ok(world.locks.look(component, world.now))
    }
}
