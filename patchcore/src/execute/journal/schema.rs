//! Opening the file: is it a journal, may this version read it, and what its head is.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};

use super::{
    cause::Place,
    chain::{Hash, hash_from},
    lock::Holder,
    query,
    record::nanoseconds,
    takeover::Over,
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::EstateName,
};

/// The version of the tables that this build writes.
const SCHEMA: i64 = 2;

/// The oldest version that it reads, and makes into its own when it opens it for writing.
const OLDEST: i64 = 1;

/// Marks the file as ours in SQLite's header (`PRAGMA application_id`): "pcjl" in ASCII.
const APPLICATION: i64 = 0x7063_6a6c;

/// The first page of a file that SQLite makes.
const FIRST_PAGE: u64 = 4096;

/// How long a transaction of another process is waited for, such as one that posts a command.
pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// What the writer must know of the journal before it can go on.
pub(super) struct Opened {
    pub(super) epoch: i64,
    pub(super) uid: String,
    /// Who opened it before.
    pub(super) before: Option<Holder>,
    /// Which lock file counted until now.
    pub(super) lock: u64,
    pub(super) estate: Option<EstateName>,
    pub(super) head: Head,
    pub(super) open_run: Option<i64>,
}

/// The newest opening of a journal.
pub(super) struct Opening {
    pub(super) epoch: i64,
    /// Which lock file counts since.
    pub(super) lock: u64,
}

/// Where the journal ends.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// The number of the newest event.
    pub(super) seq: i64,
    /// The hash that the next event of the open run is chained to.
    pub(super) hash: Hash,
}

/// The writer's connection to a file; makes the file if it is not there.
pub(super) fn connect(path: &Path, place: &Place) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| place.sqlite("open it", error))
}

/// A connection to a file for reading; never makes or changes it.
pub(super) fn connect_for_reading(path: &Path, place: &Place) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| place.sqlite("open it", error))?;
    let set = || {
        connection.busy_timeout(PATIENCE)?;
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")
    };
    set().map_err(|error| place.sqlite("open it", error))?;
    Ok(connection)
}

/// A short-lived connection of a process that does not hold the journal, for posting a command.
pub(super) fn connect_for_posting(path: &Path, place: &Place) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| place.sqlite("open it", error))?;
    set_pragmas(&connection).map_err(|error| place.sqlite("open it", error))?;
    Ok(connection)
}

fn set_pragmas(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    // FULL: a commit is on the disk before it is acknowledged. A checkpoint copies the log into the
    // file; at 10,000 pages (40 MB) it costs little per commit. The cache of 32 MiB holds the inner
    // pages of the indexes of a journal with ten million events.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 10000; PRAGMA cache_size = -32768;
         PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;",
    )
}

/// How far a commit waits for the disk: `FULL`, except where a test plants a fault.
pub(super) fn set_synchronous(connection: &Connection, level: &str, place: &Place) -> Result<()> {
    connection
        .pragma_update(None, "synchronous", level)
        .map_err(|error| place.sqlite("open it", error))
}

/// Opens the journal for writing: creates its tables in an empty file, and begins a new epoch. None where another lock
/// file counts than the holder has.
pub(super) fn open(
    connection: &mut Connection,
    in_memory: bool,
    place: &Place,
    holder: &Holder,
    over: Option<&Over<'_>>,
) -> Result<Option<Opened>> {
    let failed = |error| place.sqlite("open it", error);
    set_pragmas(connection).map_err(failed)?;
    // Before anything is written: the file may be somebody else's.
    let empty = !is_journal(connection, place)?;
    if !in_memory {
        let mode: String = connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
            .map_err(failed)?;
        if mode != "wal" {
            return Err(place
                .error(
                    ErrorKind::InvalidInput,
                    "its file system cannot hold a write-ahead log",
                )
                .expected("journal mode wal")
                .found(mode)
                .hint("put it on a local disk"));
        }
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let owner = serde_json::to_string(holder).unwrap_or_default();
    let since = nanoseconds("the opening", holder.since)?;
    if empty {
        transaction
            .execute_batch(include_str!("schema.sql"))
            .map_err(failed)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION)
            .map_err(failed)?;
        transaction
            .execute(
                "INSERT INTO meta(id, schema, epoch, owner, opened_at, head_seq) VALUES(1, ?, 0, ?, ?, 0)",
                (OLDEST, &owner, since),
            )
            .map_err(failed)?;
    }
    upgrade(&transaction, check_version(&transaction, place)?).map_err(failed)?;
    let mut opened = read_head(&transaction, place)?;
    match over {
        Some(over) => over.check(&opened, place)?,
        None if opened.lock != holder.lock => return Ok(None),
        None => {}
    }
    opened.epoch += 1;
    transaction
        .execute(
            "UPDATE meta SET epoch = epoch + 1, owner = ?, opened_at = ? WHERE id = 1",
            (&owner, since),
        )
        .map_err(failed)?;
    if let Some(over) = over {
        over.record(&transaction, &mut opened, place, holder)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(Some(opened))
}

/// The newest opening, as it stands in the file.
pub(super) fn newest_opening(path: &Path, place: &Place) -> Result<Opening> {
    let connection = connect_for_reading(path, place)?;
    let (epoch, owner): (i64, String) = connection
        .query_row("SELECT epoch, owner FROM meta WHERE id = 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(|error| place.sqlite("read its head", error))?;
    Ok(Opening {
        epoch,
        lock: owner_of(&owner).map_or(0, |owner| owner.lock),
    })
}

/// Makes the tables of an older version into those of this one. What they hold stays as it is, the chain included: a
/// plan that was stored whole is read so.
fn upgrade(transaction: &Connection, found: i64) -> rusqlite::Result<()> {
    if found < 2 {
        transaction.execute_batch(include_str!("schema_2.sql"))?;
    }
    if found < SCHEMA {
        transaction.execute("UPDATE meta SET schema = ? WHERE id = 1", (SCHEMA,))?;
    }
    Ok(())
}

/// Who opened it. What cannot be read is of no use to people either.
fn owner_of(text: &str) -> Option<Holder> {
    serde_json::from_str(text).ok()
}

/// Refuses an existing file that is no journal of this version, before anything is made beside it. Says which lock file
/// counts.
pub(super) fn check_existing(path: &Path, place: &Place) -> Result<u64> {
    let length = std::fs::metadata(path).map_or(0, |file| file.len());
    if length == 0 || (length <= FIRST_PAGE && is_half_made(path)) {
        return Ok(0);
    }
    let connection = connect_for_reading(path, place)?;
    if !is_journal(&connection, place)? {
        return Ok(0);
    }
    check_version(&connection, place)?;
    Ok(newest_opening(path, place)?.lock)
}

/// Whether a process was killed while it made the file: SQLite's rollback journal still lies beside it. A connection that
/// only reads cannot take the first page back, so it is the writer that looks; a single page holds no table of anybody.
fn is_half_made(path: &Path) -> bool {
    let mut journal = std::ffi::OsString::from(path);
    journal.push("-journal");
    Path::new(&journal).exists()
}

/// Refuses what this build cannot read: no journal, a damaged one, a newer one.
pub(super) fn check(connection: &Connection, place: &Place) -> Result<()> {
    if is_journal(connection, place)? {
        check_version(connection, place).map(drop)
    } else {
        Err(place.damaged("it is empty, so it is no journal"))
    }
}

/// Whether the file is a journal; `false` if it is empty, as after a crash while it was made.
fn is_journal(connection: &Connection, place: &Place) -> Result<bool> {
    let read = || -> rusqlite::Result<(i64, i64)> {
        let application = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let objects =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((application, objects))
    };
    match read().map_err(|error| place.sqlite("read it", error))? {
        (APPLICATION, 1..) => Ok(true),
        (0, 0) => Ok(false),
        _ => Err(place
            .error(
                ErrorKind::JournalDamaged,
                "it is an SQLite database, but no journal of patchcore",
            )
            .consequence("nothing was written")
            .hint("check the path; a new journal is made when the file does not exist yet")),
    }
}

/// The version of the tables, where this build can read it.
fn check_version(connection: &Connection, place: &Place) -> Result<i64> {
    let found: i64 = connection
        .query_row("SELECT schema FROM meta WHERE id = 1", [], |row| row.get(0))
        .map_err(|error| place.sqlite("read its version", error))?;
    match found {
        known @ OLDEST..=SCHEMA => Ok(known),
        newer if newer > SCHEMA => Err(place
            .error(ErrorKind::JournalNewer, "it was written by a newer version of patchcore")
            .expected(format!("schema {SCHEMA}"))
            .found(format!("schema {newer}"))
            .consequence("nothing was changed")
            .hint("use that version or a later one; a journal is never written back to an older schema")),
        _ => Err(place.damaged(format_args!("its version {found} never existed"))),
    }
}

/// Reads where the journal ends, and checks that it ends where it says.
fn read_head(connection: &Connection, place: &Place) -> Result<Opened> {
    let failed = |error| place.sqlite("read its head", error);
    type Meta = (i64, String, Option<String>, i64, Option<Vec<u8>>, String);
    let (epoch, uid, estate, seq, stored, owner): Meta = connection
        .query_row(
            "SELECT epoch, uid, estate, head_seq, head_hash, owner FROM meta WHERE id = 1",
            [],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                ))
            },
        )
        .map_err(failed)?;
    let newest: Option<(i64, Vec<u8>)> = connection
        .query_row(
            "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .map_err(failed)?;
    if newest.as_ref().map_or(0, |(seq, _)| *seq) != seq
        || newest.as_ref().map(|(_, hash)| hash) != stored.as_ref()
    {
        return Err(place.damaged(format_args!(
            "its newest event is not event {seq} as it was written"
        )));
    }
    let open_run: Option<i64> = connection
        .query_row("SELECT id FROM run WHERE ended_at IS NULL", [], |row| {
            row.get(0)
        })
        .optional()
        .map_err(failed)?;
    let hash = match open_run {
        None => Hash::default(),
        Some(run) => {
            let first: i64 = connection
                .query_row("SELECT first_seq FROM run WHERE id = ?", [run], |row| {
                    row.get(0)
                })
                .map_err(failed)?;
            match newest {
                Some((newest, hash)) if newest >= first => hash_from(place, &hash)?,
                _ => query::genesis(connection, place, run)?.1,
            }
        }
    };
    let owner = owner_of(&owner);
    Ok(Opened {
        epoch,
        uid,
        lock: owner.as_ref().map_or(0, |owner| owner.lock),
        // A new journal names its maker already, who opens it now.
        before: owner.filter(|_| epoch > 0),
        estate: estate.map(EstateName::from),
        head: Head { seq, hash },
        open_run,
    })
}

/// The error for a handle whose journal was taken over.
pub(super) fn fenced(place: &Place, connection: &Connection, epoch: i64) -> Error {
    let now: Option<(i64, String)> = connection
        .query_row("SELECT epoch, owner FROM meta WHERE id = 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .ok();
    let (found, owner) = now.map_or((0, None), |(epoch, owner)| {
        (epoch, serde_json::from_str::<Holder>(&owner).ok())
    });
    let error = place
        .error(ErrorKind::JournalInUse, "it was taken over, so this handle may not write any more")
        .expected(format!("epoch {epoch}"))
        .consequence("nothing was recorded, and nothing can be through this handle")
        .hint("stop here: who took it over carries the run on; read it without the lock (JournalReader)");
    match owner {
        Some(owner) => error
            .found(format!("epoch {found} of {owner}"))
            .context("holder", owner.to_string()),
        None => error.found(format!("epoch {found}")),
    }
}
