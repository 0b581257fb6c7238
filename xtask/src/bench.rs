//! `cargo xtask bench linux`: what patchcore costs on real guests, beside other tools. `cargo xtask bench engine`:
//! what its engine costs without any guest. `cargo xtask bench roll`: what its roll planner makes. `cargo xtask bench
//! vsphere`: what reading and rolling a vCenter costs, on a simulator.
//!
//! It brings the other tools in their pinned versions, builds our side as it is released, and starts the measuring,
//! which is a program of its own in `bench/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::{
    install::{self, prints},
    outcome::Outcome,
    peers, shell,
    step::{now, say, seconds},
    venv::{Venv, Wanted},
    workspace::Workspace,
};

const PAGE: &str = "docs/evidence/bench-linux.md";
const ENGINE_PAGE: &str = "docs/evidence/bench-engine.md";
const ROLL_PAGE: &str = "docs/evidence/bench-roll.md";
const VSPHERE_PAGE: &str = "docs/evidence/bench-vsphere.md";
const REQUIREMENTS: &str = "bench/requirements.txt";
/// What asks CP-SAT. No tool of the other benches may change with it, so that it has an environment of its own.
const ORACLE: &str = "bench/requirements-stages.txt";
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
    let mut words = words.to_vec();
    let only = words.iter().position(|word| word == "--only");
    let only = only.and_then(|at| words.get(at + 1));
    if only.is_none_or(|only| only == "stages") {
        match oracle(workspace) {
            Ok(python) => words.extend(["--oracle".to_owned(), python.display().to_string()]),
            Err(reason) => {
                eprintln!("{reason}\n   nothing was measured");
                return ExitCode::FAILURE;
            }
        }
    }
    alone(workspace, "bench-roll", &words, ROLL_PAGE)
}

/// Measures the provider of a vCenter; `words` go to the program that does it, but for `--write`.
pub(crate) fn vsphere(workspace: &Workspace, words: &[String]) -> ExitCode {
    let prepared = vcenter(workspace).and_then(|found| Ok((found, programs(workspace)?)));
    let ((python, govc), (measures, _)) = match prepared {
        Ok(prepared) => prepared,
        Err(reason) => {
            eprintln!("{reason}\n   nothing was measured");
            return ExitCode::FAILURE;
        }
    };
    let mut measure = workspace.program(measures.with_file_name("bench-vsphere"));
    measure.arg("--python").arg(python).arg("--govc").arg(govc);
    measure.args(["--govc-version", peers::GOVC]);
    tell(workspace, &mut measure, words, VSPHERE_PAGE);
    code_of(&mut measure)
}

/// The server that stands for a vCenter, and its other clients: a Python that has one, and govc.
fn vcenter(workspace: &Workspace) -> Result<(PathBuf, PathBuf), String> {
    match peers::build(workspace) {
        Outcome::Failed { output, .. } | Outcome::Skipped(output) => return Err(output),
        Outcome::Passed(_) => {}
    }
    let govc = peers::govc(workspace).map_err(|outcome| match outcome {
        Outcome::Failed { output, .. } | Outcome::Skipped(output) => output,
        Outcome::Passed(passed) => passed.detail,
    })?;
    Ok((peers::witness_python(workspace), govc))
}

/// A Python that has OR-tools.
fn oracle(workspace: &Workspace) -> Result<PathBuf, String> {
    let venv = environment(workspace, "bench-oracle", ORACLE, "bench/oracle")?;
    Ok(venv.bin().join("python"))
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

/// An environment with all packages that a file pins.
fn environment(
    workspace: &Workspace,
    name: &str,
    pins: &str,
    folder: &str,
) -> Result<Venv, String> {
    let said = |outcome| match outcome {
        Outcome::Failed { output, .. } | Outcome::Skipped(output) => output,
        Outcome::Passed(passed) => passed.detail,
    };
    let pins = workspace.root().join(pins);
    let pins = fs::read_to_string(&pins).map_err(|e| format!("{}: {e}", pins.display()))?;
    match install::bring(workspace, &["openssh-client", "python3", "python3-venv"]) {
        Outcome::Passed(_) => {}
        outcome => return Err(said(outcome)),
    }
    let wanted = Wanted {
        name,
        interpreter: PYTHON,
        pins: &pins,
        all: true,
    };
    Venv::with(workspace, &workspace.target().join(folder), &wanted).map_err(said)
}

/// The folder of the other tools' programs, which are installed when it lacks them.
fn peers(workspace: &Workspace) -> Result<PathBuf, String> {
    let bin = environment(workspace, "bench-peers", REQUIREMENTS, "bench/peers")?.bin();
    for tool in ["ansible-playbook", "pyinfra"] {
        if prints(workspace.program(bin.join(tool)).arg("--version")).is_none() {
            return Err(format!("{tool} was installed and cannot be started"));
        }
    }
    Ok(bin)
}

/// Measures the gathering of a fleet by a Python program beside the other tool that is one; `words` go to the program
/// that does it, and what it found goes to a file. The error is for people; none that a figure is missed.
pub(crate) fn gather_from_python(
    workspace: &Workspace,
    python: &Path,
    words: &[String],
    found: &Path,
) -> Result<(), String> {
    let _ = fs::remove_file(found);
    let peers = peers(workspace)?;
    // It only starts what is measured, and needs no more than the tests' profile.
    let mut build = workspace.cargo(["build", "--workspace", "--bin", "patchcore-bench"]);
    match shell::run(workspace, "bench-build", &mut build, None) {
        Ok(finished) if finished.is_success() => {}
        Ok(finished) => return Err(finished.output),
        Err(_) => return Err("cargo cannot be started".to_owned()),
    }
    let mut measure = workspace.program(workspace.target().join("debug/patchcore-bench"));
    measure
        .arg("--peers")
        .arg(peers)
        .arg("--python")
        .arg(python);
    measure.args(words).arg("--json").arg(found);
    match measure.status() {
        Ok(status) if status.success() || found.exists() => Ok(()),
        Ok(status) => Err(format!("the measuring of guests ended with {status}")),
        Err(error) => Err(format!("the measuring cannot be started: {error}")),
    }
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
