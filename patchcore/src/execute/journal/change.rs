//! What can be changed, and how each change is made inside the writer's transaction.

use rusqlite::{Connection, ErrorCode, OptionalExtension as _};

use super::{
    cause::Place,
    chain::{Hash, Header, Link},
    query,
    record::{Checkpoint, CommandId, EventText, PlanText},
    schema::Head,
    writer::Writer,
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::{EstateName, RunId},
};

/// What can be changed.
pub(super) enum Change {
    Bind(EstateName),
    Start(Start),
    Append(Append),
    /// Keeps what events come to; no event is lost with it.
    Checkpoint(Keep),
    /// Looks whether the epoch is still ours.
    Confirm,
}

pub(super) struct Start {
    pub(super) plan: PlanText,
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
}

pub(super) struct Keep {
    pub(super) run: RunId,
    pub(super) rows: Vec<Checkpoint>,
    /// Up to where everything is in checkpoints now; none where more are to come.
    pub(super) upto: Option<u64>,
}

/// What a change has led to.
#[derive(Default)]
pub(super) struct Receipt {
    /// The run that was started.
    pub(super) run: Option<RunId>,
    /// The numbers of the events.
    pub(super) seqs: Vec<u64>,
}

/// An event with its number and its hash.
pub(super) struct Numbered {
    pub(super) seq: i64,
    pub(super) run: i64,
    pub(super) event: EventText,
    pub(super) hash: Hash,
}

/// Why a change did not happen.
pub(super) enum Refusal {
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

impl Writer {
    /// Makes one change inside the transaction, and undoes it alone if it is refused.
    pub(super) fn attempt(&mut self, change: Change) -> Result<Receipt, Refusal> {
        self.run_cached("SAVEPOINT change")?;
        let (head, open_run) = (self.head, self.open_run);
        let result = match change {
            Change::Bind(estate) => self.bind(&estate),
            Change::Start(start) => self.start(start),
            Change::Append(append) => self.append(append),
            Change::Checkpoint(keep) => self.keep(keep),
            // The transaction has looked at the epoch.
            Change::Confirm => Ok(Receipt::default()),
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
        let PlanText { text, hole, parts } = start.plan;
        let header = Header {
            id: run,
            epoch: self.epoch,
            plan_digest: &start.plan_digest,
            started_at: start.at,
            first_seq: self.head.seq + 1,
            plan: &text,
            hole,
            approvals: &start.approvals,
        };
        let sql = "INSERT INTO run(id, epoch, plan_digest, started_at, first_seq, plan, plan_hole, approvals)
                   VALUES(?, ?, ?, ?, ?, ?, ?, ?)";
        let row = (
            run,
            self.epoch,
            header.plan_digest,
            start.at,
            header.first_seq,
            header.plan,
            hole.and_then(|hole| i64::try_from(hole).ok()),
            header.approvals,
        );
        self.connection.execute(sql, row).map_err(failed)?;
        let mut genesis = header.genesis().ok_or_else(|| {
            Refusal::Alone(
                self.place
                    .damaged("the parts of a plan have no place in it"),
            )
        })?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO plan_part(run, nth, body) VALUES(?, ?, ?)")
            .map_err(failed)?;
        for (nth, part) in (1i64..).zip(parts) {
            let part = part.map_err(Refusal::Alone)?;
            genesis.part(&part);
            insert.execute((run, nth, &part)).map_err(failed)?;
        }
        drop(insert);
        self.head.hash = genesis.finish();
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

    fn keep(&self, keep: Keep) -> Result<Receipt, Refusal> {
        let run = self.check_open(keep.run).map_err(Refusal::Alone)?;
        let failed = |error| self.place.sqlite("keep a checkpoint", error);
        let number = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
        let sql = "INSERT INTO checkpoint(run, stream, seq, body, sum) VALUES(?, ?, ?, ?, ?)
                   ON CONFLICT DO UPDATE SET seq = excluded.seq, body = excluded.body, sum = excluded.sum";
        let mut insert = self.connection.prepare_cached(sql).map_err(failed)?;
        for row in keep.rows {
            let (seq, sum) = (number(row.seq), row.sum(keep.run));
            if seq > self.head.seq {
                let error = self
                    .place
                    .error(
                        ErrorKind::InvalidInput,
                        format_args!(
                            "a checkpoint of {:?} holds events that are not there",
                            row.stream
                        ),
                    )
                    .expected(format!("events up to {}", self.head.seq))
                    .found(format!("up to {seq}"));
                return Err(Refusal::Alone(error));
            }
            insert
                .execute((run, &row.stream, seq, &row.body, &sum[..]))
                .map_err(failed)?;
        }
        if let Some(upto) = keep.upto {
            self.connection
                .prepare_cached("UPDATE run SET checkpoint = ? WHERE id = ?")
                .and_then(|mut statement| statement.execute((number(upto), run)))
                .map_err(failed)?;
        }
        Ok(Receipt::default())
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

    pub(super) fn check_open(&self, run: RunId) -> Result<i64> {
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
    pub(super) fn number(&mut self, run: i64, event: EventText) -> Numbered {
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

    fn insert(&self, numbered: &Numbered) -> rusqlite::Result<()> {
        insert(&self.connection, self.epoch, numbered)
    }

    fn run_cached(&self, sql: &str) -> Result<()> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(|error| self.place.sqlite("write to it", error))
    }

    pub(super) fn conflict(&self, run: i64, event: &EventText) -> Error {
        self.place
            .error(
                ErrorKind::JournalInUse,
                format_args!("run {run} has an event {} in stream {:?} already", event.tseq, event.stream),
            )
            .consequence("nothing of this append was recorded")
            .hint("whoever appended has missed an event: read the events of the run again and decide anew")
    }
}

/// Writes an event.
pub(super) fn insert(
    connection: &Connection,
    epoch: i64,
    numbered: &Numbered,
) -> rusqlite::Result<()> {
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
    connection
        .prepare_cached(
            "INSERT INTO event(seq, epoch, run, stream, tseq, at, kind, body, hash) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((seq, epoch, run, stream, tseq, at, kind, body, &hash[..]))
        .map(drop)
}

/// The error for a journal that another estate uses.
fn foreign(place: &Place, estate: &EstateName, bound: &str) -> Error {
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
        .consequence("nothing was started")
        .hint(
            "reopen that run (estate.reopen) and let it end, or cancel it, before starting another",
        )
}
