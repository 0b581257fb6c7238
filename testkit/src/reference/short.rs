//! The short way: a correct simple provider over the same machines.

use std::time::Duration;

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result,
    estate::{Patch, PatchChange, Sighting},
    id::ComponentId,
    provider::{Change, Installed, OpContext, SimpleProvider},
};

use super::{outside::Outside, provider::sightings};

#[derive(Debug)]
pub(super) struct ShortProvider {
    pub(super) outside: Outside,
    pub(super) quiet_after: Option<Duration>,
}

#[async_trait]
impl SimpleProvider for ShortProvider {
    fn quiet_after(&self) -> Option<Duration> {
        self.quiet_after
    }

    async fn components(&self, _ctx: &OpContext) -> Result<Vec<Sighting>> {
        Ok(sightings(&self.outside))
    }

    async fn available(&self, _ctx: &OpContext, component: &ComponentId) -> Result<Vec<Patch>> {
        Ok(self.outside.available(component)?.patches)
    }

    async fn scan(&self, _ctx: &OpContext, component: &ComponentId) -> Result<Installed> {
        let scan = self.outside.scan(component)?;
        let mut installed = Installed::running(scan.installed);
        installed.pending = scan.pending_activation;
        Ok(installed)
    }

    async fn apply(
        &self,
        ctx: &OpContext,
        component: &ComponentId,
        change: &PatchChange,
    ) -> Result<()> {
        // The tool needs a moment for each.
        ctx.sleep(Duration::from_secs(20)).await;
        let mut state = self.outside.now();
        let machine = state.machine_mut(component)?;
        if machine.locked {
            return Err(
                Error::new(ErrorKind::Busy, format!("{component} is locked")).retryable(None),
            );
        }
        let there = machine.installed.get(&change.patch);
        if there != change.from.as_ref() && there != change.to.as_ref() {
            return Err(Error::new(
                ErrorKind::PlanDrift,
                format!("{component}: {} is not as planned", change.patch),
            )
            .hint("plan again and have the new plan approved"));
        }
        let lies = machine.tool_lies;
        let one = Change::new(component.clone(), vec![change.clone()]);
        match machine.put_in(&one) {
            Err(failure) if !lies => Err(failure.into()),
            _ => Ok(()),
        }
    }
}
