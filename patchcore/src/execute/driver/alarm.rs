//! Wakes the driver for what it does by itself, beside whatever it hears.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::clock::SharedClock;

type Ring = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What may ring once.
#[derive(Default)]
pub(super) struct Alarm(Option<(Timestamp, Ring)>);

impl Alarm {
    /// Returns when a time has come, counted from when it was first asked for, whatever the clock is set to meanwhile.
    /// Dropping the future leaves it set: a driver that hears something first, as it does nearly always, waits on for the
    /// same time without a new timer.
    pub(super) async fn rings(&mut self, clock: &SharedClock, at: Timestamp) {
        if self.0.as_ref().is_none_or(|(set, _)| *set != at) {
            let left = at.duration_since(clock.now());
            let left = Duration::try_from(left).unwrap_or_default();
            let clock = Arc::clone(clock);
            self.0 = Some((at, Box::pin(async move { clock.passed(left).await })));
        }
        if let Some((_, ring)) = &mut self.0 {
            ring.as_mut().await;
        }
        self.0 = None;
    }
}
