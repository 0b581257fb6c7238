//! Programs that people watch: the demo, its picture, and a run in which things go wrong.

use std::process::ExitCode;

use crate::{BAD_INPUT, examples, lab, outcome::Outcome, peers, workspace::Workspace};

/// The picture that the README shows.
const PICTURE: &str = "docs/pictures/run.svg";

/// Shows a fleet of real Debian guests being patched; where they cannot be made, it says why and shows the simulated
/// estate.
pub(crate) fn demo(workspace: &Workspace) -> ExitCode {
    if let Err(code) = build(workspace) {
        return code;
    }
    let mut demo = workspace.program(workspace.target().join("debug/fleet-demo"));
    // In the place of this process, so that an interrupt is heard by the one that has to clean up.
    #[cfg(unix)]
    let ended = std::os::unix::process::CommandExt::exec(&mut demo);
    #[cfg(not(unix))]
    let ended = match demo.status() {
        Ok(status) => {
            return if status.success() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
        Err(error) => error,
    };
    eprintln!("the demo could not be started: {ended}");
    ExitCode::FAILURE
}

/// Makes the picture of a run in the README anew, from what a run of the demo writes on a terminal.
pub(crate) fn picture(workspace: &Workspace) -> ExitCode {
    if let Err(code) = build(workspace) {
        return code;
    }
    let recorded = workspace.target().join("xtask/run.terminal");
    let mut demo = workspace.program(workspace.target().join("debug/fleet-demo"));
    demo.arg("--record").arg(&recorded);
    let mut picture = workspace.program(workspace.target().join("debug/picture"));
    picture.arg(&recorded).arg(workspace.root().join(PICTURE));
    for (what, command) in [("demo", &mut demo), ("picture", &mut picture)] {
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(status) => {
                eprintln!("the {what} ended with {status}; {PICTURE} is as it was");
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("the {what} could not be started: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{PICTURE} is new; look at it before you keep it");
    ExitCode::SUCCESS
}

/// Brings what real guests are made with, and builds the programs. Without guests each of them has another way.
fn build(workspace: &Workspace) -> Result<(), ExitCode> {
    if let Err(why) = lab::packages(workspace) {
        println!("{why}");
    }
    // As the tests are built: with other features the dependencies would be built once more.
    match workspace
        .cargo(["build", "--quiet", "--workspace", "--bins", "--examples"])
        .status()
    {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(ExitCode::FAILURE),
        Err(error) => {
            eprintln!("cargo could not be started: {error}");
            Err(ExitCode::FAILURE)
        }
    }
}

/// Shows what patchcore says when things go wrong.
pub(crate) fn trouble(workspace: &Workspace) -> ExitCode {
    // Without it the cases that need it say so.
    let missing = match peers::vcenter(workspace) {
        Ok(_) | Err(Outcome::Passed(_)) => None,
        Err(Outcome::Skipped(why)) => Some(why),
        Err(Outcome::Failed { output, .. }) => Some(output),
    };
    if let Some(why) = missing {
        println!("the server that stands for a vCenter was not built: {why}");
    }
    show(
        workspace,
        "trouble",
        "this shows the simulated estate with faults planted in it, a server that stands for a vCenter, and as root throw-away Debian machines in memory: no machine of yours is touched",
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
    if let Err(code) = build(workspace) {
        return code;
    }
    let program = workspace.target().join("debug/examples").join(name);
    let mut command = workspace.program(program);
    let (arguments, right) = examples::manner(name);
    command.args(arguments);
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
