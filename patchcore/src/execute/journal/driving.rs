//! One driver per run in one process. The lock keeps other processes out; a second `reopen` on a clone of the handle
//! would find the intents of the first, take them for those of a dead process, and begin beside it.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use super::{Inner, Journal};
use crate::{
    error::{ErrorKind, Result},
    id::RunId,
};

/// The right to drive one run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Driving {
    journal: Journal,
    run: RunId,
}

impl Journal {
    /// Takes the right to drive a run.
    ///
    /// # Errors
    /// `JournalInUse` while it is driven in this process already.
    pub(crate) fn drives(&self, run: RunId) -> Result<Driving> {
        let taken = tell(&self.0, |driven| driven.insert(run));
        if taken {
            return Ok(Driving {
                journal: self.clone(),
                run,
            });
        }
        Err(self
            .0
            .shared
            .place
            .error(
                ErrorKind::JournalInUse,
                format_args!("run {run} is driven in this process already"),
            )
            .consequence("nothing was changed, and the run goes on as before")
            .hint("keep the handle of the run, or clone it; it can be reopened once it is parked or this process has ended"))
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        tell(&self.journal.0, |driven| driven.remove(&self.run));
    }
}

/// Changes what is driven, and tells it to other processes. True where it changed.
fn tell(inner: &Arc<Inner>, change: impl FnOnce(&mut BTreeSet<RunId>) -> bool) -> bool {
    // A set of numbers is whole whatever happened to who held it.
    let mut driven = inner.driven.lock().unwrap_or_else(PoisonError::into_inner);
    let changed = change(&mut driven);
    if let Some(note) = inner.note.as_ref().filter(|_| changed) {
        note.tell(&driven);
    }
    changed
}
