//! For how long something is waited for: by the time that passes, whatever the clock is set to meanwhile.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use futures_util::FutureExt as _;

use crate::provider::OpContext;

/// Ends after so long. Asked, not awaited: what is waited for has a call or a pause of its own.
pub(super) struct Patience {
    passes: Pin<Box<dyn Future<Output = ()> + Send>>,
    over: bool,
}

impl Patience {
    /// From now on.
    pub(super) fn of(ctx: &OpContext, length: Duration) -> Self {
        let clock = Arc::clone(ctx.clock());
        let mut patience = Self {
            passes: Box::pin(async move { clock.passed(length).await }),
            over: length.is_zero(),
        };
        // It counts from when it is asked for the first time.
        patience.is_over();
        patience
    }

    pub(super) fn is_over(&mut self) -> bool {
        self.over = self.over || self.passes.as_mut().now_or_never().is_some();
        self.over
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = self.over;
        f.debug_struct("Patience").field("over", &over).finish()
    }
}
