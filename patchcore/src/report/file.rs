//! The stored form of a report, and files of it.

use std::{fs, io, path::Path};

use super::Report;
use crate::{
    digest,
    error::{Error, ErrorKind, Result},
};

impl Report {
    /// The stored form.
    ///
    /// # Errors
    /// As [`digest::canonical_json`].
    pub fn to_json(&self) -> Result<String> {
        digest::canonical_json(self)
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// `InvalidInput`: not JSON, not a report, a report of a newer version, or one whose figures do not add up.
    pub fn from_json(text: &str) -> Result<Self> {
        let bad = |what: &str| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("this is not a report: {what}"),
            )
            .operation("report.load")
        };
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| bad("it is not JSON").source_error(e))?;
        match value.get("schema").and_then(|s| s.as_str()) {
            Some(Self::SCHEMA) => {}
            Some(other) => {
                return Err(bad("it has another schema")
                    .expected(Self::SCHEMA)
                    .found(other)
                    .hint("read it with the version of patchcore that wrote it"));
            }
            None => return Err(bad("it names no schema").expected(Self::SCHEMA)),
        }
        let report: Self = serde_json::from_value(value)
            .map_err(|e| bad("a part of it cannot be read").source_error(e))?;
        if !report.adds_up() {
            return Err(bad("its figures do not add up")
                .expected(format!("{} components in the sum", report.components.len()))
                .found(report.figures.to_string())
                .hint("it was changed after it was written; make it again from the journal"));
        }
        Ok(report)
    }

    /// Whether its figures are those of its components.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let sum = |figure: fn(&super::Figures) -> usize| -> usize {
            self.rings.iter().map(|r| figure(&r.figures)).sum()
        };
        self.figures.add_up()
            && self.rings.iter().all(|r| r.figures.add_up())
            && self.figures.planned == self.components.len()
            && sum(|f| f.planned) == self.figures.planned
            && sum(|f| f.failed) == self.figures.failed
            && self.found == self.figures.planned + self.left_out.len()
    }

    /// The JSON Schema of the stored form.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).into()
    }

    /// Writes it to a file: `.md` for people, `.json` for programs, `.txt` as on a terminal. A file of that name
    /// is replaced, and only by a whole one.
    ///
    /// # Errors
    /// `InvalidInput`: another ending. `DiskFull`, `AuthzDenied` or `Io`: it cannot be written there.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let ending = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        let text = match ending.to_ascii_lowercase().as_str() {
            "md" => self.to_markdown(),
            "json" => self.to_json()?,
            "txt" => format!("{self}\n"),
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("{} does not say how to write the report", path.display()),
                )
                .expected("a name that ends in .md, .json or .txt")
                .found(match ending {
                    "" => "no ending".to_owned(),
                    other => format!(".{other}"),
                })
                .operation("report.save")
                .consequence("nothing was written"));
            }
        };
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
        written.map_err(|error| {
            // What was begun is of no use; that it cannot be removed changes nothing for the caller.
            let _ = fs::remove_file(&beside);
            let kind = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
                io::ErrorKind::PermissionDenied => ErrorKind::AuthzDenied,
                _ => ErrorKind::Io,
            };
            Error::new(
                kind,
                format!("the report cannot be written to {}", path.display()),
            )
            .operation("report.save")
            .consequence("the journal keeps everything; the report can be made again from it")
            .hint("choose a directory that is there and that this user may write to")
            .source_error(error)
        })
    }
}
