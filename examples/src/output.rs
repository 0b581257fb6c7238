//! What an example reads, writes and says.

use std::io::{self, Write as _};

use patchcore::{Error, ErrorKind, Result};

/// That a file could not be read or written.
#[must_use]
pub fn failed(file: &str, verb: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("{file} could not be {verb}")).source_error(error)
}

/// Says a text on the standard output. Whoever reads only the first lines, such as `head`, has seen enough.
///
/// # Errors
/// `Io`: the standard output cannot be written for another reason.
pub fn said(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(failed("the standard output", "written", error))
        }
        _ => Ok(()),
    }
}
