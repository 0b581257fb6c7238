//! Where a journal ends, to be kept elsewhere: the one thing that shows that an end was cut off, or that the whole chain was
//! computed anew.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};

use super::{
    cause::Place,
    chain::{ChainFault, ChainReport, RunChain},
};
use crate::{
    digest::{hex, sha256},
    error::{Error, ErrorKind, Result},
    id::RunId,
};

/// The newest event of a journal at one moment, with what it takes to know it again. As text it is one line of JSON.
///
/// It covers everything before it: the event's hash covers its run, and `earlier` the seals of all runs before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The journal's [`uid`](super::Journal::uid).
    pub journal: String,
    /// The number of the event.
    pub seq: u64,
    /// The run that it belongs to.
    pub run: RunId,
    /// When it was decided.
    pub at: Timestamp,
    /// The hash of the chain after it, 64 hexadecimal digits.
    pub head: String,
    /// SHA-256 over the seals of the runs before that run, in order, 64 hexadecimal digits.
    pub earlier: String,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Anchor {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        serde_json::from_str(line).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "it is no anchor of a journal")
                .expected(r#"one line such as {"journal":"…","seq":…,"run":…,"at":"…","head":"…","earlier":"…"}"#)
                .found(line.chars().take(80).collect::<String>())
                .hint("keep anchors as they were printed, one to a line")
                .source_error(error)
        })
    }
}

/// The anchor of this moment; none where there is no event yet.
pub(super) fn now(connection: &Connection, place: &Place) -> Result<Option<Anchor>> {
    let failed = |error| place.sqlite("read its head", error);
    let look = connection.unchecked_transaction().map_err(failed)?;
    let newest: Option<(i64, i64, i64, Vec<u8>)> = look
        .query_row(
            "SELECT seq, run, at, hash FROM event ORDER BY seq DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .optional()
        .map_err(failed)?;
    let Some((seq, run, at, hash)) = newest else {
        return Ok(None);
    };
    let journal = look
        .query_row("SELECT uid FROM meta WHERE id = 1", [], |row| row.get(0))
        .map_err(failed)?;
    Ok(Some(Anchor {
        journal,
        seq: seq.unsigned_abs(),
        run: RunId(run.unsigned_abs()),
        at: Timestamp::from_nanosecond(i128::from(at))
            .map_err(|error| place.damaged("a time in it is no time").source_error(error))?,
        head: hex(&hash),
        earlier: earlier(&look, place, run)?,
    }))
}

/// The digest of the seals before a run.
fn earlier(connection: &Connection, place: &Place, run: i64) -> Result<String> {
    let failed = |error| place.sqlite("read its seals", error);
    let mut statement = connection
        .prepare("SELECT coalesce(head_hash, x'') FROM run WHERE id < ? ORDER BY id")
        .map_err(failed)?;
    let seals: Vec<Vec<u8>> = statement
        .query_map([run], |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(failed)?;
    Ok(hex(&sha256(
        &seals.iter().map(Vec::as_slice).collect::<Vec<_>>(),
    )))
}

/// What an anchor shows that the chains alone do not.
pub(super) fn compare(
    connection: &Connection,
    place: &Place,
    anchor: &Anchor,
) -> Result<Option<ChainFault>> {
    let failed = |error| place.sqlite("read its head", error);
    let look = connection.unchecked_transaction().map_err(failed)?;
    let uid: String = look
        .query_row("SELECT uid FROM meta WHERE id = 1", [], |row| row.get(0))
        .map_err(failed)?;
    if uid != anchor.journal {
        return Err(place
            .error(ErrorKind::InvalidInput, "an anchor is of another journal")
            .expected(format!("an anchor of journal {uid}"))
            .found(format!("one of journal {}", anchor.journal))
            .consequence("nothing was checked")
            .hint("compare a journal with its own anchors; a journal that was made anew has another uid"));
    }
    let seq = i64::try_from(anchor.seq).unwrap_or(i64::MAX);
    let run = i64::try_from(anchor.run.0).unwrap_or(i64::MAX);
    let end: i64 = look
        .query_row("SELECT coalesce(max(seq), 0) FROM event", [], |row| {
            row.get(0)
        })
        .map_err(failed)?;
    if end < seq {
        return Ok(Some(ChainFault {
            seq: end.unsigned_abs() + 1,
            what: format!(
                "it and everything up to event {seq}, which was anchored, is missing: the journal's end was cut off or lost"
            ),
        }));
    }
    let hash: Option<Vec<u8>> = look
        .query_row(
            "SELECT hash FROM event WHERE seq = ? AND run = ?",
            [seq, run],
            |row| row.get(0),
        )
        .optional()
        .map_err(failed)?;
    let at = |what: &str| {
        Some(ChainFault {
            seq: anchor.seq,
            what: what.to_owned(),
        })
    };
    Ok(if hash.is_none_or(|hash| hex(&hash) != anchor.head) {
        at(
            "it, or something before it in its run, is not as it was anchored: the chain was computed anew",
        )
    } else if earlier(&look, place, run)? != anchor.earlier {
        at("a run before that of this event is not as it was anchored: its chain was computed anew")
    } else {
        None
    })
}

impl ChainReport {
    /// With what anchors show. What a chain shows by itself stands earlier, and stays.
    pub(super) fn with_anchors(mut self, faults: BTreeMap<RunId, ChainFault>) -> Self {
        for (run, fault) in faults {
            match self.runs.iter_mut().find(|chain| chain.run == run) {
                Some(chain) => chain.fault = chain.fault.take().or(Some(fault)),
                None => self.runs.push(RunChain::missing(run, fault)),
            }
        }
        self.runs.sort_by_key(|chain| chain.run);
        self
    }
}
