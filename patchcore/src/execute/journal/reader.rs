//! What another process may do while the journal is in use: read everything, post commands.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::TransactionBehavior;

use super::{
    anchor::{self, Anchor},
    cause::Place,
    chain::ChainReport,
    location,
    lock::{Holder, Holding, Lock},
    look::Looks,
    query,
    record::{
        Checkpoint, CommandFate, CommandId, CommandRow, JournalIdentity, NewCommand, RunRow,
        RunText, StoredEvent, nanoseconds,
    },
    schema,
};
use crate::{
    digest::canonical_json,
    error::{ErrorKind, Result},
    id::RunId,
};

/// A journal on disk, read without its lock. Cheap to clone.
///
/// It sees what is committed: the events that a [`Journal`](super::Journal) has acknowledged.
#[derive(Clone)]
pub struct JournalReader(Arc<Inner>);

struct Inner {
    place: Place,
    path: PathBuf,
    looks: Option<Looks>,
}

impl JournalReader {
    /// Opens an existing journal for reading. Blocks for some file operations.
    ///
    /// # Errors
    /// `NotFound`, `JournalDamaged` (no journal, or damaged), `JournalNewer`, `InvalidInput` (a file
    /// system over the network), `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = location::resolve(path.as_ref())?;
        let place = Place::file(&path);
        location::must_exist(&path, &place)?;
        let looks = Looks::start(&path, &place)?;
        Ok(Self(Arc::new(Inner {
            place,
            path,
            looks: Some(looks),
        })))
    }

    /// The file as errors name it.
    #[must_use]
    pub fn place(&self) -> String {
        self.0.place.to_string()
    }

    fn looks(&self) -> Result<&Looks> {
        self.0
            .looks
            .as_ref()
            .ok_or_else(|| self.0.place.error(ErrorKind::Io, "it is closed"))
    }

    /// All runs, in order.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn runs(&self) -> Result<Vec<RunRow>> {
        self.looks()?.look(&self.0.place, query::runs).await
    }

    /// All runs, in order: their numbers, and whether they are open.
    pub(crate) async fn list(&self) -> Result<Vec<(RunId, bool)>> {
        self.looks()?.look(&self.0.place, query::list).await
    }

    /// One run, its plan as the text that is stored.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn run_text(&self, run: RunId) -> Result<Option<RunText>> {
        self.looks()?
            .look(&self.0.place, move |c, p| query::run_text(c, p, run))
            .await
    }

    /// Parts of a run's plan that have rows of their own, after a number counted from 1, in order; empty after the
    /// last.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn parts(&self, run: RunId, after: u64) -> Result<Vec<String>> {
        self.looks()?
            .look(&self.0.place, move |c, p| query::parts(c, p, run, after))
            .await
    }

    /// Checkpoints of a run after a stream, in the order of their streams; empty after the last. None where one is
    /// not as it was written: then the events are what counts.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn checkpoints(&self, run: RunId, after: &str) -> Result<Option<Vec<Checkpoint>>> {
        let after = after.to_owned();
        self.looks()?
            .look(&self.0.place, move |c, p| {
                query::checkpoints(c, p, run, &after)
            })
            .await
    }

    /// One run.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn run(&self, run: RunId) -> Result<Option<RunRow>> {
        self.looks()?
            .look(&self.0.place, move |c, p| query::run(c, p, run))
            .await
    }

    /// At most `limit` events of a run after number `after`, in order.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn events(&self, run: RunId, after: u64, limit: usize) -> Result<Vec<StoredEvent>> {
        self.looks()?
            .look(&self.0.place, move |c, p| {
                query::events(c, p, run, after, limit)
            })
            .await
    }

    /// The events of some kinds over all runs, in order.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn events_of_kinds(&self, kinds: &[&str]) -> Result<Vec<StoredEvent>> {
        let kinds: Vec<String> = kinds.iter().map(|&kind| kind.to_owned()).collect();
        self.looks()?
            .look(&self.0.place, move |c, p| {
                query::events_of_kinds(c, p, &kinds)
            })
            .await
    }

    /// Whose journal it is, and who opened it last.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn identity(&self) -> Result<JournalIdentity> {
        self.looks()?.look(&self.0.place, query::identity).await
    }

    /// The number of the newest event; 0 if there is none.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn head(&self) -> Result<u64> {
        self.looks()?.look(&self.0.place, query::head).await
    }

    /// The commands that nobody has answered yet, in order.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn open_commands(&self) -> Result<Vec<CommandRow>> {
        self.looks()?
            .look(&self.0.place, query::open_commands)
            .await
    }

    /// What became of a command that was posted.
    ///
    /// # Errors
    /// `NotFound` if there is no such command, `JournalDamaged`, `Io`.
    pub async fn command(&self, id: CommandId) -> Result<CommandFate> {
        self.looks()?
            .look(&self.0.place, move |c, p| query::fate(c, p, id))
            .await
    }

    /// Checks the chain of every run; see [`ChainReport`].
    ///
    /// # Errors
    /// `JournalDamaged` if the tables cannot be read at all, `Io`.
    pub async fn verify(&self) -> Result<ChainReport> {
        self.looks()?.verify(&self.0.place).await
    }

    /// Where the journal ends, to be kept elsewhere; see [`Anchor`]. None before the first event.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn anchor(&self) -> Result<Option<Anchor>> {
        self.looks()?.look(&self.0.place, anchor::now).await
    }

    /// [`verify`](Self::verify), and besides whether everything that anchors saw is there as they saw it.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), and `InvalidInput` for an anchor of another journal.
    pub async fn verify_against(&self, anchors: &[Anchor]) -> Result<ChainReport> {
        self.looks()?.verify_against(&self.0.place, anchors).await
    }

    /// Who holds the journal; `None` if nobody does, so that nothing goes on.
    ///
    /// # Errors
    /// `Busy` if it is being opened at this moment, `Io`.
    pub fn holder(&self) -> Result<Option<Holder>> {
        Ok(self.holding()?.map(|holding| holding.holder))
    }

    /// Who holds the journal, and what it drives.
    pub(crate) fn holding(&self) -> Result<Option<Holding>> {
        let Inner { place, path, .. } = &*self.0;
        loop {
            let before = schema::newest_opening(path, place)?;
            let found = Lock::holding(path, before.lock, place)?;
            // That nobody has it is true of the file that counts only.
            if found.is_some() || schema::newest_opening(path, place)?.lock == before.lock {
                return Ok(found);
            }
        }
    }

    /// Puts a command into the inbox of whoever carries out the run.
    ///
    /// It stays there until it is answered, also while nobody holds the journal.
    ///
    /// # Errors
    /// `InvalidInput` if the run has ended or the command has no verb, `NotFound` if there is no such
    /// run, `Busy` if another program keeps a transaction open, `DiskFull`, `Io`.
    pub async fn post_command(&self, command: NewCommand) -> Result<CommandId> {
        let path = self.0.path.clone();
        self.looks()?
            .look(&self.0.place, move |_, place| post(&path, place, &command))
            .await
    }
}

fn post(path: &Path, place: &Place, command: &NewCommand) -> Result<CommandId> {
    if command.verb.is_empty() {
        return Err(place
            .error(ErrorKind::InvalidInput, "a command has no verb")
            .hint("say what to do, such as pause"));
    }
    let at = nanoseconds("the command", command.at)?;
    let args = canonical_json(&command.args)?;
    let mut connection = schema::connect_for_posting(path, place)?;
    schema::check(&connection, place)?;
    let failed = |error| place.sqlite("post a command to it", error);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let run = command
        .run
        .map(|run| i64::try_from(run.0).unwrap_or(i64::MAX));
    if let Some(run) = command.run {
        match query::is_open(&transaction, place, run)? {
            Some(true) => {}
            Some(false) => {
                return Err(place
                    .error(ErrorKind::InvalidInput, format_args!("run {run} has ended"))
                    .consequence("the command was not posted")
                    .hint("name the run that is open"));
            }
            None => {
                return Err(place
                    .error(ErrorKind::NotFound, format_args!("there is no run {run}"))
                    .consequence("the command was not posted")
                    .hint("name the run that is open"));
            }
        }
    }
    transaction
        .execute(
            "INSERT INTO command(run, at, person, verb, args) VALUES(?, ?, ?, ?, ?)",
            (run, at, command.by.as_str(), &command.verb, &args),
        )
        .map_err(failed)?;
    let id = CommandId(transaction.last_insert_rowid().unsigned_abs());
    transaction.commit().map_err(failed)?;
    Ok(id)
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(looks) = self.looks.take() {
            looks.end();
        }
    }
}

impl fmt::Debug for JournalReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JournalReader").field(&self.0.path).finish()
    }
}
