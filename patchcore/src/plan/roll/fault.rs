//! What is wrong with a cluster, each with its place and its remedy.

use std::{error::Error as StdError, fmt};

use crate::error::{Error, ErrorKind};

/// What kind of fault. Match on this, never on text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FaultKind {
    /// It is not JSON, or a part of it has another form.
    NotReadable,
    /// It names another schema.
    OtherSchema,
    /// There is none of what there must be: no resource, no host.
    Missing,
    /// An amount that nobody knows.
    Unknown,
    /// A list has another number of amounts than the cluster has resources.
    WrongLength,
    /// A number is outside of what is possible.
    OutOfRange,
    /// Two things have one name.
    Twice,
    /// A name that nothing has.
    NoSuchName,
    /// A rule that names nobody, or can never hold.
    EmptyRule,
    /// The cluster breaks a rule as it stands.
    BrokenNow,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// Where: `hosts[3].capacity[1]`, or `line 7 column 12`.
    pub place: String,
    /// What is wrong, in one line that names the thing.
    pub message: String,
    /// What the reader can do about it.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n   {}", self.place, self.message, self.remedy)
    }
}

/// All faults of a cluster, in reading order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    listed: Vec<Fault>,
    more: usize,
}

/// A file of a wrong form has as many faults as lines; nobody reads more than these.
const LISTED: usize = 100;

impl Faults {
    pub(super) fn one(fault: Fault) -> Self {
        Self {
            listed: vec![fault],
            more: 0,
        }
    }

    /// The first hundred.
    #[must_use]
    pub fn listed(&self) -> &[Fault] {
        &self.listed
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.listed.len() + self.more
    }

    /// Whether one of those listed is of this kind.
    #[must_use]
    pub fn has(&self, kind: FaultKind) -> bool {
        self.listed.iter().any(|fault| fault.kind == kind)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.listed {
            writeln!(f, "{fault}")?;
        }
        match self.count() {
            1 => f.write_str("1 mistake in the cluster"),
            count => write!(f, "{count} mistakes in the cluster"),
        }
    }
}

impl StdError for Faults {}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        let first = faults.listed.first().cloned();
        let error = Self::new(ErrorKind::InvalidInput, faults.to_string());
        match first {
            Some(fault) => error.context("place", fault.place).hint(fault.remedy),
            None => error,
        }
    }
}

/// Faults while they are looked for.
#[derive(Debug, Default)]
pub(super) struct Found {
    listed: Vec<Fault>,
    more: usize,
}

impl Found {
    pub(super) fn add(
        &mut self,
        kind: FaultKind,
        place: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if self.listed.len() == LISTED {
            self.more += 1;
            return;
        }
        self.listed.push(Fault {
            kind,
            place: place.into(),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub(super) fn into_result(self) -> Result<(), Faults> {
        if self.listed.is_empty() {
            return Ok(());
        }
        Err(Faults {
            listed: self.listed,
            more: self.more,
        })
    }
}
