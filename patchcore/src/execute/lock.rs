//! The lock of a target around what is done to it.
//!
//! It is taken before what is there is read, so that a baseline is never one that somebody else then changes, and before
//! the first intent. What it is called with goes to the target with every call. A crash between taking it and recording
//! that is harmless: the next incarnation takes it over under a higher fence.
//!
//! While an effect is on its way the lock is kept alive beside it: half an hour of waiting for another patcher, or a
//! quiet time, says nothing to the target, and must not look like the death of who waits.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    ensure::{PATIENCE, Pause, READ_DEADLINE, Record},
    kernel::{ComponentEvent, Lock, OpResult, OpState},
    patience::Patience,
    supervise::{Caller, contained},
};
use crate::{
    clock::later,
    error::{Error, Failure, Result},
    id::ComponentId,
    mutant::{self, Mutant},
    provider::{Claim, Held, OpContext, Progress, Taken, TargetLock},
};

/// Giving back is tried for this long; what is not given back lapses after its lease, which is longer.
const GIVING_BACK: Duration = Duration::from_secs(5 * 60);

/// A sign of life is given this often in a lease, so that two may be lost.
const SIGNS: u32 = 3;

/// Why a lock was not taken.
struct NotTaken {
    error: Error,
    /// Who has it, as far as the target says so.
    found: Option<Held>,
}

/// The lock of one component's target, for one effect.
#[derive(Debug, Clone)]
pub(super) struct Locker {
    pub(super) port: Arc<dyn TargetLock>,
    pub(super) claim: Arc<Claim>,
    /// What the journal says that we hold.
    pub(super) held: Option<Lock>,
    /// The fence under which an earlier incarnation held it when this one took the run over. Times would not tell whose
    /// it is: the wall clock may have been set between the two.
    pub(super) earlier: Option<u64>,
}

impl Locker {
    /// The context for an operation under the lock, or how it comes out without one.
    ///
    /// # Errors
    /// The journal's only.
    pub(super) async fn hold(
        &self,
        caller: &Caller,
        ctx: &OpContext,
        subject: &ComponentId,
        journaled: Option<&OpState>,
        to: &impl Record,
    ) -> Result<std::result::Result<OpContext, OpResult>> {
        let before = self.held.map(|lock| lock.fence);
        let as_before = || ctx.clone().with_fence(before.unwrap_or_default());
        if mutant::is(Mutant::LockNotTaken) {
            return Ok(Ok(as_before()));
        }
        // Nothing of what runs already is begun again.
        if journaled.is_some_and(|op| op.handle.is_some()) || self.is_fresh(ctx.now()) {
            return Ok(Ok(as_before()));
        }
        match self.taken(caller, ctx, subject, to).await? {
            Ok(fence) => Ok(Ok(ctx.clone().with_fence(fence))),
            // What may have been begun is looked for all the same. To begin it again, the fence of before would have to
            // be the target's still.
            Err(_) if journaled.is_some() => Ok(Ok(as_before())),
            Err(NotTaken { error, found }) => {
                // An incarnation of before took it and died before it recorded that. Nothing was begun under it, and
                // nobody would wait for anything but its lease.
                if let Some(fence) = found.and_then(|held| self.left_behind(&held)) {
                    self.give_back(caller, ctx, subject, fence).await;
                }
                Ok(Err(OpResult::Failed(vec![Failure::from(&error)])))
            }
        }
    }

    /// Whether we hold it by a sign of life so young that nobody else can have it.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.held.is_some_and(|lock| {
            self.is_ours(lock.fence) && now < later(lock.since, self.claim.lease / 2)
        })
    }

    /// Whether a holding is of this incarnation: asking for one of an earlier incarnation would take it over, under
    /// another fence than its operation goes on with.
    fn is_ours(&self, fence: u64) -> bool {
        fence > 0 && self.earlier != Some(fence)
    }

    /// What some work comes to, with the lock kept alive meanwhile.
    pub(super) async fn kept_during<T>(
        &self,
        caller: &Caller,
        ctx: &OpContext,
        subject: &ComponentId,
        fence: u64,
        to: &impl Record,
        mut work: impl Future<Output = T> + Unpin,
    ) -> T {
        if !self.is_ours(fence) {
            return work.await;
        }
        // Beside it in a place of its own: most effects are over before the first sign of life.
        let keeping = Box::pin(self.keep(caller, ctx, subject, fence, to));
        tokio::select! {
            biased;
            done = &mut work => done,
            never = keeping => match never {},
        }
    }

    /// Gives signs of life, until nobody polls it any more. One that is cut off and arrives late prolongs a holding that
    /// is over by a lease at most.
    async fn keep(
        &self,
        caller: &Caller,
        ctx: &OpContext,
        subject: &ComponentId,
        fence: u64,
        to: &impl Record,
    ) -> Infallible {
        // Virtual time counts who sleeps against who is at work, and the work beside this has a guard of its own.
        let at_work = ctx.clock().at_work();
        loop {
            ctx.sleep(self.claim.lease / SIGNS).await;
            if to.may_begin().await.is_err() {
                // Whoever was replaced gives no sign of life either.
                break;
            }
            match self.take(caller, ctx, subject).await {
                Ok(Taken::Ours { fence: now }) if now == fence => {}
                // It could not be asked; it is asked again in time.
                Err(error) => {
                    tracing::debug!(component = %subject, error = %error.chain(), "no sign of life");
                }
                Ok(Taken::HeldBy(held)) => {
                    tracing::warn!(component = %subject, %held, "the lock is lost");
                    break;
                }
                // It lapsed, and went through other hands. The target refuses what goes on under the fence of before, and
                // nothing that is recorded would give this holding back.
                Ok(Taken::Ours { fence: now } | Taken::TakenOver { fence: now, .. }) => {
                    tracing::warn!(component = %subject, fence, now, "the lock was lost");
                    self.give_back(caller, ctx, subject, now).await;
                    break;
                }
            }
        }
        // From here on nobody is at work who will ever sleep again: time would stand still.
        drop(at_work);
        std::future::pending().await
    }

    /// Asks the target once. A provider that panics has answered nothing, and may have taken it all the same: whoever
    /// hears no answer looks who has it.
    async fn take(&self, caller: &Caller, ctx: &OpContext, subject: &ComponentId) -> Result<Taken> {
        let what = format!("the lock of {subject}");
        let (port, claim, subject) = (
            Arc::clone(&self.port),
            Arc::clone(&self.claim),
            subject.clone(),
        );
        let asked = caller.call(&what, ctx, READ_DEADLINE, |ctx| async move {
            port.take(&ctx, &subject, &claim).await
        });
        contained(asked).await?
    }

    /// Takes it, and waits for who has it.
    async fn taken(
        &self,
        caller: &Caller,
        ctx: &OpContext,
        subject: &ComponentId,
        to: &impl Record,
    ) -> Result<std::result::Result<u64, NotTaken>> {
        let since = ctx.now();
        let mut patience = Patience::of(ctx, PATIENCE);
        let mut pause = Pause::new();
        let mut has_waited = false;
        loop {
            // Whoever was replaced could not record that it has the lock, so that nobody would give it back.
            to.may_begin().await?;
            let error = match self.take(caller, ctx, subject).await {
                Ok(Taken::Ours { fence }) => {
                    self.note(fence, None, has_waited, to).await?;
                    return Ok(Ok(fence));
                }
                Ok(Taken::TakenOver { fence, from }) => {
                    tracing::warn!(component = %subject, %from, "the lock is taken over");
                    self.note(fence, Some(from), has_waited, to).await?;
                    return Ok(Ok(fence));
                }
                Ok(Taken::HeldBy(held)) => {
                    if !has_waited {
                        has_waited = true;
                        to.record(ComponentEvent::Stalled {
                            call: "lock".to_owned(),
                            since,
                            why: held.error(subject).to_string(),
                            holder: Some(held.claim.to_string()),
                        })
                        .await?;
                    }
                    held.error(subject)
                }
                Err(error) => error,
            };
            if !error.is_retryable() || patience.is_over() {
                let found = self.found(caller, ctx, subject).await;
                // The target says that we hold it, whatever was answered to taking it: it would be held for nobody else.
                if let Some(held) = &found
                    && held.claim.opening == self.claim.opening
                {
                    self.note(held.fence, None, has_waited, to).await?;
                    return Ok(Ok(held.fence));
                }
                return Ok(Err(NotTaken { error, found }));
            }
            ctx.progress(Progress::message(format!("waits: {error}")));
            ctx.sleep(pause.next(error.retry())).await;
        }
    }

    /// Who holds it, where the target says so.
    async fn found(&self, caller: &Caller, ctx: &OpContext, subject: &ComponentId) -> Option<Held> {
        let what = format!("the lock of {subject}");
        let looking = caller.call(&what, ctx, READ_DEADLINE, |ctx| {
            let (port, subject) = (Arc::clone(&self.port), subject.clone());
            async move { port.look(&ctx, &subject).await }
        });
        looking.await.ok().flatten()
    }

    /// The fence of a holding that an earlier opening of our journal has and never recorded. A target gives such a one to
    /// whoever opened the journal later, so that it may be given back as well.
    fn left_behind(&self, held: &Held) -> Option<u64> {
        let is_of_before =
            held.claim.journal == self.claim.journal && held.claim.epoch < self.claim.epoch;
        (self.held.is_none() && is_of_before).then_some(held.fence)
    }

    async fn note(
        &self,
        fence: u64,
        from: Option<Held>,
        has_waited: bool,
        to: &impl Record,
    ) -> Result<()> {
        if has_waited {
            to.record(ComponentEvent::Moved).await?;
        }
        if self.held.is_some_and(|lock| lock.fence == fence) || mutant::is(Mutant::LockNotJournaled)
        {
            return Ok(());
        }
        to.record(ComponentEvent::Locked {
            fence,
            took_over: from.map(|held| held.to_string()),
        })
        .await
    }

    /// Gives it back, or says why it is left to lapse.
    pub(super) async fn give_back(
        &self,
        caller: &Caller,
        ctx: &OpContext,
        subject: &ComponentId,
        fence: u64,
    ) -> Option<String> {
        let mut patience = Patience::of(ctx, GIVING_BACK);
        let mut pause = Pause::new();
        loop {
            let answer = caller
                .call(
                    &format!("giving back the lock of {subject}"),
                    ctx,
                    READ_DEADLINE,
                    |ctx| {
                        let (port, subject) = (Arc::clone(&self.port), subject.clone());
                        async move { port.give_back(&ctx, &subject, fence).await }
                    },
                )
                .await;
            match answer {
                Ok(()) => return None,
                Err(error) if error.is_retryable() && !patience.is_over() => {
                    ctx.sleep(pause.next(error.retry())).await;
                }
                Err(error) => return Some(error.to_string()),
            }
        }
    }
}
