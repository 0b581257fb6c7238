//! Taking a journal over from a process that still holds it, because it was stopped or hangs.
//!
//! The system's lock cannot be taken from a process that lives, so another lock file counts from then on. It is named in
//! the same transaction that begins the new epoch and records the takeover, so there is no moment between: a crash before
//! it leaves everything to the old holder, and after it everything is the new one's. The new file is locked before, so
//! that of two who take over at once one is turned away, and nobody else opens the journal in between.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};
use serde_json::Value;

use super::{
    Journal,
    cause::Place,
    chain::Link,
    change::{Numbered, insert},
    fault::Faults,
    location,
    lock::{Holder, Lock},
    record::{EventText, NewEvent},
    schema::{self, Head, Opened},
};
use crate::error::{Error, ErrorKind, Result};

/// What a takeover is in its run: whatever the run is made of, so that the journal needs not know it.
pub(crate) struct Seizure<'a> {
    /// The state machine that it concerns.
    pub(crate) stream: &'a str,
    /// Kind and body of the event, by the new epoch and who has the journal from then on.
    pub(crate) event: &'a dyn Fn(u64, &Holder) -> (String, Value),
}

/// What the transaction of an opening does where it takes over.
pub(super) struct Over<'a> {
    /// The opening of whoever is taken over from.
    epoch: i64,
    told: &'a Seizure<'a>,
}

impl Over<'_> {
    /// Refuses where somebody has opened the journal since its holder was looked at.
    pub(super) fn check(&self, opened: &Opened, place: &Place) -> Result<()> {
        if opened.epoch == self.epoch {
            return Ok(());
        }
        let found = opened.before.as_ref().map(ToString::to_string);
        Err(
            refused(place, "it changed hands while it was to be taken over")
                .expected(format!("opening {}", self.epoch))
                .found(match found {
                    Some(holder) => format!("opening {} by {holder}", opened.epoch),
                    None => format!("opening {}", opened.epoch),
                })
                .hint("look again at who holds it; that process is alive, or is gone already"),
        )
    }

    /// Records the takeover in the run that is open, if one is.
    pub(super) fn record(
        &self,
        transaction: &Connection,
        opened: &mut Opened,
        place: &Place,
        holder: &Holder,
    ) -> Result<()> {
        let Some(run) = opened.open_run else {
            return Ok(());
        };
        let failed = |error| place.sqlite("record the takeover", error);
        let tseq: i64 = transaction
            .query_row(
                "SELECT coalesce(max(tseq), 0) + 1 FROM event WHERE run = ? AND stream = ?",
                (run, self.told.stream),
                |row| row.get(0),
            )
            .map_err(failed)?;
        // Never before what is there, for a clock that was set back and for runs in virtual time.
        let newest: Option<i64> = transaction
            .query_row(
                "SELECT at FROM event WHERE seq = ?",
                (opened.head.seq,),
                |row| row.get(0),
            )
            .optional()
            .map_err(failed)?;
        let (kind, body) = (self.told.event)(opened.epoch.unsigned_abs(), holder);
        let new = NewEvent {
            stream: self.told.stream.to_owned(),
            tseq: tseq.unsigned_abs(),
            at: holder.since,
            kind,
            body,
        };
        let mut event = EventText::new(new)?;
        event.at = event.at.max(newest.unwrap_or(event.at));
        let link = Link {
            seq: opened.head.seq + 1,
            epoch: opened.epoch,
            run,
            stream: &event.stream,
            tseq: event.tseq,
            at: event.at,
            kind: &event.kind,
            body: &event.body,
        };
        let hash = link.hash(&opened.head.hash);
        let numbered = Numbered {
            seq: link.seq,
            run,
            event,
            hash,
        };
        insert(transaction, opened.epoch, &numbered).map_err(failed)?;
        transaction
            .execute(
                "UPDATE meta SET head_seq = ?, head_hash = ? WHERE id = 1",
                (numbered.seq, &hash[..]),
            )
            .map_err(failed)?;
        opened.head = Head {
            seq: numbered.seq,
            hash,
        };
        Ok(())
    }
}

impl Journal {
    /// Opens a journal that somebody else holds, on the condition that it is who was named.
    ///
    /// # Errors
    /// As [`Journal::take_over`].
    pub(crate) fn seize(path: &Path, from: &Holder, told: &Seizure<'_>) -> Result<Self> {
        let path = location::resolve(path)?;
        let place = Place::file(&path);
        location::must_exist(&path, &place)?;
        schema::check_existing(&path, &place)?;
        // Whoever opens it after this line is seen in the transaction, which only goes through for this opening.
        let newest = schema::newest_opening(&path, &place)?;
        match Lock::holding(&path, newest.lock, &place)? {
            Some(found) if found.holder == *from => {}
            Some(found) => {
                return Err(
                    refused(&place, "it is held by another process than was named")
                        .expected(from.to_string())
                        .found(found.holder.to_string())
                        .context("holder", found.holder.to_string())
                        .hint("look at that process first, then name it"),
                );
            }
            None => {
                return Err(refused(
                    &place,
                    "nobody holds it, so there is nobody to take it over from",
                )
                .expected(from.to_string())
                .found("no process")
                .hint("open it as always: start the program that drives its run"));
            }
        }
        let holder = Holder::this_process(newest.lock + 1);
        let lock = Lock::take(&path, &place, &holder)?;
        let mut connection = schema::connect(&path, &place)?;
        let over = Over {
            epoch: newest.epoch,
            told,
        };
        let opened = schema::open(&mut connection, false, &place, &holder, Some(&over)).map_err(
            |error| match error.kind() {
                ErrorKind::Busy => error.hint(
                    "where no other program has a transaction open, its holder was stopped in the middle of a commit: \
                     only continuing or ending that process frees the file",
                ),
                _ => error,
            },
        )?;
        // A takeover never finds another lock than its own.
        let opened = opened.ok_or_else(|| place.damaged("it has another lock"))?;
        Self::start(
            connection,
            opened,
            Some((&path, lock)),
            place,
            &holder,
            Faults::none(),
        )
    }
}

fn refused(place: &Place, why: &str) -> Error {
    place
        .error(ErrorKind::JournalInUse, why)
        .consequence("nothing was taken over")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_opened_it_since_its_holder_was_looked_at_keeps_it() {
        let name = format!("patchcore-seized-{}.db", std::process::id());
        let path = std::env::temp_dir().join(name);
        let place = Place::file(&path);
        let told = Seizure {
            stream: "run",
            event: &|_, _| ("taken_over".to_owned(), Value::Null),
        };
        let open = |lock, epoch: Option<i64>| {
            let mut connection = schema::connect(&path, &place).unwrap();
            let over = epoch.map(|epoch| Over { epoch, told: &told });
            let holder = Holder::this_process(lock);
            let opened = schema::open(&mut connection, false, &place, &holder, over.as_ref())?;
            Ok::<_, Error>(opened.map(|opened| opened.epoch))
        };
        let newest = || {
            let newest = schema::newest_opening(&path, &place).unwrap();
            (newest.epoch, newest.lock)
        };
        assert_eq!(open(0, None).unwrap(), Some(1));
        let looked_at = newest().0;
        assert_eq!(open(0, None).unwrap(), Some(2));
        let error = open(1, Some(looked_at)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::JournalInUse);
        assert!(error.to_string().contains("it changed hands"), "{error:?}");
        assert_eq!(newest(), (2, 0));
        // And who has locked a file that counts no more opens nothing.
        assert_eq!(open(1, Some(2)).unwrap(), Some(3));
        assert_eq!(open(0, None).unwrap(), None);
        assert_eq!(newest(), (3, 1));
        assert_eq!(open(1, None).unwrap(), Some(4));
        std::fs::remove_file(path).unwrap();
    }
}
