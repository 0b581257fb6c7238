//! What this program does as its own child: hold a journal, and meet a full disk.
//!
//! A disk is filled for the child alone: a file system of one megabyte in memory, in a mount namespace of its own.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use patchcore::{Error, ErrorKind, Failure, Journal, Result};
use serde::{Deserialize, Serialize};

use super::stage::{self, Witness, io};

/// Carries out `child VERB PATH`.
pub(crate) async fn act(arguments: &[String]) -> ExitCode {
    let done = match arguments {
        [verb, path] if verb == "hold" => hold(Path::new(path)),
        [verb, path] if verb == "fill" => fill(Path::new(path)).await,
        _ => Err(Error::new(
            ErrorKind::InvalidInput,
            "this child knows hold PATH and fill FOLDER",
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

fn hold(path: &Path) -> Result<()> {
    let _journal = Journal::open(path)?;
    println!("ready");
    // The parent closes the pipe when it has seen enough, also by ending.
    let mut rest = Vec::new();
    std::io::stdin()
        .read_to_end(&mut rest)
        .map_err(|e| io("wait for the parent", e))?;
    Ok(())
}

/// A process that holds a journal until it is dropped.
pub(crate) struct Child(std::process::Child);

impl Child {
    pub(crate) fn holding(path: &Path) -> Result<Self> {
        let mut child = this_program()?
            .args(["child", "hold"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| io("start a child", e))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out)
                .read_line(&mut line)
                .map_err(|e| io("hear from the child", e))?;
        }
        let child = Self(child);
        if line.trim() == "ready" {
            Ok(child)
        } else {
            Err(Error::new(
                ErrorKind::Io,
                "the child could not hold the journal",
            ))
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends when its pipe does; how it ends proves nothing.
        let _ = self.0.wait();
    }
}

/// What the child saw on its full disk.
#[derive(Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) said: String,
    pub(crate) failure: Failure,
    pub(crate) what: String,
    pub(crate) holds: bool,
}

async fn fill(folder: &Path) -> Result<()> {
    let sim = stage::sim()?;
    let witness = Witness::of(&sim)?;
    let estate = stage::estate(&sim);
    let approved = stage::approved(&estate, stage::plan(&estate).await?)?;
    let journal = Journal::open(folder.join("run.db"))?;
    // Somebody else's log takes what was left.
    let mut log =
        std::fs::File::create(folder.join("other.log")).map_err(|e| io("make a file", e))?;
    while log.write_all(&[b'x'; 512]).is_ok() {}
    let Err(error) = estate.run(approved, &journal).await else {
        return Err(Error::new(
            ErrorKind::Io,
            "the run was started on a full disk",
        ));
    };
    let (what, holds) = witness.untouched()?;
    let shown = Shown {
        said: format!("{error:?}"),
        failure: Failure::from(&error),
        what,
        holds,
    };
    let text = serde_json::to_string(&shown)
        .map_err(|e| Error::new(ErrorKind::Io, "could not write the answer").source_error(e))?;
    println!("{text}");
    Ok(())
}

/// Starts a run on a full disk; the inner error says why there can be none here.
pub(crate) fn on_a_full_disk(folder: &Path) -> Result<std::result::Result<Shown, String>> {
    const MOUNT: &str =
        r#"mount -t tmpfs -o size=1m none "$1" || exit 77; exec "$2" child fill "$1""#;
    let program = std::env::current_exe().map_err(|e| io("find this program", e))?;
    let missing = "no disk can be filled without harm: needs `unshare` of util-linux, as root or with user namespaces";
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            MOUNT,
            "sh",
        ])
        .arg(folder)
        .arg(program)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Err(missing.to_owned()));
        }
        Err(error) => return Err(io("start unshare", error)),
    };
    if let Ok(shown) = serde_json::from_slice(&output.stdout) {
        return Ok(Ok(shown));
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.code() == Some(77) || said.starts_with("unshare:") {
        return Ok(Err(format!("{missing} ({said})")));
    }
    Err(Error::new(ErrorKind::Io, "the child on the full disk gave no answer").found(said))
}

fn this_program() -> Result<Command> {
    Ok(Command::new(
        std::env::current_exe().map_err(|e| io("find this program", e))?,
    ))
}
