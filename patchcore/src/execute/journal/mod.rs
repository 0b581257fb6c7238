//! The durable journal: what was decided, in order, on the disk before anything is done.
//!
//! It knows nothing of what it records: an event is a run, a stream (one state machine), a place in
//! that stream, a kind and a JSON body. One file holds many runs of one estate, one of them open.
//! One process at a time may write ([`Journal`]); any number may read it and post commands
//! ([`JournalReader`]). Views for people: `v_runs`, `v_events`, `v_open_commands`, with any SQLite
//! tool.
//!
//! What it promises:
//! - An acknowledged append survives the end of the process and of the power.
//! - An append is all or nothing, and every place in a stream is taken once.
//! - A handle that was taken over, or whose disk has failed, never writes again.
//! - A record that was changed afterwards is found and named ([`Journal::verify`]). A chain that was computed anew, and an
//!   end that was cut off or lost, are found only with an [`Anchor`] that was kept elsewhere
//!   ([`Journal::verify_against`]).

mod anchor;
mod cause;
mod chain;
mod change;
mod driving;
mod fault;
mod location;
mod lock;
mod look;
mod query;
mod read;
mod reader;
mod record;
mod schema;
mod takeover;
mod writer;

use std::{
    collections::BTreeSet,
    fmt,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

#[cfg(feature = "crash")]
pub use self::fault::{Fault, Faults, Synchronous};
pub use self::{
    anchor::Anchor,
    chain::{ChainFault, ChainReport, RunChain},
    lock::Holder,
    read::ReadJournal,
    reader::JournalReader,
    record::{
        Checkpoint, CommandFate, CommandId, CommandRow, JournalIdentity, JournalStats, NewCommand,
        NewEvent, NewRun, RunRow, RunText, StoredEvent,
    },
};

#[cfg(not(feature = "crash"))]
use self::fault::Faults;
use self::{
    cause::Place,
    change::{Append, Change, Keep, Receipt, Start},
    fault::Pace,
    lock::{Lock, Note},
    look::Looks,
    record::{EventText, nanoseconds},
    schema::Opened,
    writer::{Message, Shared},
};
pub(crate) use self::{driving::Driving, lock::Holding, record::PlanText, takeover::Seizure};
use crate::{
    digest::canonical_json,
    error::{ErrorKind, Result},
    id::{EstateName, RunId},
};

/// The journal of one estate, held by this process. Cheap to clone.
///
/// Dropping the last clone writes what waits, closes the file and gives the lock back; it waits for
/// that, so in an async program [`close`](Self::close) is kinder. A future of its methods that is
/// dropped does not take back what it has asked for.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    uid: String,
    opening: String,
    holder: Holder,
    before: Option<Holder>,
    estate: OnceLock<EstateName>,
    /// The runs that are driven in this process; see [`Driving`].
    driven: Mutex<BTreeSet<RunId>>,
    pace: Pace,
    /// Tells them to other processes; none in memory.
    note: Option<Note>,
    open: Option<Open>,
}

/// What is ended in order when the journal is closed.
struct Open {
    looks: Looks,
    changes: mpsc::Sender<Message>,
    thread: JoinHandle<()>,
    closed: oneshot::Receiver<()>,
}

impl Journal {
    /// Opens a journal, and makes it if the file does not exist. Blocks for some file operations.
    ///
    /// Beside the file lie `-wal` and `-shm` (parts of the journal: copy them with it) and `.lock`, after a
    /// [`take_over`](Self::take_over) `.lock.1` and so on.
    ///
    /// # Errors
    /// `JournalInUse` (the error names the holder), `JournalNewer`, `JournalDamaged` (also for a file
    /// that is no journal), `InvalidInput` (a directory, or a file system over the network, where
    /// SQLite's log is not safe; recognised on Linux and for Windows shares), `NotFound` (no such
    /// directory), `DiskFull`, `Busy` (another program keeps a transaction open), `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::at(path.as_ref(), Faults::none())
    }

    /// A journal that lasts as long as its handles: the same code over a database in memory.
    ///
    /// # Errors
    /// `Io` if no thread can be started.
    pub fn in_memory() -> Result<Self> {
        Self::of_memory(Faults::none())
    }

    /// [`open`](Self::open) with faults of the disk, for tests.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(feature = "crash")]
    pub fn open_with(path: impl AsRef<Path>, faults: Faults) -> Result<Self> {
        Self::at(path.as_ref(), faults)
    }

    /// [`in_memory`](Self::in_memory) with faults of the disk, for tests.
    ///
    /// # Errors
    /// As [`in_memory`](Self::in_memory).
    #[cfg(feature = "crash")]
    pub fn in_memory_with(faults: Faults) -> Result<Self> {
        Self::of_memory(faults)
    }

    fn at(path: &Path, faults: Faults) -> Result<Self> {
        let path = location::resolve(path)?;
        let place = Place::file(&path);
        loop {
            let holder = Holder::this_process(schema::check_existing(&path, &place)?);
            let lock = Lock::take(&path, &place, &holder)?;
            let mut connection = schema::connect(&path, &place)?;
            // None where it was taken over since the first line, so that another lock file counts.
            if let Some(opened) = schema::open(&mut connection, false, &place, &holder, None)? {
                let file = Some((&*path, lock));
                return Self::start(connection, opened, file, place, &holder, faults);
            }
        }
    }

    fn of_memory(faults: Faults) -> Result<Self> {
        let place = Place::memory();
        let connection =
            Connection::open_in_memory().map_err(|error| place.sqlite("open it", error))?;
        Self::over(connection, place, faults)
    }

    fn over(mut connection: Connection, place: Place, faults: Faults) -> Result<Self> {
        let holder = Holder::this_process(0);
        let opened = schema::open(&mut connection, true, &place, &holder, None)?;
        let opened = opened.ok_or_else(|| place.damaged("it has another lock"))?;
        Self::start(connection, opened, None, place, &holder, faults)
    }

    fn start(
        connection: Connection,
        opened: Opened,
        file: Option<(&Path, Lock)>,
        place: Place,
        holder: &Holder,
        faults: Faults,
    ) -> Result<Self> {
        let opening = connection
            .query_row("SELECT lower(hex(randomblob(8)))", [], |row| row.get(0))
            .map_err(|error| place.sqlite("draw a name for its opening", error))?;
        schema::set_synchronous(&connection, faults.synchronous(), &place)?;
        let pace = faults.pace();
        let shared = Arc::new(Shared {
            place,
            epoch: opened.epoch.unsigned_abs(),
            committed: watch::Sender::new(opened.head.seq.unsigned_abs()),
            commits: AtomicU64::new(0),
            events: AtomicU64::new(0),
            checkpoints_read: AtomicU64::new(0),
            fatal: OnceLock::new(),
        });
        let (path, lock) = file.map_or((None, None), |(path, lock)| (Some(path), Some(lock)));
        if let Some(path) = path {
            lock::sweep(path, holder.lock);
        }
        let note = lock
            .as_ref()
            .map(|lock| lock.note(&shared.place, holder))
            .transpose()?;
        let looks = path
            .map(|path| Looks::start(path, &shared.place))
            .transpose()?;
        let writer = writer::start(connection, lock, &opened, Arc::clone(&shared), faults)?;
        let looks = looks.unwrap_or_else(|| Looks::Writer(writer.sender.clone()));
        let estate = OnceLock::new();
        if let Some(name) = opened.estate.clone() {
            // The cell was made on the line above.
            let _ = estate.set(name);
        }
        let open = Open {
            looks,
            changes: writer.sender,
            thread: writer.thread,
            closed: writer.closed,
        };
        Ok(Self(Arc::new(Inner {
            shared,
            uid: opened.uid,
            opening,
            holder: holder.clone(),
            before: opened.before,
            estate,
            driven: Mutex::default(),
            pace,
            note,
            open: Some(open),
        })))
    }

    /// What tells this journal from every other: 16 hexadecimal digits, drawn when it was made. It is part of
    /// every operation key, because every journal counts its runs from 1.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.0.uid
    }

    /// What tells this opening of the journal from every other, also from one of a copy of its file: 16 hexadecimal
    /// digits, drawn when it was opened.
    #[must_use]
    pub fn opening(&self) -> &str {
        &self.0.opening
    }

    /// The process that holds it: this one.
    #[must_use]
    pub fn holder(&self) -> &Holder {
        &self.0.holder
    }

    /// The estate that the journal belongs to, once it was used for one.
    #[must_use]
    pub fn estate(&self) -> Option<EstateName> {
        self.0.estate.get().cloned()
    }

    /// Says which estate uses the journal; the first one keeps it.
    ///
    /// # Errors
    /// `JournalForeign` if it belongs to another estate; else as [`append`](Self::append).
    pub async fn bind(&self, estate: &EstateName) -> Result<()> {
        if self.0.estate.get() != Some(estate) {
            self.change(Change::Bind(estate.clone())).await?;
            // Of two callers that bind the same name at once one comes second; both are right.
            let _ = self.0.estate.set(estate.clone());
        }
        Ok(())
    }

    /// Counts the openings of the journal, from 1: the upper half of every fence.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.shared.epoch
    }

    /// Who opened it before this handle, whether or not that process is still there; none if nobody did.
    #[must_use]
    pub fn opened_before(&self) -> Option<&Holder> {
        self.0.before.as_ref()
    }

    /// Starts a run together with its first events.
    ///
    /// # Errors
    /// `RunOpen` if a run is open (the fact `run` names it); else as [`append`](Self::append).
    pub async fn start_run(&self, new: NewRun) -> Result<RunId> {
        let plan = PlanText::whole(canonical_json(&new.plan)?);
        self.start_run_of(plan, new).await
    }

    /// The same with this plan, whatever the new run has as one.
    pub(crate) async fn start_run_of(&self, plan: PlanText, new: NewRun) -> Result<RunId> {
        let start = Start {
            plan,
            approvals: canonical_json(&new.approvals)?,
            plan_digest: new.plan_digest,
            at: nanoseconds("the start of the run", new.at)?,
            events: EventText::all(new.events)?,
        };
        self.change(Change::Start(start))
            .await?
            .run
            .ok_or_else(|| self.0.shared.gone())
    }

    /// Appends events to the open run, all or none, and returns their numbers.
    ///
    /// Returns when they are on the disk.
    ///
    /// # Errors
    /// `JournalInUse` if a place in a stream is taken, which means that the caller has missed an
    /// event; `NotFound` or `InvalidInput` for a run that is not there or has ended, and for an event
    /// that cannot be recorded. After these the journal goes on. `Busy`, if another program keeps a
    /// transaction open: the same call may be made again. After `DiskFull`, `JournalInUse` for a
    /// handle that was taken over, `JournalDamaged` and `Io` this handle refuses everything with the
    /// same error: stop, and open the journal again.
    pub async fn append(&self, run: RunId, events: Vec<NewEvent>) -> Result<Vec<u64>> {
        if events.is_empty() {
            self.0.shared.check()?;
            return Ok(Vec::new());
        }
        self.record(run, events, &[], None).await
    }

    /// Appends events and marks commands as answered, in one transaction, so that a command
    /// takes effect exactly once.
    ///
    /// # Errors
    /// `InvalidInput` if a command was answered already or there is no event that answers it,
    /// `NotFound` for an unknown command; else as [`append`](Self::append).
    pub async fn append_answering(
        &self,
        run: RunId,
        events: Vec<NewEvent>,
        commands: &[CommandId],
    ) -> Result<Vec<u64>> {
        self.record(run, events, commands, None).await
    }

    /// Appends the last events of a run, answers the commands that led to them, and ends the run.
    ///
    /// # Errors
    /// As [`append_answering`](Self::append_answering).
    pub async fn append_and_close(
        &self,
        run: RunId,
        events: Vec<NewEvent>,
        commands: &[CommandId],
        at: Timestamp,
    ) -> Result<Vec<u64>> {
        self.record(run, events, commands, Some(at)).await
    }

    /// Returns when it is sure that this handle was not taken over. Writes nothing.
    ///
    /// # Errors
    /// As [`append`](Self::append): after `JournalInUse` this handle refuses everything.
    pub async fn confirm(&self) -> Result<()> {
        self.change(Change::Confirm).await.map(drop)
    }

    /// Ends a run: it is sealed, and another can start.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn close_run(&self, run: RunId, at: Timestamp) -> Result<()> {
        self.record(run, Vec::new(), &[], Some(at)).await.map(drop)
    }

    /// Appends events that are made one by one: many of them are never held at once.
    pub(crate) async fn record(
        &self,
        run: RunId,
        events: impl IntoIterator<Item = NewEvent>,
        commands: &[CommandId],
        close_at: Option<Timestamp>,
    ) -> Result<Vec<u64>> {
        let events = EventText::all(events)?;
        if events.is_empty() && !commands.is_empty() {
            return Err(self
                .0
                .shared
                .place
                .error(
                    ErrorKind::InvalidInput,
                    "commands cannot be answered without an event",
                )
                .consequence("nothing was recorded")
                .hint("record what the command led to, also if it was refused"));
        }
        let append = Append {
            run,
            events,
            answers: commands.to_vec(),
            close_at: close_at
                .map(|at| nanoseconds("the end of the run", at))
                .transpose()?,
        };
        Ok(self.change(Change::Append(append)).await?.seqs)
    }

    /// Keeps what the events of some streams of the open run come to, so that who opens it reads fewer of them. Nothing
    /// else depends on it. `upto` says that the events of every stream up to there are in checkpoints from now on;
    /// none: more are to come.
    ///
    /// # Errors
    /// `InvalidInput` where one holds events that were not appended; else as [`append`](Self::append).
    pub async fn checkpoint(
        &self,
        run: RunId,
        rows: Vec<Checkpoint>,
        upto: Option<u64>,
    ) -> Result<()> {
        self.change(Change::Checkpoint(Keep { run, rows, upto }))
            .await
            .map(drop)
    }

    /// Checkpoints of a run after a stream, in the order of their streams; empty after the last. None where one is
    /// not as it was written: then the events are what counts.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn checkpoints(&self, run: RunId, after: &str) -> Result<Option<Vec<Checkpoint>>> {
        let after = after.to_owned();
        let rows = self
            .look(move |c, p| query::checkpoints(c, p, run, &after))
            .await?;
        let read = rows.as_ref().map_or(0, Vec::len) as u64;
        let counted = &self.0.shared.checkpoints_read;
        counted.fetch_add(read, Ordering::Relaxed);
        Ok(rows)
    }

    /// Closes the journal without blocking the caller's thread.
    ///
    /// While other clones are alive nothing happens; the last clone closes.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn close(self) -> Result<()> {
        let shared = Arc::clone(&self.0.shared);
        if let Some(mut inner) = Arc::into_inner(self.0)
            && let Some(open) = inner.open.take()
        {
            let Open {
                looks,
                changes,
                thread,
                closed,
            } = open;
            // The reader's connection closes first, so that the writer's is the last and leaves one
            // file behind. It closes between two looks, none of which anybody waits for any more.
            looks.end();
            drop(changes);
            drop(thread);
            // The sender is dropped when all is closed, so the error is the signal.
            let _ = closed.await;
        }
        shared.check()
    }

    /// The number of the run that has not ended.
    pub(crate) async fn open_run_id(&self) -> Result<Option<RunId>> {
        let runs = self.look(query::list).await?;
        Ok(runs.iter().find(|(_, open)| *open).map(|(id, _)| *id))
    }

    /// The run that has not ended.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn open_run(&self) -> Result<Option<RunRow>> {
        self.look(query::open_run).await
    }

    /// One run.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn run(&self, run: RunId) -> Result<Option<RunRow>> {
        self.look(move |c, p| query::run(c, p, run)).await
    }

    /// One run, its plan as the text that is stored.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn run_text(&self, run: RunId) -> Result<Option<RunText>> {
        self.look(move |c, p| query::run_text(c, p, run)).await
    }

    /// Parts of a run's plan that have rows of their own, after a number counted from 1, in order; empty after the
    /// last.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn parts(&self, run: RunId, after: u64) -> Result<Vec<String>> {
        self.look(move |c, p| query::parts(c, p, run, after)).await
    }

    /// All runs, in order.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn runs(&self) -> Result<Vec<RunRow>> {
        self.look(query::runs).await
    }

    /// At most `limit` events of a run after number `after`, in order: those that are committed.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn events(&self, run: RunId, after: u64, limit: usize) -> Result<Vec<StoredEvent>> {
        self.look(move |c, p| query::events(c, p, run, after, limit))
            .await
    }

    /// The events of some kinds over all runs, in order.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn events_of_kinds(&self, kinds: &[&str]) -> Result<Vec<StoredEvent>> {
        let kinds: Vec<String> = kinds.iter().map(|&kind| kind.to_owned()).collect();
        self.look(move |c, p| query::events_of_kinds(c, p, &kinds))
            .await
    }

    /// The number of the newest committed event, and news of every commit: what a cursor waits for.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.0.shared.committed.subscribe()
    }

    /// Whether anybody in this process waits for news of commits.
    pub(crate) fn is_followed(&self) -> bool {
        self.0.shared.committed.receiver_count() > 0
    }

    /// The commands that nobody has answered yet, in order.
    ///
    /// A command stays in the inbox until [`append_answering`](Self::append_answering) names it, so
    /// one that was taken before a crash is there again after it.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn take_commands(&self) -> Result<Vec<CommandRow>> {
        self.look(query::open_commands).await
    }

    /// Checks the chain of every run, and names the first record of each that was changed.
    ///
    /// # Errors
    /// `JournalDamaged` if the tables cannot be read at all, `Io`.
    pub async fn verify(&self) -> Result<ChainReport> {
        self.0.shared.check()?;
        self.running()?.looks.verify(&self.0.shared.place).await
    }

    /// Where the journal ends, to be kept elsewhere; see [`Anchor`]. None before the first event.
    ///
    /// # Errors
    /// `JournalDamaged`, `Io`.
    pub async fn anchor(&self) -> Result<Option<Anchor>> {
        self.look(anchor::now).await
    }

    /// [`verify`](Self::verify), and besides whether everything that anchors saw is there as they saw it. Only so is an end
    /// found that was cut off, or a chain that was computed anew.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), and `InvalidInput` for an anchor of another journal.
    pub async fn verify_against(&self, anchors: &[Anchor]) -> Result<ChainReport> {
        self.0.shared.check()?;
        let (looks, place) = (&self.running()?.looks, &self.0.shared.place);
        looks.verify_against(place, anchors).await
    }

    /// How much was written since the journal was opened.
    #[must_use]
    pub fn stats(&self) -> JournalStats {
        JournalStats {
            commits: self.0.shared.commits.load(Ordering::Relaxed),
            events: self.0.shared.events.load(Ordering::Relaxed),
            checkpoints_read: self.0.shared.checkpoints_read.load(Ordering::Relaxed),
        }
    }

    fn running(&self) -> Result<&Open> {
        self.0.open.as_ref().ok_or_else(|| self.0.shared.gone())
    }

    async fn change(&self, change: Change) -> Result<Receipt> {
        let shared = &self.0.shared;
        shared.check()?;
        let (answer, answered) = oneshot::channel();
        self.running()?
            .changes
            .send(Message::Change(change, answer))
            .await
            .map_err(|_| shared.gone())?;
        let answered = self.0.pace.keep(answered).await;
        answered.map_err(|_| shared.gone())?
    }

    /// Whether whoever waits for it holds up the whole thread; see [`Faults::in_step`].
    #[cfg(feature = "crash")]
    pub(crate) fn is_in_step(&self) -> bool {
        self.0.pace.is_in_step()
    }

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection, &Place) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.0.shared.check()?;
        let look = self.running()?.looks.look(&self.0.shared.place, look);
        self.0.pace.keep(look).await
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(Open {
            looks,
            changes,
            thread,
            ..
        }) = self.open.take()
        {
            looks.end();
            drop(changes);
            // A writer that panicked has nothing left to write.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("place", &self.0.shared.place)
            .field("epoch", &self.epoch())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use serde_json::json;

    /// A journal whose disk has room for so many pages of 4 KiB.
    async fn journal_of_pages(pages: u32) -> Result<Journal> {
        let place = Place::memory();
        let connection =
            Connection::open_in_memory().map_err(|error| place.sqlite("open it", error))?;
        connection
            .pragma_update(None, "max_page_count", pages)
            .map_err(|error| place.sqlite("limit it", error))?;
        Journal::over(connection, place, Faults::none())
    }

    fn large(tseq: u64) -> NewEvent {
        let body = json!("x".repeat(3000));
        NewEvent {
            stream: "run".into(),
            tseq,
            at: Timestamp::UNIX_EPOCH,
            kind: "stepped".into(),
            body,
        }
    }

    fn is_disk_full(error: &Error) {
        assert_eq!(error.kind(), ErrorKind::DiskFull, "{error:?}");
        assert!(
            error
                .remedy()
                .is_some_and(|remedy| remedy.contains("free space")),
            "{error:?}"
        );
    }

    #[test]
    fn a_commit_reaches_the_disk_before_it_is_acknowledged() {
        let name = format!("patchcore-pragmas-{}.db", std::process::id());
        let path = std::env::temp_dir().join(name);
        let place = Place::file(&path);
        let mut connection = schema::connect(&path, &place).unwrap();
        let holder = Holder::this_process(0);
        let opened = schema::open(&mut connection, false, &place, &holder, None).unwrap();
        assert!(opened.is_some());
        let pragma = |name: &str| -> String {
            let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
            connection.query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        // The numbers are SQLite's: 2 is FULL.
        assert_eq!(pragma("synchronous"), "2");
        assert_eq!(pragma("journal_mode"), "wal");
        assert_eq!(pragma("foreign_keys"), "1");
        assert_eq!(pragma("trusted_schema"), "0");
        drop(connection);
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_ends_the_handle() {
        is_disk_full(&journal_of_pages(5).await.unwrap_err());

        let journal = journal_of_pages(60).await.unwrap();
        let new = NewRun {
            plan: json!({}),
            approvals: json!([]),
            plan_digest: String::new(),
            at: Timestamp::UNIX_EPOCH,
            events: vec![],
        };
        let run = journal.start_run(new).await.unwrap();
        let mut written = 0;
        let error = loop {
            // Appends of two events, so that the disk may be full between them.
            match journal
                .append(run, vec![large(written), large(written + 1)])
                .await
            {
                Ok(_) => written += 2,
                Err(error) => break error,
            }
        };
        is_disk_full(&error);
        assert!(written > 10, "{written} events");
        assert_eq!(
            (journal.stats().events, *journal.committed().borrow()),
            (written, written)
        );
        is_disk_full(&journal.append(run, vec![large(999)]).await.unwrap_err());
        is_disk_full(
            &journal
                .close_run(run, Timestamp::UNIX_EPOCH)
                .await
                .unwrap_err(),
        );
        is_disk_full(&journal.open_run().await.unwrap_err());
        is_disk_full(&journal.verify().await.unwrap_err());
        is_disk_full(&journal.close().await.unwrap_err());
    }
}
