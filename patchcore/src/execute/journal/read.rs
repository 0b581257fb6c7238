//! What a run can be read from.

use std::future::Future;

use super::{Journal, JournalReader, RunRow, StoredEvent};
use crate::{error::Result, id::RunId};

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Journal {}
    impl Sealed for super::JournalReader {}
}

/// What a run can be read from: a [`Journal`] that this process holds, or a [`JournalReader`] on one that another
/// process may hold.
pub trait ReadJournal: sealed::Sealed + Sync {
    /// One run.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    fn run(&self, run: RunId) -> impl Future<Output = Result<Option<RunRow>>> + Send;

    /// At most `limit` events of a run after number `after`, in order: those that are committed.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    fn events(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>>> + Send;

    /// The events of some kinds over all runs, in order.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    fn events_of_kinds(
        &self,
        kinds: &[&str],
    ) -> impl Future<Output = Result<Vec<StoredEvent>>> + Send;
}

macro_rules! reads {
    ($what:ident) => {
        impl ReadJournal for $what {
            async fn run(&self, run: RunId) -> Result<Option<RunRow>> {
                $what::run(self, run).await
            }

            async fn events(
                &self,
                run: RunId,
                after: u64,
                limit: usize,
            ) -> Result<Vec<StoredEvent>> {
                $what::events(self, run, after, limit).await
            }

            async fn events_of_kinds(&self, kinds: &[&str]) -> Result<Vec<StoredEvent>> {
                $what::events_of_kinds(self, kinds).await
            }
        }
    };
}

reads!(Journal);
reads!(JournalReader);
