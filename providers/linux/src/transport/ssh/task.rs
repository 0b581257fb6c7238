//! The one file of this crate that spawns.
//!
//! A connection lives longer than the script that opened it, so that it has a task of its own. A panic in it, or in the
//! ssh library on its behalf, ends that connection and nothing else. Everything else in this crate runs in the task of
//! whoever calls it.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;

/// Runs a connection on its own; `panicked` gets the words of a panic.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place of the crate that may spawn: what panics here is contained"
)]
pub(super) fn supervised(
    connection: impl Future<Output = ()> + Send + 'static,
    panicked: impl FnOnce(String) + Send + 'static,
) {
    tokio::spawn(async move {
        if let Err(panic) = AssertUnwindSafe(connection).catch_unwind().await {
            panicked(words(&*panic));
        }
    });
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_in_its_words_and_goes_no_further() {
        let (told, words) = tokio::sync::oneshot::channel();
        supervised(async { panic!("planted {}", 7) }, move |words| {
            let _ = told.send(words);
        });
        assert_eq!(words.await.unwrap(), "planted 7");
    }
}
