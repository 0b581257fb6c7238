//! Reading the tables. Every function is one consistent look at the journal.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};
use serde_json::Value;

use super::{
    cause::Place,
    chain::{Follower, Hash, Header, Link, Span},
    record::{
        Checkpoint, CommandFate, CommandId, CommandRow, JournalIdentity, RunRow, RunText,
        StoredEvent,
    },
};
use crate::{
    error::{ErrorKind, Result},
    id::{EstateName, PersonId, RunId},
};

/// How many events one look of the chain check takes, so that it never blocks other readers for long.
const STRIDE: i64 = 5000;

const EVENT: &str = "SELECT seq, run, stream, tseq, at, kind, body, epoch FROM event";

/// How many parts of a plan one look takes.
const PARTS: usize = 1000;

/// All runs, in order.
pub(super) fn runs(connection: &Connection, place: &Place) -> Result<Vec<RunRow>> {
    let texts = run_texts(connection, place, "ORDER BY id", ())?;
    let rows = texts.into_iter().map(|text| whole(connection, place, text));
    rows.collect()
}

/// All runs, in order: their numbers, and whether they are open.
pub(super) fn list(connection: &Connection, place: &Place) -> Result<Vec<(RunId, bool)>> {
    let sql = "SELECT id, ended_at IS NULL FROM run ORDER BY id";
    all(connection, place, sql, (), |place, row| {
        let id = get::<i64>(place, row, 0)?.unsigned_abs();
        Ok((RunId(id), get(place, row, 1)?))
    })
}

/// One run.
pub(super) fn run(connection: &Connection, place: &Place, run: RunId) -> Result<Option<RunRow>> {
    let text = run_text(connection, place, run)?;
    text.map(|text| whole(connection, place, text)).transpose()
}

/// One run, its plan as it is stored.
pub(super) fn run_text(
    connection: &Connection,
    place: &Place,
    run: RunId,
) -> Result<Option<RunText>> {
    Ok(run_texts(connection, place, "WHERE id = ?", (bounded(run.0),))?.pop())
}

/// The run that has not ended.
pub(super) fn open_run(connection: &Connection, place: &Place) -> Result<Option<RunRow>> {
    let text = run_texts(connection, place, "WHERE ended_at IS NULL", ())?.pop();
    text.map(|text| whole(connection, place, text)).transpose()
}

/// Whether this journal is of a schema that has parts of plans: who only reads meets older ones.
fn has_parts(connection: &Connection, place: &Place) -> Result<bool> {
    connection
        .query_row("SELECT schema >= 2 FROM meta WHERE id = 1", [], |row| {
            row.get(0)
        })
        .map_err(|error| place.sqlite("read its version", error))
}

fn run_texts(
    connection: &Connection,
    place: &Place,
    which: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<RunText>> {
    let added = match has_parts(connection, place)? {
        true => "plan_hole, checkpoint",
        false => "NULL, NULL",
    };
    let sql = format!(
        "SELECT id, plan, approvals, plan_digest, started_at, ended_at, first_seq, last_seq, {added} FROM run {which}"
    );
    all(connection, place, &sql, values, run_text_row)
}

/// A run with its plan put together.
fn whole(connection: &Connection, place: &Place, run: RunText) -> Result<RunRow> {
    let plan = match run.hole {
        None => json(place, &run.plan)?,
        Some(hole) => {
            let (before, after) = split(place, &run.plan, hole)?;
            let mut plan = before.to_owned();
            each_part(connection, place, run.id, |part| {
                if plan.len() > before.len() {
                    plan.push(',');
                }
                plan.push_str(part);
            })?;
            plan.push_str(after);
            json(place, &plan)?
        }
    };
    Ok(RunRow {
        id: run.id,
        plan,
        approvals: run.approvals,
        plan_digest: run.plan_digest,
        started_at: run.started_at,
        ended_at: run.ended_at,
        first_seq: run.first_seq,
        last_seq: run.last_seq,
    })
}

fn split<'a>(place: &Place, plan: &'a str, hole: usize) -> Result<(&'a str, &'a str)> {
    plan.split_at_checked(hole)
        .ok_or_else(|| place.damaged("the parts of a plan have no place in it"))
}

/// The parts of a plan after a number, counted from 1, in order.
pub(super) fn parts(
    connection: &Connection,
    place: &Place,
    run: RunId,
    after: u64,
) -> Result<Vec<String>> {
    if !has_parts(connection, place)? {
        return Ok(Vec::new());
    }
    let sql = format!("{PART} AND nth > ? ORDER BY nth LIMIT {PARTS}");
    let values = (bounded(run.0), bounded(after));
    all(connection, place, &sql, values, |place, row| {
        text(place, row, 0).map(str::to_owned)
    })
}

/// The checkpoints of a run after a stream, in the order of their streams; empty after the last. None where one is not
/// as it was written: then the events are what counts.
pub(super) fn checkpoints(
    connection: &Connection,
    place: &Place,
    run: RunId,
    after: &str,
) -> Result<Option<Vec<Checkpoint>>> {
    if !has_parts(connection, place)? {
        return Ok(Some(Vec::new()));
    }
    let sql = format!(
        "SELECT stream, seq, body, sum FROM checkpoint WHERE run = ? AND stream > ? ORDER BY stream LIMIT {PARTS}"
    );
    let rows = all(
        connection,
        place,
        &sql,
        (bounded(run.0), after),
        |place, row| {
            let kept = Checkpoint {
                stream: lossy(place, row, 0)?,
                seq: get::<i64>(place, row, 1)?.unsigned_abs(),
                body: lossy(place, row, 2)?,
            };
            let sum: Vec<u8> = get(place, row, 3)?;
            Ok((sum == kept.sum(run)).then_some(kept))
        },
    )?;
    Ok(rows.into_iter().collect())
}

const PART: &str = "SELECT body FROM plan_part WHERE run = ?";

fn each_part(
    connection: &Connection,
    place: &Place,
    run: RunId,
    mut take: impl FnMut(&str),
) -> Result<()> {
    if !has_parts(connection, place)? {
        return Ok(());
    }
    let failed = |error| place.sqlite("read a plan", error);
    let mut statement = connection
        .prepare_cached(&format!("{PART} ORDER BY nth"))
        .map_err(failed)?;
    let mut rows = statement.query((bounded(run.0),)).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        take(text(place, row, 0)?);
    }
    Ok(())
}

/// The events of a run after a number, in order.
pub(super) fn events(
    connection: &Connection,
    place: &Place,
    run: RunId,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>> {
    // The bounds of the run keep the scan inside it; without them an old run would be looked for in
    // the whole journal.
    let sql = format!(
        "{EVENT} WHERE run = ?1 AND seq > max(?2, (SELECT first_seq FROM run WHERE id = ?1) - 1)
         AND seq <= coalesce((SELECT last_seq FROM run WHERE id = ?1), 9223372036854775807) ORDER BY seq LIMIT ?3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    all(
        connection,
        place,
        &sql,
        (bounded(run.0), bounded(after), limit),
        event_row,
    )
}

/// The events of some kinds over all runs, in order.
pub(super) fn events_of_kinds(
    connection: &Connection,
    place: &Place,
    kinds: &[String],
) -> Result<Vec<StoredEvent>> {
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let marks = vec!["?"; kinds.len()].join(", ");
    all(
        connection,
        place,
        &format!("{EVENT} WHERE kind IN ({marks}) ORDER BY seq"),
        params_from_iter(kinds),
        event_row,
    )
}

/// The commands that nobody has answered, in order.
pub(super) fn open_commands(connection: &Connection, place: &Place) -> Result<Vec<CommandRow>> {
    let sql = "SELECT id, run, at, person, verb, args FROM command WHERE answered_seq IS NULL ORDER BY id";
    all(connection, place, sql, (), |place, row| {
        Ok(CommandRow {
            id: CommandId(get::<i64>(place, row, 0)?.unsigned_abs()),
            run: get::<Option<i64>>(place, row, 1)?.map(|run| RunId(run.unsigned_abs())),
            at: time(place, get(place, row, 2)?)?,
            by: PersonId::from(lossy(place, row, 3)?),
            verb: lossy(place, row, 4)?,
            // Anybody with an SQLite shell can post. What is not JSON must reach whoever answers the inbox, to be
            // refused there: it may not stop a run.
            args: json(place, &lossy(place, row, 5)?)
                .or_else(|_| lossy(place, row, 5).map(Value::String))?,
        })
    })
}

/// What became of a command.
pub(super) fn fate(
    connection: &Connection,
    place: &Place,
    command: CommandId,
) -> Result<CommandFate> {
    let answered: Option<Option<i64>> = connection
        .query_row(
            "SELECT answered_seq FROM command WHERE id = ?",
            (bounded(command.0),),
            |row| row.get(0),
        )
        .optional()
        .map_err(|error| place.sqlite("read its commands", error))?;
    let seq = match answered {
        Some(Some(seq)) => seq,
        Some(None) => return Ok(CommandFate::Open),
        None => {
            return Err(place
                .error(
                    ErrorKind::NotFound,
                    format_args!("there is no command {command}"),
                )
                .hint("ask only for commands that were posted to this journal"));
        }
    };
    all(
        connection,
        place,
        &format!("{EVENT} WHERE seq = ?"),
        (seq,),
        event_row,
    )?
    .pop()
    .map(|event| CommandFate::Answered(Box::new(event)))
    .ok_or_else(|| {
        place.damaged(format_args!(
            "event {seq}, which answers command {command}, is missing"
        ))
    })
}

/// Whose journal it is, and who opened it last.
pub(super) fn identity(connection: &Connection, place: &Place) -> Result<JournalIdentity> {
    connection
        .query_row(
            "SELECT uid, estate, epoch, owner FROM meta WHERE id = 1",
            [],
            |row| {
                Ok(JournalIdentity {
                    uid: row.get(0)?,
                    estate: row.get::<_, Option<String>>(1)?.map(EstateName::from),
                    epoch: row.get::<_, i64>(2)?.unsigned_abs(),
                    // What cannot be read is of no use to people either.
                    opened_by: serde_json::from_str(&row.get::<_, String>(3)?).ok(),
                })
            },
        )
        .map_err(|error| place.sqlite("read its head", error))
}

/// The number of the newest event.
pub(super) fn head(connection: &Connection, place: &Place) -> Result<u64> {
    connection
        .query_row("SELECT head_seq FROM meta WHERE id = 1", [], |row| {
            row.get::<_, i64>(0)
        })
        .map(i64::unsigned_abs)
        .map_err(|error| place.sqlite("read its head", error))
}

/// Where the chain of a run begins: the number of its first event, and the hash before it.
pub(super) fn genesis(connection: &Connection, place: &Place, run: i64) -> Result<(i64, Hash)> {
    let failed = |error| place.sqlite(&format!("read run {run}"), error);
    let hole = match has_parts(connection, place)? {
        true => "plan_hole",
        false => "NULL",
    };
    let sql = format!(
        "SELECT epoch, plan_digest, started_at, first_seq, plan, approvals, {hole} FROM run WHERE id = ?"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let mut rows = statement.query((run,)).map_err(failed)?;
    let row = rows
        .next()
        .map_err(failed)?
        .ok_or_else(|| place.damaged(format_args!("run {run} is missing")))?;
    let header = Header {
        id: run,
        epoch: get(place, row, 0)?,
        plan_digest: text(place, row, 1)?,
        started_at: get(place, row, 2)?,
        first_seq: get(place, row, 3)?,
        plan: text(place, row, 4)?,
        hole: hole_in(place, row, 6)?,
        approvals: text(place, row, 5)?,
    };
    let mut genesis = header
        .genesis()
        .ok_or_else(|| place.damaged("the parts of a plan have no place in it"))?;
    let id = RunId(run.unsigned_abs());
    each_part(connection, place, id, |part| genesis.part(part))?;
    Ok((header.first_seq, genesis.finish()))
}

/// Refuses a file whose pages or indexes are damaged, also where no record of a run is touched.
pub(super) fn check_pages(connection: &Connection, place: &Place) -> Result<()> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| place.sqlite("check its pages", error))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(place
            .damaged("its pages are damaged")
            .found(found.replace('\n', " ")))
    }
}

/// Where each run lies, in order, and the number of the newest event: all of one moment.
pub(super) fn spans(connection: &Connection, place: &Place) -> Result<(Vec<Span>, i64)> {
    let look = connection
        .unchecked_transaction()
        .map_err(|error| place.sqlite("read its runs", error))?;
    let head = i64::try_from(head(&look, place)?).unwrap_or(i64::MAX);
    let sql = "SELECT id, first_seq, last_seq FROM run ORDER BY id";
    let spans = all(&look, place, sql, (), |place, row| {
        Ok(Span {
            run: get(place, row, 0)?,
            first: get(place, row, 1)?,
            last: get::<Option<i64>>(place, row, 2)?.unwrap_or(head),
        })
    })?;
    Ok((spans, head))
}

/// Begins to follow the chain of a run.
pub(super) fn follower(connection: &Connection, place: &Place, run: i64) -> Result<Follower> {
    let (first, genesis) = genesis(connection, place, run)?;
    Ok(Follower::new(run, first, genesis))
}

/// Follows the chain of a run for one stride; `true` when it has come to its end.
pub(super) fn follow(
    connection: &Connection,
    place: &Place,
    run: i64,
    follower: &mut Follower,
) -> Result<bool> {
    let failed = |error| place.sqlite(&format!("read the events of run {run}"), error);
    // One transaction, so that events and head are of the same moment while others are appended.
    let look = connection.unchecked_transaction().map_err(failed)?;
    let (last, seal): (Option<i64>, Option<Vec<u8>>) = look
        .query_row(
            "SELECT last_seq, head_hash FROM run WHERE id = ?",
            (run,),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(failed)?;
    let (head, head_hash): (i64, Option<Vec<u8>>) = look
        .query_row(
            "SELECT head_seq, head_hash FROM meta WHERE id = 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(failed)?;
    let (last, seal) = match last {
        Some(last) => (last, seal),
        None if head > follower.position() => (head, head_hash),
        None => (head, None),
    };
    let sql = "SELECT seq, epoch, run, stream, tseq, at, kind, body, hash FROM event
               WHERE run = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4";
    let mut statement = look.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement
        .query((run, follower.position(), last, STRIDE))
        .map_err(failed)?;
    let mut taken = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        taken += 1;
        let link = Link {
            seq: get(place, row, 0)?,
            epoch: get(place, row, 1)?,
            run: get(place, row, 2)?,
            stream: text(place, row, 3)?,
            tseq: get(place, row, 4)?,
            at: get(place, row, 5)?,
            kind: text(place, row, 6)?,
            body: text(place, row, 7)?,
        };
        let hash = row
            .get_ref(8)
            .ok()
            .and_then(|value| value.as_blob().ok())
            .unwrap_or_default();
        if !follower.follow(&link, hash) {
            return Ok(true);
        }
    }
    if taken == STRIDE {
        return Ok(false);
    }
    let rows = look
        .query_row("SELECT count(*) FROM event WHERE run = ?", (run,), |row| {
            row.get(0)
        })
        .map_err(failed)?;
    follower.end(last, seal.as_deref(), rows);
    Ok(true)
}

fn all<T>(
    connection: &Connection,
    place: &Place,
    sql: &str,
    values: impl rusqlite::Params,
    row: impl Fn(&Place, &Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let failed = |error| place.sqlite("read it", error);
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(values).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(next) = rows.next().map_err(failed)? {
        found.push(row(place, next)?);
    }
    Ok(found)
}

fn run_text_row(place: &Place, row: &Row<'_>) -> Result<RunText> {
    Ok(RunText {
        id: RunId(get::<i64>(place, row, 0)?.unsigned_abs()),
        plan: get(place, row, 1)?,
        approvals: json(place, text(place, row, 2)?)?,
        plan_digest: get(place, row, 3)?,
        started_at: time(place, get(place, row, 4)?)?,
        ended_at: get::<Option<i64>>(place, row, 5)?
            .map(|at| time(place, at))
            .transpose()?,
        first_seq: get::<i64>(place, row, 6)?.unsigned_abs(),
        last_seq: get::<Option<i64>>(place, row, 7)?.map(i64::unsigned_abs),
        hole: hole_in(place, row, 8)?,
        checkpoint: get::<Option<i64>>(place, row, 9)?.map(i64::unsigned_abs),
    })
}

fn hole_in(place: &Place, row: &Row<'_>, column: usize) -> Result<Option<usize>> {
    let hole = get::<Option<i64>>(place, row, column)?;
    hole.map(|hole| usize::try_from(hole).map_err(|_| place.damaged("a place in a plan is none")))
        .transpose()
}

fn event_row(place: &Place, row: &Row<'_>) -> Result<StoredEvent> {
    Ok(StoredEvent {
        seq: get::<i64>(place, row, 0)?.unsigned_abs(),
        run: RunId(get::<i64>(place, row, 1)?.unsigned_abs()),
        stream: get(place, row, 2)?,
        tseq: get::<i64>(place, row, 3)?.unsigned_abs(),
        at: time(place, get(place, row, 4)?)?,
        kind: get(place, row, 5)?,
        body: json(place, text(place, row, 6)?)?,
        epoch: get::<i64>(place, row, 7)?.unsigned_abs(),
    })
}

fn get<T: rusqlite::types::FromSql>(place: &Place, row: &Row<'_>, column: usize) -> Result<T> {
    row.get(column)
        .map_err(|error| place.sqlite("read it", error))
}

fn text<'a>(place: &Place, row: &'a Row<'_>, column: usize) -> Result<&'a str> {
    let value = row
        .get_ref(column)
        .map_err(|error| place.sqlite("read it", error))?;
    value
        .as_str()
        .map_err(|_| place.damaged("a text in it is not text"))
}

/// A text that somebody else may have written, as far as it is text.
fn lossy(place: &Place, row: &Row<'_>, column: usize) -> Result<String> {
    let value = row
        .get_ref(column)
        .map_err(|error| place.sqlite("read it", error))?;
    let bytes = value
        .as_bytes()
        .map_err(|_| place.damaged("a text in it is not text"))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn json(place: &Place, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        place
            .damaged("a value in it is not JSON")
            .source_error(error)
    })
}

fn time(place: &Place, at: i64) -> Result<Timestamp> {
    Timestamp::from_nanosecond(i128::from(at))
        .map_err(|error| place.damaged("a time in it is no time").source_error(error))
}

/// A number to look for; one that no row can have finds nothing.
fn bounded(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Whether a run is open; `None` if there is no such run.
pub(super) fn is_open(connection: &Connection, place: &Place, run: RunId) -> Result<Option<bool>> {
    connection
        .query_row(
            "SELECT ended_at IS NULL FROM run WHERE id = ?",
            (bounded(run.0),),
            |row| row.get(0),
        )
        .optional()
        .map_err(|error| place.sqlite("read its runs", error))
}
