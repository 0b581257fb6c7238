//! A correct provider with one planted fault: its lock.

use async_trait::async_trait;
use patchcore::{
    Result,
    id::ComponentId,
    provider::{Claim, Held, OpContext, Taken, TargetLock},
};

use crate::{faulty::FaultyPorts, plant::Plant};

impl FaultyPorts {
    fn lock(&self) -> &dyn TargetLock {
        &**self.inner.lock.as_ref().unwrap()
    }

    /// A begin's context, where the fence counts as far as the fault lets it.
    pub(crate) async fn unfenced(
        &self,
        ctx: &OpContext,
        component: Option<ComponentId>,
    ) -> Result<OpContext> {
        let held = match component {
            Some(component) => self.lock().look(ctx, &component).await?,
            None => None,
        };
        let fence = match (self.plant, held) {
            (Plant::FenceIgnored, Some(held)) => held.fence,
            (Plant::FenceIgnored | Plant::FenceForgottenAfterwards, None) => u64::MAX,
            _ => ctx.fence(),
        };
        Ok(ctx.clone().with_fence(fence))
    }
}

#[async_trait]
impl TargetLock for FaultyPorts {
    async fn take(&self, ctx: &OpContext, component: &ComponentId, claim: &Claim) -> Result<Taken> {
        let held = self.lock().look(ctx, component).await?;
        if self.has(Plant::LockLooksThenWrites) {
            tokio::task::yield_now().await;
        }
        if let Some(held) = held {
            let is_rival = held.claim.journal != claim.journal;
            let is_other = held.claim.opening != claim.opening;
            let gives_way = match self.plant {
                Plant::LockAnewEachTime => held.claim.is_of(claim),
                Plant::LockOpenToCopies => !is_rival && is_other && claim.epoch <= held.claim.epoch,
                Plant::LockLeaseOfTheAsker => is_rival && held.silent_for() >= claim.lease,
                _ => false,
            };
            let stays = match self.plant {
                Plant::LockForEver => is_rival,
                Plant::LockWaitsForItself => !is_rival && is_other,
                _ => false,
            };
            if stays {
                return Ok(Taken::HeldBy(held));
            }
            if gives_way {
                self.lock().give_back(ctx, component, held.fence).await?;
            }
            return Ok(match self.lock().take(ctx, component, claim).await? {
                Taken::HeldBy(mut held) if self.has(Plant::LockHeldBySomebody) => {
                    held.claim.holder = "somebody".to_owned();
                    Taken::HeldBy(held)
                }
                answer => answer,
            });
        }
        Ok(match self.lock().take(ctx, component, claim).await? {
            Taken::HeldBy(held) if self.has(Plant::LockLooksThenWrites) => Taken::Ours {
                fence: held.fence + 1,
            },
            answer => answer,
        })
    }

    async fn give_back(&self, ctx: &OpContext, component: &ComponentId, fence: u64) -> Result<()> {
        let fence = match self.plant {
            Plant::LockStaysTaken => return Ok(()),
            Plant::LockGivenBackByAnybody => {
                let held = self.lock().look(ctx, component).await?;
                held.map_or(fence, |held| held.fence)
            }
            _ => fence,
        };
        self.lock().give_back(ctx, component, fence).await
    }

    async fn look(&self, ctx: &OpContext, component: &ComponentId) -> Result<Option<Held>> {
        self.lock().look(ctx, component).await
    }
}
