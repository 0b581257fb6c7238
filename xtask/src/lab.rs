//! A lab that stays up, for people: the program `patchcore-lab`, built and run.

use std::process::ExitCode;

use crate::{BAD_INPUT, install, outcome::Outcome, workspace::Workspace};

/// What real guests are made with.
const PACKAGES: &[&str] = &[
    "mmdebstrap",
    "openssh-client",
    "systemd-container",
    "uidmap",
    "util-linux",
];

/// Installs what a lab needs where one is to be started, builds the program, and runs it; its exit code is ours.
///
/// 2 says that no lab can be had here, with what is missing for it.
pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> ExitCode {
    if arguments.first().is_some_and(|word| word == "up")
        && let Err(output) = packages(workspace)
    {
        eprintln!("{output}");
        return ExitCode::from(BAD_INPUT);
    }
    // The whole workspace and not this package alone, for which cargo would build the dependencies again.
    let mut build = workspace.cargo(["build", "--quiet", "--workspace", "--bin", "patchcore-lab"]);
    match build.status() {
        Ok(status) if status.success() => {}
        Ok(_) => return ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo could not be started: {error}");
            return ExitCode::FAILURE;
        }
    }
    let program = workspace.target().join("debug").join("patchcore-lab");
    match workspace.program(&program).args(arguments).status() {
        Ok(status) => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("{} could not be started: {error}", program.display());
            ExitCode::FAILURE
        }
    }
}

/// Installs what real guests are made with, and says what was installed or why nothing was. The error is for people;
/// what is missing without the packages is said by whoever makes guests.
pub(crate) fn packages(workspace: &Workspace) -> Result<(), String> {
    match install::bring(workspace, PACKAGES) {
        Outcome::Passed(passed) if passed.detail.starts_with("installed") => {
            println!("{}", passed.detail);
        }
        Outcome::Passed(_) => {}
        Outcome::Skipped(why) => println!("{why}"),
        Outcome::Failed { output, .. } => {
            return Err(format!(
                "the packages for real guests cannot be installed\n{output}"
            ));
        }
    }
    Ok(())
}
