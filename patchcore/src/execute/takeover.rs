//! Taking a journal over from a process that still holds it.

use std::{path::Path, time::Duration};

use super::{
    journal::{Holder, Journal, Seizure},
    kernel::{self, Forced, RunEvent},
    story,
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::PersonId,
};

impl Journal {
    /// Takes a journal over from a process that still holds it, because it was stopped or hangs. Everybody else
    /// [opens](Self::open) it: the lock of a process that has ended is free.
    ///
    /// `from` is who holds it, as [`JournalReader::holder`](super::journal::JournalReader::holder) or
    /// [`Operator`](crate::Operator) told it; whoever holds it by now must be the same opening of the same process. What
    /// it is replaced for stands in the run that is open, as the `TakenOver` of this opening.
    ///
    /// The process that was replaced writes and begins nothing any more: it is told so by `JournalInUse`, with the
    /// name of the new holder, when it next writes or is about to begin an operation. What it had sent to a target
    /// before cannot be called back by the journal; a target that keeps locks ([`TargetLock`](crate::provider::TargetLock))
    /// refuses it also where it arrives later. Where that process can be ended instead, end it.
    ///
    /// # Errors
    /// `JournalInUse`: nobody holds it, another process or opening does, or somebody else takes it over at this moment.
    /// `InvalidInput`: nobody is named who takes it over, or no reason. `NotFound`: there is no such journal. `Busy`: its
    /// holder opens or closes it at this moment, or was stopped in the middle of a commit, which nothing but continuing or
    /// ending that process ends. Else as [`open`](Self::open).
    pub fn take_over(
        path: impl AsRef<Path>,
        from: &Holder,
        by: impl Into<PersonId>,
        reason: &str,
    ) -> Result<Self> {
        let by = by.into();
        for (said, missing) in [
            (reason, "a takeover needs a reason"),
            (by.as_str(), "a takeover needs somebody who says so"),
        ] {
            if said.trim().is_empty() {
                return Err(Error::new(ErrorKind::InvalidInput, missing)
                    .consequence("nothing was taken over")
                    .hint("the journal keeps who said it and why, for those who read it later"));
            }
        }
        let event = |epoch, holder: &Holder| {
            let held = holder.since.duration_since(from.since);
            let taken = RunEvent::TakenOver {
                epoch,
                from: Some(from.to_string()),
                forced: Some(Forced {
                    by: by.clone(),
                    reason: reason.trim().to_owned(),
                    // Negative where the clock was set back since.
                    held_for: Duration::try_from(held).unwrap_or_default(),
                }),
            };
            kernel::stored(&taken)
        };
        let told = Seizure {
            stream: story::RUN,
            event: &event,
        };
        Self::seize(path.as_ref(), from, &told)
    }
}
