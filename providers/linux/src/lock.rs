//! The lock of each machine, kept on the machine.

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result,
    id::ComponentId,
    provider::{Claim, Held, OpContext, Taken, TargetLock},
};

use crate::{
    client::{Fleet, Machine},
    error,
    job::LockAnswer,
};

#[async_trait]
impl TargetLock for Fleet {
    async fn take(&self, ctx: &OpContext, component: &ComponentId, claim: &Claim) -> Result<Taken> {
        let machine = self.machine(component)?;
        let script = machine
            .config
            .jobs
            .take_lock(&machine.ask_id("take"), claim)?;
        match machine.ask_lock(ctx, component, script).await? {
            LockAnswer::Ours { fence } => Ok(Taken::Ours { fence }),
            LockAnswer::Over { fence, from } => Ok(Taken::TakenOver { fence, from }),
            LockAnswer::Held(held) => Ok(Taken::HeldBy(held)),
            LockAnswer::Free => Err(Error::new(
                ErrorKind::ProviderFault,
                format!("{component}: its lock was taken and is free"),
            )),
        }
    }

    async fn give_back(&self, ctx: &OpContext, component: &ComponentId, fence: u64) -> Result<()> {
        let machine = self.machine(component)?;
        let script = machine
            .config
            .jobs
            .clone()
            .with_fence(fence)
            .give_lock_back(&machine.ask_id("give-back"))?;
        machine.ask_lock(ctx, component, script).await.map(drop)
    }

    async fn look(&self, ctx: &OpContext, component: &ComponentId) -> Result<Option<Held>> {
        let machine = self.machine(component)?;
        let script = machine.config.jobs.look_at_lock(&machine.ask_id("look"))?;
        Ok(match machine.ask_lock(ctx, component, script).await? {
            LockAnswer::Held(held) => Some(held),
            _ => None,
        })
    }
}

impl Machine {
    async fn ask_lock(
        &self,
        ctx: &OpContext,
        component: &ComponentId,
        script: crate::transport::Script,
    ) -> Result<LockAnswer> {
        let output = self.run_briefly(ctx, &script).await?;
        LockAnswer::parse(&output.stdout).map_err(|answer| match answer.kind() {
            ErrorKind::AuthzDenied => error::no_root(component, "patching").source_error(answer),
            _ => answer.context("component", component.as_str()),
        })
    }
}
