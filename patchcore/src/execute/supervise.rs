//! The one place that spawns: a provider's panic ends its call, not the run, and one that blocks its thread holds
//! up nobody else.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

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
    /// On threads of their own.
    On(Workers),
    /// Each call is polled in place, by whoever waits for it.
    #[cfg(feature = "crash")]
    Here,
}

impl Callers {
    /// For the calls of one provider.
    pub(super) fn of(&self, provider: &ProviderName) -> Caller {
        match self {
            Self::On(workers) => Caller::of(workers, provider),
            #[cfg(feature = "crash")]
            Self::Here => Caller::here(provider),
        }
    }
}

/// How providers are called: on threads of their own, each call with a deadline.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// None: polled in place, by whoever waits for it.
    workers: Option<Workers>,
    provider: ProviderName,
}

impl Caller {
    /// For the calls of one provider.
    pub(crate) fn of(workers: &Workers, provider: &ProviderName) -> Self {
        Self {
            workers: Some(workers.clone()),
            provider: provider.clone(),
        }
    }

    /// For the calls of one provider, each polled in place by whoever waits for it.
    pub(crate) fn here(provider: &ProviderName) -> Self {
        Self {
            workers: None,
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
        let Some(workers) = &self.workers else {
            return tokio::select! {
                biased;
                answer = call => answer,
                () = ctx.clock().passed(limit) => {
                    // What would go on is not polled any more: the world in memory says what becomes of it.
                    let error = self.late(what, limit, since);
                    Err(if may_be_dropped { error.retryable(None) } else { error })
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
                    false if !may_be_dropped => error
                        .consequence("the call goes on: nobody knows what it still does")
                        .hint("look at the target before you decide"),
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
