//! Where the password is.

use std::{
    fs::File,
    io::{BufRead, BufReader, ErrorKind as IoKind, Read},
    path::{Path, PathBuf},
};

use patchcore::{Error, ErrorKind, Result, Secret};

/// A password is at most this long, in bytes.
const LONGEST: u64 = 4096;

/// A password, or where it is asked for at each login.
#[derive(Debug, Clone)]
pub(super) enum Password {
    Given(Secret),
    File(PathBuf),
}

impl Password {
    pub(super) fn now(&self) -> Result<Secret> {
        match self {
            Self::Given(password) => Ok(password.clone()),
            Self::File(file) => first_line(file),
        }
    }
}

/// The first line of a file. What is in it is in no error.
fn first_line(file: &Path) -> Result<Secret> {
    let failed = |kind, what: &str| {
        Error::new(
            kind,
            format!("the password's file {} {what}", file.display()),
        )
        .expected("the password as its first line")
    };
    let unread = |error: std::io::Error| match error.kind() {
        IoKind::NotFound => failed(ErrorKind::NotFound, "is not there"),
        IoKind::InvalidData => failed(ErrorKind::InvalidInput, "is no text"),
        _ => failed(ErrorKind::Io, "cannot be read").source_error(error),
    };
    let mut line = String::new();
    let opened = File::open(file).map_err(unread)?;
    let mut text = BufReader::new(opened.take(LONGEST));
    text.read_line(&mut line).map_err(unread)?;
    let line = line.trim_end_matches(['\n', '\r']);
    match line.is_empty() {
        true => Err(failed(ErrorKind::InvalidInput, "begins with an empty line")),
        false => Ok(Secret::new(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let said = |content: &[u8]| {
            std::fs::write(&file, content).unwrap();
            first_line(&file).map(|secret| secret.expose().to_owned())
        };
        assert_eq!(said(b" hunter2 \r\nmore\n").unwrap(), " hunter2 ");
        assert_eq!(said(b"hunter2").unwrap(), "hunter2");
        assert_eq!(
            said(b"\nhunter2").unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        let error = said(b"hunter2\xff\n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        let gone = first_line(&folder.path().join("gone")).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    }
}
