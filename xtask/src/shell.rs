//! Running one program to its end, with all it prints kept in a file.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use crate::{outcome::Outcome, step, workspace::Workspace};

/// What a program printed and how it ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Both output streams, in the order they were written.
    pub(crate) output: String,
    /// Absent when the program was stopped because its time was over.
    pub(crate) status: Option<ExitStatus>,
    /// Where the whole output is kept.
    pub(crate) log: PathBuf,
}

impl Finished {
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// The outcome when only the exit code matters.
    pub(crate) fn outcome(self, detail: &str) -> Outcome {
        if self.is_success() {
            Outcome::passed(detail)
        } else {
            Outcome::failed(self.output)
        }
    }
}

/// Runs a program without input; its output goes to `target/xtask/NAME.log`, which can be watched while it works.
///
/// `patience` bounds its time; without it the program may take as long as it likes. Only the program itself is
/// stopped, so give patience only to one that starts no others.
pub(crate) fn run(
    workspace: &Workspace,
    name: &str,
    command: &mut Command,
    patience: Option<Duration>,
) -> Result<Finished, Outcome> {
    let log = workspace.target().join("xtask").join(format!("{name}.log"));
    match attempt(&log, command, patience) {
        Ok((status, output)) => Ok(Finished {
            output,
            status,
            log,
        }),
        Err(error) => Err(Outcome::failed(format!(
            "{} could not be started: {error}",
            command.get_program().to_string_lossy()
        ))),
    }
}

fn attempt(
    log: &Path,
    command: &mut Command,
    patience: Option<Duration>,
) -> io::Result<(Option<ExitStatus>, String)> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::create(log)?;
    let mut child = command
        // Colours would hide the words that are looked for in the output.
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()?;
    let status = match patience {
        None => Some(child.wait()?),
        Some(patience) => {
            let started = step::now();
            loop {
                if let Some(status) = child.try_wait()? {
                    break Some(status);
                }
                if started.elapsed() >= patience {
                    child.kill()?;
                    child.wait()?;
                    break None;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
    };
    Ok((
        status,
        String::from_utf8_lossy(&fs::read(log)?).into_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, patience: Option<Duration>) -> (Option<ExitStatus>, String) {
        let log = std::env::temp_dir().join(format!(
            "xtask-shell-{}-{}.log",
            std::process::id(),
            script.len()
        ));
        let result = attempt(&log, Command::new("sh").args(["-c", script]), patience).unwrap();
        fs::remove_file(log).unwrap();
        result
    }

    #[test]
    fn both_streams_are_kept_and_input_is_empty() {
        let (status, output) = sh("echo one; echo two >&2; cat; exit 3", None);
        assert_eq!(output, "one\ntwo\n");
        assert_eq!(status.unwrap().code(), Some(3));
    }

    #[test]
    fn a_program_without_end_is_stopped() {
        let (status, output) = sh(
            "echo begun; exec sleep 60",
            Some(Duration::from_millis(300)),
        );
        assert_eq!(output, "begun\n");
        assert!(status.is_none());
    }
}
