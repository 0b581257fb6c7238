//! Time as a port: real time in production, virtual time in simulation.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;

/// Where `now` and waiting come from. Nothing else in patchcore asks for the time.
#[async_trait]
pub trait Clock: Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Returns at `until` or later. Dropping the future gives up waiting.
    async fn sleep_until(&self, until: Timestamp);

    /// Returns after `duration` has passed, whatever the time is set to meanwhile. Dropping the future gives up waiting.
    ///
    /// Clocks that are never set need not say how.
    async fn pause(&self, duration: std::time::Duration) {
        self.sleep_until(later(self.now(), duration)).await;
    }

    /// Returns when `time` has come, and never makes it come: for deadlines beside real work.
    ///
    /// Virtual time moves on for those who sleep, not for those who merely watch.
    async fn reached(&self, time: Timestamp);

    /// Returns when `duration` has passed, whatever the time is set to meanwhile, and never makes it pass: for deadlines
    /// and patience beside real work. Dropping the future gives up waiting.
    ///
    /// Clocks that are never set need not say how.
    async fn passed(&self, duration: std::time::Duration) {
        self.reached(later(self.now(), duration)).await;
    }

    /// Says that somebody is at work, until the returned guard is dropped.
    ///
    /// Virtual time moves on only when everybody at work is asleep, so that no amount of computing
    /// takes time and every wait takes none. Real clocks have nothing to do here.
    fn at_work(&self) -> AtWork;
}

/// Held by somebody at work; see [`Clock::at_work`].
#[must_use = "dropping the guard says that the work is over"]
pub struct AtWork(#[expect(dead_code, reason = "held for its Drop")] Option<Box<dyn Send + Sync>>);

impl AtWork {
    /// For clocks that do not care.
    pub fn unobserved() -> Self {
        Self(None)
    }

    /// For clocks that do: the guard's `Drop` tells them.
    pub fn observed(guard: impl Send + Sync + 'static) -> Self {
        Self(Some(Box::new(guard)))
    }
}

impl Debug for AtWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AtWork")
    }
}

/// `from` and then some; the end of time where that does not fit.
#[must_use]
pub(crate) fn later(from: Timestamp, by: std::time::Duration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Stores a [`Duration`](std::time::Duration) as ISO 8601 text such as `PT1H30M`, which every language reads alike.
pub(crate) mod iso {
    use std::time::Duration;

    use jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        SignedDuration::try_from(*duration)
            .unwrap_or(SignedDuration::MAX)
            .serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let signed = SignedDuration::deserialize(from)?;
        Duration::try_from(signed).map_err(|_| D::Error::custom("a duration is not negative"))
    }
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clock. Needs a tokio runtime with time enabled.
#[cfg(feature = "sqlite")]
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[cfg(feature = "sqlite")]
#[async_trait]
impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where real time comes from"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where real waiting happens"
    )]
    async fn sleep_until(&self, until: Timestamp) {
        // A sleep is measured on the monotonic clock, which stands still during a suspend and does
        // not follow a step of the wall clock; short naps find both within a minute.
        const NAP: std::time::Duration = std::time::Duration::from_secs(60);
        loop {
            let left = until.duration_since(self.now());
            let Ok(left) = std::time::Duration::try_from(left) else {
                return;
            };
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(NAP)).await;
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where real waiting happens"
    )]
    async fn pause(&self, duration: std::time::Duration) {
        // The monotonic clock: it does not follow the wall clock, and stands still during a suspend.
        tokio::time::sleep(duration).await;
    }

    async fn reached(&self, time: Timestamp) {
        self.sleep_until(time).await;
    }

    async fn passed(&self, duration: std::time::Duration) {
        self.pause(duration).await;
    }

    fn at_work(&self) -> AtWork {
        AtWork::unobserved()
    }
}
