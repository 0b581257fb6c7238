//! What every call gets: time, deadline, cancellation, its key, its fence, and a way to report progress.

use std::{
    fmt::{self, Debug},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::SharedClock,
    error::{Error, ErrorKind, Result},
    id::OpKey,
};

/// Asks a call to stop at its next safe point. A cheap clone; asking is never undone.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that nobody has used.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody who holds a clone to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How far an operation is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Done so far, in percent, where the tool says.
    pub percent: Option<u8>,
    /// What it is doing, as the tool says.
    pub message: Option<String>,
}

impl Progress {
    /// A message without a figure.
    pub fn message(text: impl Into<String>) -> Self {
        Self {
            percent: None,
            message: Some(text.into()),
        }
    }
}

/// Receives progress of one call.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// What a provider call gets from patchcore. A cheap clone.
#[derive(Clone)]
pub struct OpContext {
    clock: SharedClock,
    deadline: Timestamp,
    cancel: CancelToken,
    key: Option<OpKey>,
    fence: u64,
    progress: Option<ProgressSink>,
}

impl OpContext {
    /// A context for a reading call, which has no key and no fence.
    #[must_use]
    pub fn reading(clock: SharedClock, deadline: Timestamp, cancel: CancelToken) -> Self {
        Self {
            clock,
            deadline,
            cancel,
            key: None,
            fence: 0,
            progress: None,
        }
    }

    /// The same context with a fence.
    #[must_use]
    pub fn with_fence(mut self, fence: u64) -> Self {
        self.fence = fence;
        self
    }

    /// The same context for a call that changes something.
    #[must_use]
    pub fn for_operation(mut self, key: OpKey, fence: u64) -> Self {
        self.key = Some(key);
        self.fence = fence;
        self
    }

    /// The same context with another deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Timestamp) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same context with somebody who listens to progress.
    #[must_use]
    pub fn with_progress(mut self, sink: ProgressSink) -> Self {
        self.progress = Some(sink);
        self
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits. Providers wait by this and nothing else, so that virtual time works. A clock that is set meanwhile makes
    /// it neither longer nor shorter.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.pause(duration).await;
    }

    /// When the call must have returned.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Time left until the deadline.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        Duration::try_from(self.deadline.duration_since(self.clock.now())).unwrap_or_default()
    }

    /// Whether the caller asks to stop at the next safe point.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// An error if the caller asks to stop.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`].
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "the caller asked to stop"));
        }
        Ok(())
    }

    /// The key of the operation; stable over retries and restarts. None for reading calls.
    #[must_use]
    pub fn key(&self) -> Option<&OpKey> {
        self.key.as_ref()
    }

    /// Grows with every takeover of the journal: a target with compare-and-set refuses a lower one.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Tells how far the call is.
    pub fn progress(&self, progress: Progress) {
        if let Some(sink) = &self.progress {
            sink(progress);
        }
    }

    /// The clock, for those who build further contexts.
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }
}

impl Debug for OpContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpContext")
            .field("key", &self.key)
            .field("fence", &self.fence)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
