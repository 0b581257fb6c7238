//! What goes into a journal and what comes out of it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lock::Holder;
use crate::{
    digest::{canonical_text, sha256},
    error::{Error, ErrorKind, Result},
    id::{EstateName, PersonId, RunId},
};

/// An event to append.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The state machine it belongs to, such as `run` or `component/web-1`.
    pub stream: String,
    /// Its place in that stream; a place can be taken once per run.
    pub tseq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What kind of event it is, a stable word.
    pub kind: String,
    /// What it says.
    pub body: Value,
}

/// An event as it is in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its place in the journal, from 1, without gaps.
    pub seq: u64,
    /// The run it belongs to.
    pub run: RunId,
    /// The state machine it belongs to.
    pub stream: String,
    /// Its place in that stream.
    pub tseq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What kind of event it is.
    pub kind: String,
    /// What it says.
    pub body: Value,
    /// In which opening of the journal it was written.
    pub epoch: u64,
}

/// A run to start.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// The plan to carry out.
    pub plan: Value,
    /// Who approved it, and what exactly.
    pub approvals: Value,
    /// The digest that the approvals are bound to.
    pub plan_digest: String,
    /// When it starts.
    pub at: Timestamp,
    /// Its first events, written in the same transaction.
    pub events: Vec<NewEvent>,
}

/// A plan as a run keeps it: a text, and parts of it in rows of their own. So one that is large is never one value.
pub(crate) struct PlanText {
    /// Canonical JSON, without the parts.
    pub(crate) text: String,
    /// Where in it the parts stand, separated by commas; none where it is whole.
    pub(crate) hole: Option<usize>,
    /// Canonical JSON of each part, in order.
    pub(crate) parts: Parts,
}

/// Parts of a plan, made one by one while they are written.
pub(crate) type Parts = Box<dyn Iterator<Item = Result<String>> + Send>;

impl PlanText {
    pub(super) fn whole(text: String) -> Self {
        Self {
            text,
            hole: None,
            parts: Box::new(std::iter::empty()),
        }
    }
}

/// A run as it is in the journal, its plan as the text that is stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunText {
    /// Its number, from 1.
    pub id: RunId,
    /// The plan that it carries out, without the parts that have rows of their own.
    pub plan: String,
    /// Where in the plan its parts stand, in bytes; none where it is whole.
    pub hole: Option<usize>,
    /// Who approved it, and what exactly.
    pub approvals: Value,
    /// The digest that the approvals are bound to.
    pub plan_digest: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended; `None` while it is open.
    pub ended_at: Option<Timestamp>,
    /// The number that its first event has, or will have.
    pub first_seq: u64,
    /// The number of its last event; `None` while it is open.
    pub last_seq: Option<u64>,
    /// The event up to which everything is in its checkpoints; none where it has none.
    pub checkpoint: Option<u64>,
}

/// What the events of one stream come to, up to a place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Whose events.
    pub stream: String,
    /// The events of the stream up to here are in it.
    pub seq: u64,
    /// What they come to.
    pub body: String,
}

impl Checkpoint {
    /// What shows that a row is as it was written. It is no seal: whoever can write the file can write this too.
    pub(super) fn sum(&self, run: RunId) -> [u8; 32] {
        let place = format!("{run} {} {:?} ", self.seq, self.stream);
        sha256(&[place.as_bytes(), self.body.as_bytes()])
    }
}

/// A run as it is in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its number, from 1.
    pub id: RunId,
    /// The plan that it carries out.
    pub plan: Value,
    /// Who approved it, and what exactly.
    pub approvals: Value,
    /// The digest that the approvals are bound to.
    pub plan_digest: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended; `None` while it is open.
    pub ended_at: Option<Timestamp>,
    /// The number that its first event has, or will have.
    pub first_seq: u64,
    /// The number of its last event; `None` while it is open.
    pub last_seq: Option<u64>,
}

impl RunRow {
    /// Whether it has not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }
}

/// A command in the inbox, counted from 1 within its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub u64);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A command to post to whoever carries out the run.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCommand {
    /// The run it is for; `None` for the journal as a whole.
    pub run: Option<RunId>,
    /// When it was given.
    pub at: Timestamp,
    /// Who gave it.
    pub by: PersonId,
    /// What to do, such as `pause`.
    pub verb: String,
    /// With what.
    pub args: Value,
}

/// A command that nobody has answered yet.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandRow {
    /// Its number.
    pub id: CommandId,
    /// The run it is for; `None` for the journal as a whole.
    pub run: Option<RunId>,
    /// When it was given.
    pub at: Timestamp,
    /// Who gave it.
    pub by: PersonId,
    /// What to do.
    pub verb: String,
    /// With what. What was posted as something else than JSON is here as text.
    pub args: Value,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CommandFate {
    /// Nobody has answered it yet.
    Open,
    /// It was answered; this is the first event that it led to, which may say that it was refused.
    Answered(Box<StoredEvent>),
}

/// Whose journal it is, and who opened it last.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JournalIdentity {
    /// What tells it from every other: 16 hexadecimal digits.
    pub uid: String,
    /// The estate that it belongs to, once it was used for one.
    pub estate: Option<EstateName>,
    /// How often it was opened.
    pub epoch: u64,
    /// Who opened it last, whether or not that process still has it.
    pub opened_by: Option<Holder>,
}

/// How much a journal has written since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalStats {
    /// Transactions that reached the disk.
    pub commits: u64,
    /// Events in them.
    pub events: u64,
    /// Rows of checkpoints that were read.
    pub checkpoints_read: u64,
}

/// An event in the form of its row, made outside the writer's thread.
pub(super) struct EventText {
    pub(super) stream: String,
    pub(super) tseq: i64,
    pub(super) at: i64,
    pub(super) kind: String,
    pub(super) body: String,
}

impl EventText {
    pub(super) fn all(events: impl IntoIterator<Item = NewEvent>) -> Result<Vec<Self>> {
        events.into_iter().map(Self::new).collect()
    }

    pub(super) fn new(event: NewEvent) -> Result<Self> {
        let place = format!("event {} of stream {:?}", event.tseq, event.stream);
        if event.kind.is_empty() || event.stream.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{place} has no kind or no stream"),
            )
            .consequence("nothing was recorded")
            .hint("name the state machine and the kind of event"));
        }
        Ok(Self {
            tseq: integer(&place, event.tseq)?,
            at: nanoseconds(&place, event.at)?,
            body: canonical_text(event.body).map_err(|error| error.context("event", place))?,
            stream: event.stream,
            kind: event.kind,
        })
    }
}

/// A time as the journal keeps it.
pub(super) fn nanoseconds(what: &str, at: Timestamp) -> Result<i64> {
    i64::try_from(at.as_nanosecond()).map_err(|_| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("the time of {what} cannot be recorded"),
        )
        .expected("a time between the years 1678 and 2261")
        .found(at.to_string())
        .hint("check the clock that it came from")
    })
}

/// An unsigned number as the journal keeps it.
pub(super) fn integer(what: &str, number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("the number of {what} is too large to be recorded"),
        )
        .expected(format!("at most {}", i64::MAX))
        .found(number.to_string())
    })
}
