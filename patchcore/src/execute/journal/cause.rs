//! What a failure of SQLite or of the file system means for a journal.

use std::{fmt, io, path::Path, sync::Arc, time::Duration};

use rusqlite::ffi;

use crate::error::{Error, ErrorKind};

/// The journal as errors name it.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<str>);

impl Place {
    pub(super) fn file(path: &Path) -> Self {
        Self(path.display().to_string().into())
    }

    pub(super) fn memory() -> Self {
        Self("in memory".into())
    }

    pub(super) fn error(&self, kind: ErrorKind, what: impl fmt::Display) -> Error {
        Error::new(kind, format!("journal {self}: {what}"))
    }

    pub(super) fn damaged(&self, what: impl fmt::Display) -> Error {
        self.error(ErrorKind::JournalDamaged, what)
            .consequence("nothing was recorded, and what it holds cannot be trusted")
            .hint("keep the file as it is for an inquiry, and restore a backup of it together with its -wal file")
    }

    pub(super) fn disk_full(&self) -> Error {
        self.error(ErrorKind::DiskFull, "its disk is full")
            .consequence(
                "what was acknowledged is safe, and nothing else is recorded through this handle",
            )
            .hint("free space on the file system that holds it, then open it again")
    }

    pub(super) fn busy(&self, doing: &str) -> Error {
        self.error(
            ErrorKind::Busy,
            format_args!("could not {doing}: another program holds its write lock"),
        )
        .consequence("nothing was recorded")
        .hint("close the program that has a transaction open on it, such as an sqlite3 shell")
        .retryable(Some(Duration::from_secs(1)))
    }

    /// The error for a failed SQLite call; `doing` completes "could not".
    pub(super) fn sqlite(&self, doing: &str, error: rusqlite::Error) -> Error {
        let what = format!("could not {doing}");
        let mapped = match Cause::of(&error) {
            Cause::Full => self.disk_full(),
            Cause::Damaged => self.damaged(format_args!("could not {doing}: it is damaged, or not a journal")),
            Cause::Busy => self.busy(doing),
            Cause::Denied => self
                .error(ErrorKind::Io, format_args!("{what}: it cannot be opened or written"))
                .hint("let this user read and write the file and its directory: -wal and -shm files lie beside it"),
            Cause::Other => self.error(ErrorKind::Io, what).hint("check the disk that holds it, then open it again"),
        };
        mapped.source_error(error)
    }

    /// The error for a failed file operation; `doing` completes "could not".
    pub(super) fn io(&self, doing: &str, error: io::Error) -> Error {
        let mapped = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.disk_full(),
            io::ErrorKind::NotFound => self
                .error(ErrorKind::NotFound, format_args!("could not {doing}: there is no such file or directory"))
                .hint("check the path; the directory must exist, the file is made when a journal is first opened"),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => self
                .error(ErrorKind::Io, format_args!("could not {doing}: access was denied"))
                .hint("let this user read and write the file and its directory: -wal, -shm and .lock lie beside it"),
            _ => self.error(ErrorKind::Io, format_args!("could not {doing}")),
        };
        mapped.source_error(error)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

enum Cause {
    Full,
    Damaged,
    Busy,
    Denied,
    Other,
}

impl Cause {
    fn of(error: &rusqlite::Error) -> Self {
        use rusqlite::{Error as E, ErrorCode as C};
        match error {
            E::SqliteFailure(failure, _) => match failure.code {
                C::DiskFull => Self::Full,
                // The shared-memory file is only ever extended, which fails when the disk is full.
                C::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
                    Self::Full
                }
                C::NotADatabase | C::DatabaseCorrupt => Self::Damaged,
                // A table or column that our own statements name is not there.
                C::Unknown => Self::Damaged,
                C::DatabaseBusy | C::DatabaseLocked => Self::Busy,
                C::CannotOpen | C::ReadOnly | C::PermissionDenied => Self::Denied,
                _ => Self::Other,
            },
            // What our own statements read is not there or has another type.
            E::QueryReturnedNoRows
            | E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::InvalidColumnType(..)
            | E::SqlInputError { .. }
            | E::Utf8Error(..) => Self::Damaged,
            _ => Self::Other,
        }
    }
}
