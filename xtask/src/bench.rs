//! `cargo xtask bench linux`: what patchcore costs on real guests, beside other tools. `cargo xtask bench engine`:
//! what its engine costs without any guest. `cargo xtask bench roll`: what its roll planner makes.
//!
//! It brings the other tools in their pinned versions, builds our side as it is released, and starts the measuring,
//! which is a program of its own in `bench/`.

use std::{
    fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

use crate::{
    install::{self, prints},
    outcome::Outcome,
    shell,
    step::{now, say, seconds},
    workspace::Workspace,
};

const PAGE: &str = "docs/evidence/bench-linux.md";
const ENGINE_PAGE: &str = "docs/evidence/bench-engine.md";
const ROLL_PAGE: &str = "docs/evidence/bench-roll.md";
const REQUIREMENTS: &str = "bench/requirements.txt";
/// Debian's own, whatever a developer's machine has besides: the measuring must run on a fresh machine.
const PYTHON: &str = "/usr/bin/python3";

/// Measures; `words` go to the program that does it, but for `--write`.
pub(crate) fn linux(workspace: &Workspace, words: &[String]) -> ExitCode {
    let prepared = peers(workspace).and_then(|peers| Ok((peers, programs(workspace)?)));
    let (peers, (program, ours)) = match prepared {
        Ok(prepared) => prepared,
        Err(reason) => {
            eprintln!("{reason}\n   nothing was measured");
            return ExitCode::FAILURE;
        }
    };
    let mut measure = workspace.program(program);
    measure.arg("--peers").arg(peers).arg("--ours").arg(ours);
    tell(workspace, &mut measure, words, PAGE);
    code_of(&mut measure)
}

fn tell(workspace: &Workspace, measure: &mut Command, words: &[String], page: &str) {
    for word in words {
        match word.as_str() {
            "--write" => measure.arg("--page").arg(workspace.root().join(page)),
            word => measure.arg(word),
        };
    }
}

/// Measures the engine, and writes the page of evidence where that is asked for.
pub(crate) fn engine(workspace: &Workspace, write: bool) -> ExitCode {
    let words = if write {
        vec!["--write".to_owned()]
    } else {
        Vec::new()
    };
    alone(workspace, "bench-engine", &words, ENGINE_PAGE)
}

/// Measures the roll planner; `words` go to the program that does it, but for `--write`.
pub(crate) fn roll(workspace: &Workspace, words: &[String]) -> ExitCode {
    alone(workspace, "bench-roll", words, ROLL_PAGE)
}

/// A program that needs nothing beside it but a counter of instructions.
fn alone(workspace: &Workspace, program: &str, words: &[String], page: &str) -> ExitCode {
    let programs = match install::bring(workspace, &["valgrind"]) {
        Outcome::Failed { output, .. } | Outcome::Skipped(output) => Err(output),
        _ => programs(workspace),
    };
    let program = match programs {
        Ok((measures, _)) => measures.with_file_name(program),
        Err(reason) => {
            eprintln!("{reason}\n   nothing was measured");
            return ExitCode::FAILURE;
        }
    };
    let mut measure = workspace.program(program);
    tell(workspace, &mut measure, words, page);
    code_of(&mut measure)
}

fn code_of(measure: &mut Command) -> ExitCode {
    match measure.status() {
        Ok(status) => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("the measuring cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the other tools' programs, which are installed when it lacks them.
fn peers(workspace: &Workspace) -> Result<PathBuf, String> {
    let folder = workspace.target().join("bench/peers");
    let wanted = workspace.root().join(REQUIREMENTS);
    let wanted = fs::read_to_string(&wanted).map_err(|e| format!("{}: {e}", wanted.display()))?;
    // Written last, so that a half-made folder is made anew.
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder.join("bin"));
    }
    if let Outcome::Failed { output, .. } | Outcome::Skipped(output) =
        install::bring(workspace, &["openssh-client", "python3", "python3-venv"])
    {
        return Err(output);
    }
    let started = now();
    let run = |name: &str, command: &mut Command| match shell::run(workspace, name, command, None) {
        Ok(finished) if finished.is_success() => Ok(()),
        Ok(finished) => Err(finished.output),
        Err(_) => Err(format!(
            "{} cannot be started",
            command.get_program().display()
        )),
    };
    run(
        "bench-peers",
        workspace
            .program(PYTHON)
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    run(
        "bench-peers",
        workspace.program(folder.join("bin/pip")).args([
            "install",
            "--quiet",
            "--no-deps",
            "--requirement",
            REQUIREMENTS,
        ]),
    )?;
    for tool in ["ansible-playbook", "pyinfra"] {
        if prints(
            workspace
                .program(folder.join("bin").join(tool))
                .arg("--version"),
        )
        .is_none()
        {
            return Err(format!("{tool} was installed and cannot be started"));
        }
    }
    fs::write(&stamp, wanted).map_err(|e| format!("{}: {e}", stamp.display()))?;
    say(&format!(
        "the other tools were installed in {}",
        seconds(started.elapsed())
    ));
    Ok(folder.join("bin"))
}

/// The measuring program and our side, built as they are released.
fn programs(workspace: &Workspace) -> Result<(PathBuf, PathBuf), String> {
    let started = now();
    let mut build = workspace.cargo(["build", "--release", "--package", "patchcore-bench"]);
    match shell::run(workspace, "bench-build", &mut build, None) {
        Ok(finished) if finished.is_success() => {
            say(&format!("built in {}", seconds(started.elapsed())));
            let folder = workspace.target().join("release");
            Ok((folder.join("patchcore-bench"), folder.join("bench-ours")))
        }
        Ok(finished) => Err(finished.output),
        Err(_) => Err("cargo cannot be started".to_owned()),
    }
}
