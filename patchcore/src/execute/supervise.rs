//! The one place that spawns: a provider's panic ends its call, not the run, and one that blocks its thread holds
//! up nobody else, unless it promised never to.

use std::{any::Any, collections::BTreeSet, future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;

use super::workers::Workers;
use crate::{
    Timestamp,
    clock::later,
    error::{Error, ErrorKind, Result},
    id::ProviderName,
    provider::OpContext,
};

/// How the providers of one run are called.
#[derive(Debug, Clone)]
pub(super) enum Callers {
    /// On threads of their own, except those that never block.
    On {
        workers: Workers,
        never_block: Arc<BTreeSet<ProviderName>>,
    },
    /// Each call is polled in place, step by step.
    #[cfg(feature = "crash")]
    InStep,
}

impl Callers {
    /// For the calls of one provider.
    pub(super) fn of(&self, provider: &ProviderName) -> Caller {
        match self {
            Self::On { never_block, .. } if never_block.contains(provider) => {
                Caller::in_place(provider)
            }
            Self::On { workers, .. } => Caller::on_threads(workers, provider),
            #[cfg(feature = "crash")]
            Self::InStep => Caller {
                polled: Polled::InStep,
                provider: provider.clone(),
            },
        }
    }
}

/// How a provider is called: each call with a deadline.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    polled: Polled,
    provider: ProviderName,
}

/// Who polls a call.
#[derive(Debug, Clone)]
enum Polled {
    /// A thread that may be blocked.
    OnThread(Workers),
    /// Whoever waits for it: it never blocks.
    InPlace,
    /// The same, and after its deadline nobody: the world in memory says what becomes of it.
    #[cfg(feature = "crash")]
    InStep,
}

impl Caller {
    /// For the calls of one provider, which may block their thread.
    pub(crate) fn on_threads(workers: &Workers, provider: &ProviderName) -> Self {
        Self {
            polled: Polled::OnThread(workers.clone()),
            provider: provider.clone(),
        }
    }

    /// For the calls of one provider that never blocks: each is polled in place by whoever waits for it.
    pub(crate) fn in_place(provider: &ProviderName) -> Self {
        Self {
            polled: Polled::InPlace,
            provider: provider.clone(),
        }
    }

    /// A reading call with a deadline, and what it is called where people read of it.
    ///
    /// After the deadline a call that waits is dropped, and trying again may help. One that blocks its thread cannot
    /// be stopped: nobody knows what it still does, so it is not tried again.
    ///
    /// # Errors
    /// The call's, `Timeout`, and `Cancelled` once nobody drives the run any more.
    ///
    /// # Panics
    /// As the call does.
    pub(crate) async fn call<T: Send + 'static, F>(
        &self,
        what: &str,
        ctx: &OpContext,
        limit: std::time::Duration,
        call: impl FnOnce(OpContext) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.within(what, ctx, limit, true, call).await
    }

    /// A call that changes something: after its deadline it is named and goes on, because dropping it half-way would
    /// leave behind what nobody asked for.
    ///
    /// # Errors
    /// As [`call`](Self::call); a `Timeout` is never retryable.
    ///
    /// # Panics
    /// As the call does.
    pub(crate) async fn effect<T: Send + 'static, F>(
        &self,
        what: &str,
        ctx: &OpContext,
        limit: std::time::Duration,
        call: impl FnOnce(OpContext) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.within(what, ctx, limit, false, call).await
    }

    async fn within<T: Send + 'static, F>(
        &self,
        what: &str,
        ctx: &OpContext,
        limit: std::time::Duration,
        may_be_dropped: bool,
        call: impl FnOnce(OpContext) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        ctx.check()?;
        let since = ctx.now();
        let deadline = later(since, limit);
        let call = call(ctx.clone().with_deadline(deadline));
        let Polled::OnThread(workers) = &self.polled else {
            let mut call = Box::pin(call);
            return tokio::select! {
                biased;
                answer = &mut call => answer,
                () = ctx.clock().passed(limit) => {
                    let error = self.late(what, limit, since);
                    Err(match (may_be_dropped, &self.polled) {
                        (true, _) => error.retryable(None),
                        #[cfg(feature = "crash")]
                        (false, Polled::InStep) => error,
                        (false, _) => {
                            detached(async { drop(contained(call).await) });
                            goes_on(error)
                        }
                    })
                }
            };
        };
        let mut running = workers.start(AssertUnwindSafe(call).catch_unwind());
        tokio::select! {
            biased;
            answer = running.answer() => match answer {
                Some(Ok(answer)) => answer,
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                None => Err(Error::new(
                    ErrorKind::Cancelled,
                    format!("{} was stopped in {what}: its runtime has ended", self.provider),
                )),
            },
            () = ctx.clock().passed(limit) => {
                let stopped = may_be_dropped && running.stop();
                if !may_be_dropped {
                    running.let_go();
                }
                let error = self.late(what, limit, since);
                Err(match stopped {
                    true => error.retryable(None),
                    false if !may_be_dropped => goes_on(error),
                    false => error
                        .consequence("the call blocks its thread and cannot be stopped: nobody knows what it still does")
                        .hint("this is a fault of the provider: report it to its author"),
                })
            }
        }
    }

    fn late(&self, what: &str, limit: std::time::Duration, since: Timestamp) -> Error {
        Error::new(
            ErrorKind::Timeout,
            format!(
                "{} did not answer {what} within {} s, since {}",
                self.provider,
                limit.as_secs(),
                since.strftime("%F %T UTC"),
            ),
        )
    }
}

fn goes_on(late: Error) -> Error {
    late.consequence("the call goes on: nobody knows what it still does")
        .hint("look at the target before you decide")
}

/// Runs an effect to its end, also when nobody waits for it any more, and hands its result on.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that may spawn"
)]
pub(super) fn supervised<F, T>(effect: F, then: impl FnOnce(Result<T>) + Send + 'static)
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    // In a place of its own, because each future that takes it over would keep it once more.
    let effect = Box::pin(effect);
    tokio::spawn(async move {
        let result = contained(effect).await;
        then(result);
    });
}

/// Runs the loop of a run on its own, so that no handle can stop it by being dropped.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that may spawn"
)]
pub(crate) fn detached(run: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(run);
}

/// Turns a panic into an error.
pub(crate) async fn contained<T>(call: impl Future<Output = T>) -> Result<T> {
    caught(call).await.map_err(|said| {
        Error::new(
            ErrorKind::ProviderFault,
            format!("a provider panicked: {said}"),
        )
        .hint("this is a fault of the provider: report it to its author")
    })
}

/// Turns a panic into what it said.
pub(super) async fn caught<T>(call: impl Future<Output = T>) -> Result<T, String> {
    let call = AssertUnwindSafe(call).catch_unwind().await;
    call.map_err(|panic| words(&*panic))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread::{self, ThreadId},
        time::Duration,
    };

    use super::*;
    use crate::{
        clock::{Clock as _, SystemClock},
        provider::CancelToken,
    };

    const SHORT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(600);

    fn ctx() -> OpContext {
        OpContext::reading(Arc::new(SystemClock), Timestamp::MAX, CancelToken::new())
    }

    fn callers() -> [Caller; 2] {
        let (by, other) = (ProviderName::from("waits"), ProviderName::from("blocks"));
        let callers = Callers::On {
            workers: Workers::start_in_this_runtime(),
            never_block: Arc::new(BTreeSet::from([by.clone()])),
        };
        [callers.of(&by), callers.of(&other)]
    }

    #[tokio::test]
    async fn who_never_blocks_is_polled_by_whoever_waits() {
        let here = |_| async { Ok(thread::current().id()) };
        let [in_place, on_threads] = callers();
        let me: ThreadId = thread::current().id();
        let polled_by = |caller: Caller| async move {
            let by = caller.call("a look", &ctx(), LONG, here).await;
            by.unwrap()
        };
        assert_eq!(polled_by(in_place).await, me);
        assert_ne!(polled_by(on_threads).await, me);
    }

    /// Sets a flag some time after its deadline, unless it is dropped before.
    async fn late(done: Arc<AtomicBool>) -> Result<()> {
        SystemClock.pause(Duration::from_millis(50)).await;
        done.store(true, Ordering::Release);
        Ok(())
    }

    #[tokio::test]
    async fn what_changes_something_goes_on_after_its_deadline_wherever_it_is_polled() {
        let ctx = ctx();
        for caller in callers() {
            let done = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&done);
            let said = caller.effect("a change", &ctx, SHORT, |_| late(flag));
            let said = said.await.unwrap_err();
            assert_eq!(said.kind(), ErrorKind::Timeout);
            assert!(!said.is_retryable(), "{said:?}");
            assert!(format!("{said:?}").contains("the call goes on"), "{said:?}");
            let patience = later(ctx.now(), Duration::from_secs(20));
            while !done.load(Ordering::Acquire) {
                assert!(ctx.now() < patience, "{} was dropped", caller.provider);
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn a_look_that_is_late_is_dropped_wherever_it_is_polled() {
        let ctx = ctx();
        for caller in callers() {
            let done = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&done);
            let said = caller.call("a look", &ctx, SHORT, |_| late(flag));
            let said = said.await.unwrap_err();
            assert!(said.is_retryable(), "{said:?}");
            assert_eq!(Arc::strong_count(&done), 1, "nobody holds it any more");
        }
    }
}
