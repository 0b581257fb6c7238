//! Stored values in files: written whole or not at all, read with an error that names the file.

use std::{ffi::OsString, fs, io, io::Write as _, path::Path};

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::error::{Error, ErrorKind, Result};

fn failed(error: io::Error, verb: &str, what: &str, path: &Path) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::StorageFull => ErrorKind::DiskFull,
        io::ErrorKind::InvalidData => ErrorKind::InvalidInput,
        _ => ErrorKind::Io,
    };
    Error::new(
        kind,
        format!("{what} {} could not be {verb}", path.display()),
    )
    .source_error(error)
}

/// Writes a text beside its place and then moves it there, so that nobody ever reads half of it.
pub(crate) fn save(path: &Path, text: &str, what: &str) -> Result<()> {
    let mut beside: OsString = path.as_os_str().to_owned();
    beside.push(".new");
    let write = || -> io::Result<()> {
        let mut file = fs::File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|e| failed(e, "written", what, path))
}

/// Reads a text.
pub(crate) fn load(path: &Path, what: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|e| failed(e, "read", what, path))
}

/// Reads a value that names its schema.
pub(crate) fn parse<T: DeserializeOwned>(
    text: &str,
    schema: &str,
    what: &str,
    operation: &'static str,
) -> Result<T> {
    let bad = |why: &str| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("this is not {what}: {why}"),
        )
        .operation(operation)
        .consequence("nothing was loaded")
        .hint("copy it again from where it was saved, or make it anew")
    };
    // Read where it stands, and not into a tree of values first: a plan may be large.
    serde_json::from_str::<IgnoredAny>(text).map_err(|e| bad("it is not JSON").source_error(e))?;
    let named = serde_json::from_str::<Named>(text);
    match named.ok().map(|named| named.schema).as_deref() {
        Some(found) if found == schema => {}
        Some(other) => {
            return Err(bad("it has another schema")
                .expected(schema)
                .found(other)
                .hint("read it with the version of patchcore that wrote it, or make it anew"));
        }
        None => return Err(bad("it names no schema").expected(schema)),
    }
    serde_json::from_str(text).map_err(|e| bad("a part of it cannot be read").source_error(e))
}

/// What says which schema a value has.
#[derive(Deserialize)]
struct Named {
    schema: String,
}
