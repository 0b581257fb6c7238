//! Every example is run: one that does not work is worse than none.

use std::{fs, time::Duration};

use crate::{outcome::Outcome, shell, workspace::Workspace};

/// How an example is run when it is not run plainly. One that stands here no longer exists is a fault.
///
/// To add one: its name, its arguments, and the exit codes that are right for it.
const RUNS: &[Run] = &[
    // It needs machines to patch; `cargo xtask demo` runs it on some.
    ("linux_fleet", &["--help"], &[0]),
    // A test of its own runs it with tasks of two seconds.
    ("vsphere_roll", &["--task", "100"], &[0]),
    // It finds the trouble that it planted.
    ("vsphere_doctor", &[], &[3]),
];

/// An example's name, its arguments, and the exit codes that are right for it.
type Run = (&'static str, &'static [&'static str], &'static [i32]);

/// No example may take longer; each is a few seconds of work on a simulated estate.
const PATIENCE: Duration = Duration::from_secs(120);

/// But the trouble: fifteen of its cases make real guests, restart some and wait for locks, a minute and a half in all.
const PATIENCE_WITH_GUESTS: Duration = Duration::from_secs(300);

/// And the roll of a cluster: each task of its vCenter takes two seconds, as real ones take minutes.
const PATIENCE_WITH_TASKS: Duration = Duration::from_secs(300);

fn patience(example: &str) -> Duration {
    match example {
        "trouble" => PATIENCE_WITH_GUESTS,
        "vsphere_roll" => PATIENCE_WITH_TASKS,
        _ => PATIENCE,
    }
}

/// The arguments an example is run with, and the exit codes that are right for it.
pub(crate) fn manner(example: &str) -> (&'static [&'static str], &'static [i32]) {
    RUNS.iter()
        .find(|run| run.0 == example)
        .map_or((&[], &[0]), |run| (run.1, run.2))
}

/// The names of the examples: `examples/examples/NAME.rs` or `examples/examples/NAME/main.rs`.
pub(crate) fn discover(workspace: &Workspace) -> Vec<String> {
    let Ok(entries) = fs::read_dir(workspace.root().join("examples/examples")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").is_file()
        })
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// Builds all examples and runs each in an empty folder of its own, so that none leaves files among the sources.
///
/// They are started as built programs and not by `cargo run -p`, which would build the dependencies once more with
/// other features. An example therefore finds its files by `include_str!` or `env!("CARGO_MANIFEST_DIR")`.
pub(crate) fn run_all(workspace: &Workspace) -> Outcome {
    let names = discover(workspace);
    if let Some(run) = RUNS
        .iter()
        .find(|run| !names.iter().any(|name| name == run.0))
    {
        return Outcome::failed(format!(
            "xtask/src/examples.rs lists \"{}\", which does not exist",
            run.0
        ));
    }
    if names.is_empty() {
        return Outcome::passed("there are none");
    }
    let mut build = workspace.cargo(["build", "--workspace", "--examples"]);
    match shell::run(workspace, "examples", &mut build, None) {
        Ok(built) if built.is_success() => {}
        Ok(built) => return Outcome::failed(built.output),
        Err(outcome) => return outcome,
    }
    let mut failures = String::new();
    for name in &names {
        if let Err(failure) = run_one(workspace, name) {
            failures.push_str(&failure);
        }
    }
    if failures.is_empty() {
        Outcome::passed(format!("{} examples", names.len()))
    } else {
        Outcome::failed(failures)
    }
}

fn run_one(workspace: &Workspace, name: &str) -> Result<(), String> {
    let folder = workspace.target().join("xtask/examples").join(name);
    // What an earlier run left, such as its journal, must not change this one.
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .map_err(|e| format!("{name}: its folder cannot be emptied: {e}\n"))?;
    }
    fs::create_dir_all(&folder).map_err(|e| format!("{name}: its folder cannot be made: {e}\n"))?;
    let mut program = workspace.program(workspace.target().join("debug/examples").join(name));
    let (arguments, right) = manner(name);
    program.current_dir(&folder).args(arguments);
    let finished = shell::run(
        workspace,
        &format!("example-{name}"),
        &mut program,
        Some(patience(name)),
    )
    .map_err(|outcome| match outcome {
        Outcome::Failed { output, .. } => format!("{name}: {output}\n"),
        _ => format!("{name}: could not be run\n"),
    })?;
    let ended = match finished.status {
        None => format!("was stopped after {} s", patience(name).as_secs()),
        Some(status) if status.code().is_some_and(|code| right.contains(&code)) => return Ok(()),
        Some(status) => format!("ended with {status}, expected an exit code in {right:?}"),
    };
    Err(format!("{name}: {ended}\n{}\n", finished.output.trim_end()))
}
