//! The one thread that writes.
//!
//! Group commit without a timer: while one commit waits for the disk, the next changes gather, and
//! all of them go into the commit after it. A change that is refused (a place that is taken, a run
//! that has ended) is undone alone and leaves the others of its group in place. Anything else that
//! fails is final for the handle: after a failed commit nobody can say what is on the disk, so only
//! opening the journal again, which reads it, can go on.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    cause::Place,
    chain::{Hash, Header, Link, hash_from},
    lock::Lock,
    query,
    record::{CommandId, EventText},
    schema::{self, Head, Opened},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::{EstateName, RunId},
};

/// How many changes one commit takes at most, and how many lazy events may wait for one.
///
/// Measured: beyond some thousand events a larger commit gains nothing and delays its first caller.
const GROUP: usize = 2000;

/// How many changes may wait for the writer; callers beyond that wait for room.
const QUEUE: usize = 16_384;

/// What the thread is asked.
pub(super) enum Message {
    Change(Change, oneshot::Sender<Result<Receipt>>),
    /// Only of a journal in memory, which has no second connection.
    Look(Look),
}

/// A look at the journal by whoever has a connection.
pub(super) type Look = Box<dyn FnOnce(&Connection) + Send>;

/// What can be changed.
pub(super) enum Change {
    Bind(EstateName),
    Start(Start),
    Append(Append),
    /// Writes the lazy events that wait.
    Flush,
}

pub(super) struct Start {
    pub(super) plan: String,
    pub(super) approvals: String,
    pub(super) plan_digest: String,
    pub(super) at: i64,
    pub(super) events: Vec<EventText>,
}

pub(super) struct Append {
    pub(super) run: RunId,
    pub(super) events: Vec<EventText>,
    pub(super) answers: Vec<CommandId>,
    pub(super) close_at: Option<i64>,
    pub(super) lazy: bool,
}

/// What a change has led to.
#[derive(Default)]
pub(super) struct Receipt {
    /// The run that was started.
    pub(super) run: Option<RunId>,
    /// The numbers of the events.
    pub(super) seqs: Vec<u64>,
}

/// What the handles see of the writer.
pub(super) struct Shared {
    pub(super) place: Place,
    pub(super) epoch: u64,
    pub(super) committed: watch::Sender<u64>,
    pub(super) commits: AtomicU64,
    pub(super) events: AtomicU64,
    /// Why the handle refuses everything.
    pub(super) fatal: OnceLock<Error>,
}

impl Shared {
    /// Refuses everything once the writer has failed.
    pub(super) fn check(&self) -> Result<()> {
        match self.fatal.get() {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// The error for a writer that is gone without having said why.
    pub(super) fn gone(&self) -> Error {
        self.fatal.get().cloned().unwrap_or_else(|| {
            self.place
                .error(ErrorKind::Io, "its writer has ended")
                .consequence("what was not acknowledged may or may not be recorded")
                .hint("open the journal again")
        })
    }
}

/// A running writer.
pub(super) struct WriterThread {
    pub(super) sender: mpsc::Sender<Message>,
    pub(super) thread: JoinHandle<()>,
    /// Ends when the journal is closed and its lock is free.
    pub(super) closed: oneshot::Receiver<()>,
}

/// Starts the thread. It ends, and gives the lock back, when every sender is dropped.
pub(super) fn start(
    connection: Connection,
    lock: Option<Lock>,
    opened: &Opened,
    shared: Arc<Shared>,
) -> Result<WriterThread> {
    let (sender, mut receiver) = mpsc::channel(QUEUE);
    let (ended, closed) = oneshot::channel();
    let place = shared.place.clone();
    let mut writer = Writer {
        connection,
        place: place.clone(),
        epoch: opened.epoch,
        head: opened.head,
        written: opened.head,
        open_run: opened.open_run,
        waiting: Vec::new(),
        places: BTreeSet::new(),
        shared,
    };
    let work = move || {
        let mut group = Vec::new();
        while receiver.blocking_recv_many(&mut group, GROUP) > 0 {
            writer.take(group.drain(..));
        }
        writer.take([(Message::Change(Change::Flush, oneshot::channel().0))]);
        // The connection is closed before the lock is free, and both before anyone is told.
        drop(writer);
        drop(lock);
        drop(ended);
    };
    // SQLite blocks on the disk, so its connection needs a thread of its own, whatever runtime the
    // embedder has.
    let thread = std::thread::Builder::new()
        .name("patchcore-journal".to_owned())
        .spawn(work)
        .map_err(|error| place.io("start its writer", error))?;
    Ok(WriterThread {
        sender,
        thread,
        closed,
    })
}

/// An event with its number and its hash.
struct Numbered {
    seq: i64,
    run: i64,
    event: EventText,
    hash: Hash,
}

/// Why a change did not happen.
enum Refusal {
    /// The change is wrong; the others of its group are not touched.
    Alone(Error),
    /// The transaction cannot go on.
    Fatal(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

struct Writer {
    connection: Connection,
    place: Place,
    epoch: i64,
    /// Where the journal ends, the waiting lazy events included.
    head: Head,
    /// Where it ends on the disk.
    written: Head,
    open_run: Option<i64>,
    /// Lazy events that were accepted and wait for the next commit.
    waiting: Vec<Numbered>,
    /// The places in the streams that they take.
    places: BTreeSet<(String, i64)>,
    shared: Arc<Shared>,
}

impl Writer {
    /// Takes a group of messages: one commit at most, then every answer.
    fn take(&mut self, group: impl IntoIterator<Item = Message>) {
        let (mut changes, mut looks) = (Vec::new(), Vec::new());
        let mut commit = self.waiting.len() >= GROUP;
        for message in group {
            match message {
                Message::Look(look) => looks.push(look),
                Message::Change(change, answer) => {
                    commit |= match &change {
                        Change::Append(append) => !append.lazy,
                        Change::Flush => !self.waiting.is_empty(),
                        Change::Bind(_) | Change::Start(_) => true,
                    };
                    changes.push((change, answer));
                }
            }
        }
        // Somebody who no longer waits for an answer is no reason to fail.
        if let Some(fatal) = self.shared.fatal.get() {
            for (_, answer) in changes {
                let _ = answer.send(Err(fatal.clone()));
            }
        } else if commit {
            self.commit(changes);
        } else {
            for (change, answer) in changes {
                let _ = answer.send(self.accept(change));
            }
        }
        for look in looks {
            look(&self.connection);
        }
    }

    /// Accepts a lazy append: it gets its numbers now and is written with the next commit.
    fn accept(&mut self, change: Change) -> Result<Receipt> {
        let Change::Append(append) = change else {
            return Ok(Receipt::default());
        };
        let run = self.check_open(append.run)?;
        let mut places = BTreeSet::new();
        for event in &append.events {
            let place = (event.stream.clone(), event.tseq);
            if self.places.contains(&place) || !places.insert(place) || self.is_taken(run, event)? {
                return Err(self.conflict(run, event));
            }
        }
        self.places.append(&mut places);
        let numbered: Vec<_> = append
            .events
            .into_iter()
            .map(|event| self.number(run, event))
            .collect();
        let seqs = numbered
            .iter()
            .map(|event| event.seq.unsigned_abs())
            .collect();
        self.waiting.extend(numbered);
        Ok(Receipt { run: None, seqs })
    }

    fn commit(&mut self, changes: Vec<(Change, oneshot::Sender<Result<Receipt>>)>) {
        if let Err(error) = self.connection.execute_batch("BEGIN IMMEDIATE") {
            let busy = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
            let error = self.place.sqlite("write to it", error);
            // Nothing has begun, so nothing is lost: the caller may try again.
            let error = if busy { error } else { self.fail(error) };
            for (_, answer) in changes {
                let _ = answer.send(Err(error.clone()));
            }
            return;
        }
        let (open_run, mut answers, mut results) = (self.open_run, Vec::new(), Vec::new());
        let mut outcome = self.check_epoch().and_then(|()| self.write_waiting());
        for (change, answer) in changes {
            answers.push(answer);
            if outcome.is_ok() {
                match self.attempt(change) {
                    Ok(receipt) => results.push(Ok(receipt)),
                    Err(Refusal::Alone(error)) => results.push(Err(error)),
                    Err(Refusal::Fatal(error)) => outcome = Err(error),
                }
            }
        }
        let outcome = outcome.and_then(|()| self.write_head()).and_then(|()| {
            self.connection
                .execute_batch("COMMIT")
                .map_err(|error| self.place.sqlite("commit to it", error))
        });
        match outcome {
            Ok(()) => {
                let written = (self.head.seq - self.written.seq).unsigned_abs();
                self.written = self.head;
                self.shared.commits.fetch_add(1, Ordering::Relaxed);
                self.shared.events.fetch_add(written, Ordering::Relaxed);
                self.shared
                    .committed
                    .send_replace(self.head.seq.unsigned_abs());
                for (answer, result) in answers.into_iter().zip(results) {
                    let _ = answer.send(result);
                }
            }
            Err(error) => {
                // SQLite has undone the transaction already after some errors; then this fails.
                let _ = self.connection.execute_batch("ROLLBACK");
                self.open_run = open_run;
                let error = self.fail(error);
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Makes one change inside the transaction, and undoes it alone if it is refused.
    fn attempt(&mut self, change: Change) -> Result<Receipt, Refusal> {
        self.run_cached("SAVEPOINT change")?;
        let (head, open_run) = (self.head, self.open_run);
        let result = match change {
            Change::Bind(estate) => self.bind(&estate),
            Change::Start(start) => self.start(start),
            Change::Append(append) => self.append(append),
            Change::Flush => Ok(Receipt::default()),
        };
        match &result {
            Ok(_) => {}
            Err(Refusal::Alone(_)) => {
                self.run_cached("ROLLBACK TO change")?;
                (self.head, self.open_run) = (head, open_run);
            }
            // After these SQLite may have undone the whole transaction already.
            Err(Refusal::Fatal(_)) => return result,
        }
        self.run_cached("RELEASE change")?;
        result
    }

    fn bind(&self, estate: &EstateName) -> Result<Receipt, Refusal> {
        let failed = |error| self.place.sqlite("read its estate", error);
        let bound: Option<String> = self
            .connection
            .query_row("SELECT estate FROM meta WHERE id = 1", [], |row| row.get(0))
            .map_err(failed)?;
        match bound {
            None => {
                self.connection
                    .execute(
                        "UPDATE meta SET estate = ? WHERE id = 1",
                        (estate.as_str(),),
                    )
                    .map_err(failed)?;
            }
            Some(bound) if *estate == bound.as_str() => {}
            Some(bound) => return Err(Refusal::Alone(foreign(&self.place, estate, &bound))),
        }
        Ok(Receipt::default())
    }

    fn start(&mut self, start: Start) -> Result<Receipt, Refusal> {
        if let Some(open) = self.open_run {
            return Err(Refusal::Alone(run_open(&self.place, open)));
        }
        let failed = |error| self.place.sqlite("start a run", error);
        let run: i64 = self
            .connection
            .query_row("SELECT coalesce(max(id), 0) + 1 FROM run", [], |row| {
                row.get(0)
            })
            .map_err(failed)?;
        let header = Header {
            id: run,
            epoch: self.epoch,
            plan_digest: &start.plan_digest,
            started_at: start.at,
            first_seq: self.head.seq + 1,
            plan: &start.plan,
            approvals: &start.approvals,
        };
        let sql = "INSERT INTO run(id, epoch, plan_digest, started_at, first_seq, plan, approvals)
                   VALUES(?, ?, ?, ?, ?, ?, ?)";
        let row = (
            run,
            self.epoch,
            header.plan_digest,
            start.at,
            header.first_seq,
            header.plan,
            header.approvals,
        );
        self.connection.execute(sql, row).map_err(failed)?;
        self.head.hash = header.hash();
        self.open_run = Some(run);
        let seqs = self.write_events(run, start.events)?;
        Ok(Receipt {
            run: Some(RunId(run.unsigned_abs())),
            seqs,
        })
    }

    fn append(&mut self, append: Append) -> Result<Receipt, Refusal> {
        let run = self.check_open(append.run).map_err(Refusal::Alone)?;
        let first = self.head.seq + 1;
        let seqs = self.write_events(run, append.events)?;
        for command in append.answers {
            self.answer(command, first)?;
        }
        if let Some(at) = append.close_at {
            self.connection
                .execute(
                    "UPDATE run SET ended_at = ?, last_seq = ?, head_hash = ? WHERE id = ?",
                    (at, self.head.seq, &self.head.hash[..], run),
                )
                .map_err(|error| self.place.sqlite("end a run", error))?;
            self.open_run = None;
        }
        Ok(Receipt { run: None, seqs })
    }

    /// Marks a command as answered by the event that begins its effect.
    fn answer(&self, command: CommandId, seq: i64) -> Result<(), Refusal> {
        let failed = |error| self.place.sqlite("answer a command", error);
        let id = i64::try_from(command.0).unwrap_or(i64::MAX);
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE command SET answered_seq = ? WHERE id = ? AND answered_seq IS NULL",
            )
            .and_then(|mut statement| statement.execute((seq, id)))
            .map_err(failed)?;
        if changed == 1 {
            return Ok(());
        }
        let answered: Option<Option<i64>> = self
            .connection
            .query_row(
                "SELECT answered_seq FROM command WHERE id = ?",
                (id,),
                |row| row.get(0),
            )
            .optional()
            .map_err(failed)?;
        let error = match answered.flatten() {
            Some(seq) => self
                .place
                .error(
                    ErrorKind::InvalidInput,
                    format_args!("command {command} was answered already, by event {seq}"),
                )
                .hint("take the commands again; each is answered once"),
            None => self
                .place
                .error(
                    ErrorKind::NotFound,
                    format_args!("there is no command {command}"),
                )
                .hint("answer only commands that were taken from this journal"),
        };
        Err(Refusal::Alone(
            error.consequence("nothing of this append was recorded"),
        ))
    }

    fn check_open(&self, run: RunId) -> Result<i64> {
        match self.open_run {
            Some(open) if open.unsigned_abs() == run.0 => Ok(open),
            _ => {
                let (kind, what) = match query::is_open(&self.connection, &self.place, run)? {
                    Some(_) => (ErrorKind::InvalidInput, format!("run {run} has ended")),
                    None => (ErrorKind::NotFound, format!("there is no run {run}")),
                };
                Err(self
                    .place
                    .error(kind, what)
                    .consequence("nothing of this append was recorded")
                    .hint("append to the run that is open; an ended run is sealed"))
            }
        }
    }

    /// Gives an event its number and chains it to the one before.
    fn number(&mut self, run: i64, event: EventText) -> Numbered {
        let link = Link {
            seq: self.head.seq + 1,
            epoch: self.epoch,
            run,
            stream: &event.stream,
            tseq: event.tseq,
            at: event.at,
            kind: &event.kind,
            body: &event.body,
        };
        self.head = Head {
            seq: link.seq,
            hash: link.hash(&self.head.hash),
        };
        Numbered {
            seq: self.head.seq,
            run,
            event,
            hash: self.head.hash,
        }
    }

    fn write_events(&mut self, run: i64, events: Vec<EventText>) -> Result<Vec<u64>, Refusal> {
        let mut seqs = Vec::with_capacity(events.len());
        for event in events {
            let numbered = self.number(run, event);
            seqs.push(numbered.seq.unsigned_abs());
            match self.insert(&numbered) {
                Ok(()) => {}
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                    return Err(Refusal::Alone(
                        self.conflict(run, &numbered.event).source_error(error),
                    ));
                }
                Err(error) => return Err(Refusal::Fatal(self.place.sqlite("append to it", error))),
            }
        }
        Ok(seqs)
    }

    /// Writes the lazy events that wait. They were checked when they were accepted.
    fn write_waiting(&mut self) -> Result<()> {
        for numbered in std::mem::take(&mut self.waiting) {
            self.insert(&numbered)
                .map_err(|error| self.place.sqlite("append to it", error))?;
        }
        self.places.clear();
        Ok(())
    }

    fn insert(&self, numbered: &Numbered) -> rusqlite::Result<()> {
        let Numbered {
            seq,
            run,
            event,
            hash,
        } = numbered;
        let EventText {
            stream,
            tseq,
            at,
            kind,
            body,
        } = event;
        self.connection
            .prepare_cached(
                "INSERT INTO event(seq, epoch, run, stream, tseq, at, kind, body, hash) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute((seq, self.epoch, run, stream, tseq, at, kind, body, &hash[..]))
            .map(drop)
    }

    fn is_taken(&self, run: i64, event: &EventText) -> Result<bool> {
        self.connection
            .prepare_cached("SELECT 1 FROM event WHERE run = ? AND stream = ? AND tseq = ?")
            .and_then(|mut statement| statement.exists((run, &event.stream, event.tseq)))
            .map_err(|error| self.place.sqlite("read it", error))
    }

    fn check_epoch(&self) -> Result<()> {
        let (epoch, head): (i64, i64) = self
            .connection
            .prepare_cached("SELECT epoch, head_seq FROM meta WHERE id = 1")
            .and_then(|mut statement| statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))))
            .map_err(|error| self.place.sqlite("read its epoch", error))?;
        if epoch != self.epoch {
            return Err(schema::fenced(&self.place, &self.connection, self.epoch));
        }
        if head != self.written.seq {
            return Err(self.place.damaged(format_args!(
                "its head was moved from event {} to event {head} by another program",
                self.written.seq
            )));
        }
        Ok(())
    }

    /// Moves the head, on the condition that the epoch is still ours.
    fn write_head(&self) -> Result<()> {
        let hash = (self.head.seq > 0)
            .then(|| self.newest_hash())
            .transpose()?;
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE meta SET head_seq = ?, head_hash = ? WHERE id = 1 AND epoch = ?",
            )
            .and_then(|mut statement| {
                statement.execute((self.head.seq, hash.as_ref().map(|h| &h[..]), self.epoch))
            })
            .map_err(|error| self.place.sqlite("move its head", error))?;
        if changed == 1 {
            Ok(())
        } else {
            Err(schema::fenced(&self.place, &self.connection, self.epoch))
        }
    }

    /// The hash of the newest event, which after the start of a run without events is not the hash
    /// that the next one is chained to.
    fn newest_hash(&self) -> Result<Hash> {
        let bytes: Vec<u8> = self
            .connection
            .prepare_cached("SELECT hash FROM event WHERE seq = ?")
            .and_then(|mut statement| statement.query_row((self.head.seq,), |row| row.get(0)))
            .map_err(|error| self.place.sqlite("read its head", error))?;
        hash_from(&self.place, &bytes)
    }

    fn run_cached(&self, sql: &str) -> Result<()> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(|error| self.place.sqlite("write to it", error))
    }

    fn conflict(&self, run: i64, event: &EventText) -> Error {
        self.place
            .error(
                ErrorKind::JournalInUse,
                format_args!("run {run} has an event {} in stream {:?} already", event.tseq, event.stream),
            )
            .consequence("nothing of this append was recorded")
            .hint("whoever appended has missed an event: read the events of the run again and decide anew")
    }

    /// Refuses everything from now on, for this reason.
    fn fail(&self, error: Error) -> Error {
        self.shared.fatal.get_or_init(|| error).clone()
    }
}

/// The error for a journal that another estate uses.
pub(super) fn foreign(place: &Place, estate: &EstateName, bound: &str) -> Error {
    place
        .error(ErrorKind::JournalForeign, "it belongs to another estate")
        .expected(format!("estate {estate}"))
        .found(format!("estate {bound}"))
        .consequence("nothing was changed")
        .hint(format!(
            "give estate {estate} a journal of its own, or name the estate {bound} as before"
        ))
}

fn run_open(place: &Place, open: i64) -> Error {
    place
        .error(
            ErrorKind::RunOpen,
            format_args!("run {open} is open, and one run is carried out at a time"),
        )
        .context("run", open.to_string())
        .consequence("no run was started")
        .hint("reopen that run and let it end, or cancel it, before starting another")
}
