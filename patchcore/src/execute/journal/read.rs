//! What a run can be read from.

use std::future::Future;

use super::{Checkpoint, Journal, JournalReader, RunRow, RunText, StoredEvent};
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

    /// One run, its plan as the text that is stored.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    fn run_text(&self, run: RunId) -> impl Future<Output = Result<Option<RunText>>> + Send;

    /// Parts of a run's plan that have rows of their own, after a number counted from 1, in order; empty after the
    /// last.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    fn parts(&self, run: RunId, after: u64) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// Checkpoints of a run after a stream, in the order of their streams; empty after the last. None where one is
    /// not as it was written: then the events are what counts.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    fn checkpoints(
        &self,
        run: RunId,
        after: &str,
    ) -> impl Future<Output = Result<Option<Vec<Checkpoint>>>> + Send;

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

            async fn run_text(&self, run: RunId) -> Result<Option<RunText>> {
                $what::run_text(self, run).await
            }

            async fn parts(&self, run: RunId, after: u64) -> Result<Vec<String>> {
                $what::parts(self, run, after).await
            }

            async fn checkpoints(
                &self,
                run: RunId,
                after: &str,
            ) -> Result<Option<Vec<Checkpoint>>> {
                $what::checkpoints(self, run, after).await
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
