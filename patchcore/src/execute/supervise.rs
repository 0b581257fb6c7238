//! The one place that spawns: a provider's panic ends its call, not the run.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;

use crate::error::{Error, ErrorKind, Result};

/// Runs a call to its end, also when nobody waits for it any more, and hands its result on.
///
/// A call is never dropped half-way: dropping the future of a foreign-language provider does not stop the
/// call behind it, so nobody would know what it still does.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that may spawn"
)]
pub(super) fn supervised<F, T>(call: F, then: impl FnOnce(Result<T>) + Send + 'static)
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    tokio::spawn(async move {
        let result = contained(call).await;
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
    AssertUnwindSafe(call)
        .catch_unwind()
        .await
        .map_err(|panic| {
            Error::new(
                ErrorKind::ProviderFault,
                format!("a provider panicked: {}", words(&*panic)),
            )
            .hint("this is a fault of the provider: report it to its author")
        })
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}
