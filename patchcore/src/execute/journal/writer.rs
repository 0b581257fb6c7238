//! The one thread that writes.
//!
//! Group commit without a timer: while one commit waits for the disk, the next changes gather, and
//! all of them go into the commit after it. A change that is refused (a place that is taken, a run
//! that has ended) is undone alone and leaves the others of its group in place. Anything else that
//! fails is final for the handle: after a failed commit nobody can say what is on the disk, so only
//! opening the journal again, which reads it, can go on.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    cause::Place,
    chain::{Hash, hash_from},
    change::{Change, Receipt, Refusal},
    fault::Faults,
    lock::Lock,
    schema::{self, Head, Opened},
};
use crate::error::{Error, ErrorKind, Result};

/// How many changes one commit takes at most.
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

/// What the handles see of the writer.
pub(super) struct Shared {
    pub(super) place: Place,
    pub(super) epoch: u64,
    pub(super) committed: watch::Sender<u64>,
    pub(super) commits: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) checkpoints_read: AtomicU64,
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
    faults: Faults,
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
        shared,
        faults,
    };
    let work = move || {
        let mut group = Vec::new();
        while receiver.blocking_recv_many(&mut group, GROUP) > 0 {
            writer.take(group.drain(..));
        }
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

/// What the thread works on.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) place: Place,
    pub(super) epoch: i64,
    /// Where the journal ends, with what the transaction adds to it.
    pub(super) head: Head,
    /// Where it ends on the disk.
    pub(super) written: Head,
    pub(super) open_run: Option<i64>,
    pub(super) shared: Arc<Shared>,
    faults: Faults,
}

impl Writer {
    /// Takes a group of messages: one commit at most, then every answer.
    fn take(&mut self, group: impl IntoIterator<Item = Message>) {
        let (mut changes, mut looks) = (Vec::new(), Vec::new());
        let mut commit = false;
        for message in group {
            match message {
                Message::Look(look) => looks.push(look),
                Message::Change(change, answer) => {
                    commit |= !matches!(change, Change::Confirm);
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
            for (_, answer) in changes {
                let confirmed = self
                    .shared
                    .check()
                    .and_then(|()| self.check_epoch().map_err(|error| self.fail(error)));
                let _ = answer.send(confirmed.map(|()| Receipt::default()));
            }
        }
        for look in looks {
            look(&self.connection);
        }
    }

    fn commit(&mut self, changes: Vec<(Change, oneshot::Sender<Result<Receipt>>)>) {
        let begun = self.faults.at_begin(&self.place).and_then(|()| {
            self.run_statement("BEGIN IMMEDIATE")
                .map_err(|error| self.place.sqlite("write to it", error))
        });
        if let Err(error) = begun {
            // Nothing has begun, so nothing is lost: the caller may try again.
            let busy = error.kind() == ErrorKind::Busy;
            let error = if busy { error } else { self.fail(error) };
            for (_, answer) in changes {
                let _ = answer.send(Err(error.clone()));
            }
            return;
        }
        let (open_run, mut answers, mut results) = (self.open_run, Vec::new(), Vec::new());
        let mut outcome = self.check_epoch();
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
        let outcome = outcome
            .and_then(|()| self.write_head())
            .and_then(|()| self.faults.before_commit(&self.place))
            .and_then(|()| {
                self.run_statement("COMMIT")
                    .map_err(|error| self.place.sqlite("commit to it", error))
            })
            .and_then(|()| self.faults.after_commit(&self.place));
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

    /// Runs a statement that was read before.
    fn run_statement(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute(()).map(drop)
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

    /// Refuses everything from now on, for this reason.
    fn fail(&self, error: Error) -> Error {
        self.shared.fatal.get_or_init(|| error).clone()
    }
}
