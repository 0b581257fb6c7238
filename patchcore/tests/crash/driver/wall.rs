//! The clock of the machine that drives a run: time passes as outside, and the wall clock may be set meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Timestamp,
    clock::{AtWork, Clock},
    sim::VirtualClock,
};

/// As the system's clock does, it looks at the wall clock again after so long.
const NAP: Duration = Duration::from_secs(60);

/// A wall clock over the time that truly passes.
#[derive(Debug, Clone)]
pub(super) struct Wall {
    pub(super) truly: VirtualClock,
    /// By how many seconds the wall clock is wrong.
    off: Arc<AtomicI64>,
    nap: Duration,
}

impl Wall {
    /// One that may be set, where `is_set` says so; another need not look in between.
    pub(super) fn over(truly: VirtualClock, off: i64, is_set: bool) -> Self {
        Self {
            truly,
            off: Arc::new(AtomicI64::new(off)),
            nap: if is_set { NAP } else { Duration::MAX },
        }
    }

    /// Somebody sets it.
    pub(super) fn set(&self, by: i64) {
        self.off.fetch_add(by, Ordering::Relaxed);
    }

    /// By how many seconds it is wrong.
    pub(super) fn off(&self) -> i64 {
        self.off.load(Ordering::Relaxed)
    }

    /// The next moment at which it looks whether `until` has come; none once it has.
    fn look(&self, until: Timestamp) -> Option<Timestamp> {
        let left = Duration::try_from(until.duration_since(self.now())).ok()?;
        (!left.is_zero()).then(|| self.truly.now() + left.min(self.nap))
    }
}

#[async_trait]
impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let off = Duration::from_secs(self.off().unsigned_abs());
        match self.off() {
            0.. => self.truly.now() + off,
            _ => self.truly.now() - off,
        }
    }

    async fn sleep_until(&self, until: Timestamp) {
        while let Some(at) = self.look(until) {
            self.truly.sleep_until(at).await;
        }
    }

    async fn pause(&self, duration: Duration) {
        self.truly.sleep_until(self.truly.now() + duration).await;
    }

    async fn passed(&self, duration: Duration) {
        self.truly.reached(self.truly.now() + duration).await;
    }

    async fn reached(&self, time: Timestamp) {
        while let Some(at) = self.look(time) {
            self.truly.reached(at).await;
        }
    }

    fn at_work(&self) -> AtWork {
        self.truly.at_work()
    }
}
