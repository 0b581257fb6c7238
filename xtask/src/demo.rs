//! Programs that people watch: the demo, and a run in which things go wrong.

use std::process::ExitCode;

use crate::{BAD_INPUT, examples, workspace::Workspace};

/// Shows a whole roll-out on the simulated estate.
pub(crate) fn demo(workspace: &Workspace) -> ExitCode {
    show(
        workspace,
        "rolling_patch",
        "this demo shows the simulated estate: no machine is touched",
    )
}

/// Shows what patchcore says when things go wrong.
pub(crate) fn trouble(workspace: &Workspace) -> ExitCode {
    show(
        workspace,
        "trouble",
        "this shows the simulated estate with faults planted in it, and as root a throw-away Debian in memory: no machine of yours is touched",
    )
}

fn show(workspace: &Workspace, name: &str, estate: &str) -> ExitCode {
    if !examples::discover(workspace)
        .iter()
        .any(|found| found == name)
    {
        eprintln!(
            "there is no example \"{name}\"\n   expected  examples/examples/{name}.rs\n   nothing was run"
        );
        return ExitCode::from(BAD_INPUT);
    }
    println!("{estate}");
    let mut command = workspace.cargo([
        "run",
        "--quiet",
        "--package",
        "patchcore-examples",
        "--example",
        name,
    ]);
    let (arguments, right) = examples::manner(name);
    command.arg("--").args(arguments);
    match command.status() {
        Ok(status) if status.code().is_some_and(|code| right.contains(&code)) => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("the example \"{name}\" ended with {status}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("cargo could not be started: {error}");
            ExitCode::FAILURE
        }
    }
}
