//! Virtual environments of Python with pinned packages in them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{outcome::Outcome, shell, workspace::Workspace};

/// What an environment is made of.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// How its steps are called in the logs.
    pub(crate) name: &'a str,
    pub(crate) interpreter: &'a str,
    /// The packages, as in a file of requirements.
    pub(crate) pins: &'a str,
    /// Whether the pins name everything, also what they need themselves.
    pub(crate) all: bool,
}

/// An environment that has what is wanted; made once, and again when that changes or it was moved.
#[derive(Debug)]
pub(crate) struct Venv {
    folder: PathBuf,
}

impl Venv {
    pub(crate) fn with(
        workspace: &Workspace,
        folder: &Path,
        wanted: &Wanted<'_>,
    ) -> Result<Self, Outcome> {
        let venv = Self {
            folder: folder.to_owned(),
        };
        let (file, stamp) = (folder.join("wanted.txt"), folder.join("installed.txt"));
        // Its programs name the folder that they were made in: one that was moved starts none of them.
        let made = format!("# in {}\n{}", folder.display(), wanted.pins);
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == made) {
            return Ok(venv);
        }
        let unwritten =
            |e: io::Error| Outcome::failed(format!("{} cannot be written: {e}", folder.display()));
        let mut make = workspace.program(wanted.interpreter);
        make.args(["-m", "venv", "--clear"]).arg(folder);
        run(workspace, wanted.name, &mut make)?;
        if !wanted.pins.is_empty() {
            fs::write(&file, wanted.pins).map_err(unwritten)?;
            let mut pip = venv.program(workspace, "pip");
            pip.args(["install", "--quiet", "--requirement"]).arg(&file);
            if wanted.all {
                pip.arg("--no-deps");
            }
            run(workspace, wanted.name, &mut pip)?;
        }
        // Written last, so that a half-made environment is made anew.
        fs::write(&stamp, &made).map_err(unwritten)?;
        Ok(venv)
    }

    /// Where its programs are.
    pub(crate) fn bin(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// A program of the environment, started at the root of the workspace.
    pub(crate) fn program(&self, workspace: &Workspace, name: &str) -> Command {
        let mut command = workspace.program(self.bin().join(name));
        command
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// Runs a program to its end; what it printed.
pub(crate) fn run(
    workspace: &Workspace,
    name: &str,
    command: &mut Command,
) -> Result<String, Outcome> {
    let finished = shell::run(workspace, name, command, None)?;
    if finished.is_success() {
        Ok(finished.output)
    } else {
        Err(Outcome::failed(finished.output))
    }
}
