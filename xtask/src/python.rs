//! The Python package: built as a wheel, installed into an environment of its own, and tested there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::{
    bench, install, lab,
    outcome::{Outcome, Passed},
    venv::{Venv, Wanted, run},
    workspace::{self, Workspace},
};

/// Where the package lies.
const PACKAGE: &str = "bindings/python";

/// The tools of the tests, with their versions.
const TOOLS: &str = "tests/requirements.txt";

const LEFT: &str = "pip install ./bindings/python in a fresh environment, and the examples there: only with --full";

const PAGE: &str = "docs/evidence/bench-python.md";

/// Builds the package and runs its tests and type checks.
pub(crate) fn check(workspace: &Workspace, full: bool) -> Outcome {
    let has_venv = [
        "-c",
        "import ensurepip, venv, sys; assert sys.version_info >= (3, 10)",
    ];
    if install::prints(workspace.program("python3").args(has_venv)).is_none() {
        return Outcome::Skipped(
            "no python3 of 3.10 or later with its module venv (Debian: python3-venv)".to_owned(),
        );
    }
    match steps(workspace, full) {
        Ok(detail) => Outcome::Passed(Passed {
            detail,
            left_out: if full {
                Vec::new()
            } else {
                vec![LEFT.to_owned()]
            },
            ..Passed::default()
        }),
        Err(outcome) => outcome,
    }
}

/// Measures what Python programs pay, with the wheel that users install. Fails where a figure is missed.
///
/// `words` go to the measuring of real guests, but for `--write`.
pub(crate) fn bench(workspace: &Workspace, words: &[String]) -> ExitCode {
    match measured(workspace, words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(outcome) => {
            if let Outcome::Failed { output, .. } | Outcome::Skipped(output) = outcome {
                eprintln!("{output}\n   nothing was measured");
            }
            ExitCode::FAILURE
        }
    }
}

fn measured(workspace: &Workspace, words: &[String]) -> Result<bool, Outcome> {
    let place = workspace.target().join("python");
    let venv = tools(workspace, &place)?;
    let wheel = build(workspace, &venv, &place.join("released"), "wheel")?;
    install(workspace, &venv, &wheel)?;
    let (write, words): (Vec<String>, Vec<String>) =
        words.iter().cloned().partition(|word| word == "--write");
    let fleet = place.join("fleet.json");
    // Its figures are missed then, and the others are measured all the same.
    if let Err(reason) =
        bench::gather_from_python(workspace, &venv.bin().join("python"), &words, &fleet)
    {
        eprintln!("{reason}");
    }
    let mut measure = program(workspace, &venv, "python");
    measure
        .arg(workspace.root().join("bench/python.py"))
        .arg("--wheel")
        .arg(wheel)
        .arg("--fleet")
        .arg(fleet);
    if !write.is_empty() {
        measure.arg("--page").arg(workspace.root().join(PAGE));
    }
    let status = measure
        .status()
        .map_err(|e| Outcome::failed(format!("the measuring cannot be started: {e}")))?;
    Ok(status.success())
}

fn steps(workspace: &Workspace, full: bool) -> Result<String, Outcome> {
    let place = workspace.target().join("python");
    let venv = tools(workspace, &place)?;
    let wheel = build(workspace, &venv, &place.join("wheels"), "dev")?;
    install(workspace, &venv, &wheel)?;
    let mut pytest = program(workspace, &venv, "pytest");
    if full {
        pytest.args(["-m", ""]);
    }
    pytest
        .args(["-rs"])
        .env("PATCHCORE_LAB", lab_of_its_own(workspace, &place)?)
        // By these the words of Rust are compared.
        .env("PATCHCORE_PROGRAMS", workspace.target().join("debug"))
        .env("CARGO_TARGET_DIR", workspace.target())
        .env("PATCHCORE_REFERENCE", place.join("reference"));
    let tested = run(workspace, "python-tests", &mut pytest)?;
    let Some(passed) = passed(&tested, workspace::in_ci()) else {
        return Err(Outcome::failed(format!(
            "a test was skipped, or none is known to have run\n{tested}"
        )));
    };
    run(
        workspace,
        "python-types",
        &mut program(workspace, &venv, "mypy"),
    )?;
    let mut stubs = program(workspace, &venv, "stubtest");
    run(workspace, "python-stubs", stubs.arg("patchcore._native"))?;
    // A second opinion: half of the editors judge by this one.
    let mut pyright = program(workspace, &venv, "pyright");
    pyright.arg("--pythonpath").arg(venv.bin().join("python"));
    run(workspace, "python-pyright", &mut pyright)?;
    Ok(format!("{passed}, types and stubs"))
}

/// The program that makes a lab, in a place of its own: a lab that a person has up is not this one, and the Debian tree
/// of the guests is shared with the tests.
fn lab_of_its_own(workspace: &Workspace, place: &Path) -> Result<PathBuf, Outcome> {
    lab::packages(workspace).map_err(Outcome::failed)?;
    let mut build = workspace.cargo([
        "build",
        "--quiet",
        "--workspace",
        "--bin",
        "patchcore-lab",
        "--bin",
        "vsphere-roll",
        "--example",
        "vsphere_doctor",
    ]);
    run(workspace, "python-programs", &mut build)?;
    let folder = place.join("lab");
    let (peers, program) = (
        workspace.target().join("peers"),
        folder.join("patchcore-lab"),
    );
    let made = fs::create_dir_all(&folder)
        .and_then(|()| fs::create_dir_all(&peers))
        // By this mark the program knows where its files are.
        .and_then(|()| fs::write(folder.join("CACHEDIR.TAG"), ""))
        .and_then(|()| fs::copy(workspace.target().join("debug/patchcore-lab"), &program))
        .and_then(|_| link(&peers, &folder.join("peers")));
    made.map_err(|e| Outcome::failed(format!("{} cannot be made: {e}", folder.display())))?;
    Ok(program)
}

fn link(to: &Path, at: &Path) -> std::io::Result<()> {
    match std::os::unix::fs::symlink(to, at) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// The environment with the pinned tools.
fn tools(workspace: &Workspace, place: &Path) -> Result<Venv, Outcome> {
    let file = workspace.root().join(PACKAGE).join(TOOLS);
    let pins = fs::read_to_string(&file)
        .map_err(|e| Outcome::failed(format!("{} cannot be read: {e}", file.display())))?;
    let wanted = Wanted {
        name: "python-tools",
        interpreter: "python3",
        pins: &pins,
        all: false,
    };
    Venv::with(workspace, &place.join("venv"), &wanted)
}

/// A program of the environment, started in the package.
fn program(workspace: &Workspace, venv: &Venv, name: &str) -> Command {
    let mut command = venv.program(workspace, name);
    command.current_dir(workspace.root().join(PACKAGE));
    command
}

fn install(workspace: &Workspace, venv: &Venv, wheel: &Path) -> Result<(), Outcome> {
    let mut pip = program(workspace, venv, "pip");
    pip.args(["install", "--quiet", "--no-deps", "--force-reinstall"]);
    run(workspace, "python-install", pip.arg(wheel)).map(drop)
}

/// The wheel in a profile of cargo: `dev` is to be tested, `wheel` is what users install.
fn build(
    workspace: &Workspace,
    venv: &Venv,
    wheels: &Path,
    profile: &str,
) -> Result<PathBuf, Outcome> {
    // An older wheel must not be taken for the new one.
    let _ = fs::remove_dir_all(wheels);
    let mut maturin = program(workspace, venv, "maturin");
    maturin
        .args([
            "build",
            "--quiet",
            "--locked",
            "--profile",
            profile,
            "--compatibility",
            "linux",
            "--out",
        ])
        .arg(wheels)
        .env("CARGO_TARGET_DIR", workspace.target());
    let said = run(workspace, "python-wheel", &mut maturin)?;
    let built = fs::read_dir(wheels)
        .ok()
        .and_then(|mut found| found.next()?.ok());
    built
        .map(|wheel| wheel.path())
        .ok_or_else(|| Outcome::failed(format!("maturin built no wheel\n{said}")))
}

/// How many tests passed, by the last line of pytest, and which were skipped and why; none where it names no test, or,
/// where all must run, one that was skipped.
fn passed(output: &str, all: bool) -> Option<String> {
    let last = output.lines().rev().find(|line| line.contains(" passed"))?;
    let skipped = last.contains(" skipped");
    if skipped && all {
        return None;
    }
    let (number, _) = last.split_once(" passed")?;
    let number: usize = number.rsplit(' ').next()?.parse().ok()?;
    let why = output
        .lines()
        .find(|line| skipped && line.starts_with("SKIPPED"));
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    Some(format!("{number} tests{why}"))
}

#[cfg(test)]
mod tests {
    use super::passed;

    #[test]
    fn tests_that_ran_are_counted() {
        let of = |output| passed(output, false);
        assert_eq!(of("....\n4 passed in 0.1s\n").unwrap(), "4 tests");
        assert_eq!(of("== 1 failed, 12 passed in 3s ==").unwrap(), "12 tests");
        assert_eq!(of("no tests ran in 0.1s"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn a_skipped_test_is_named_and_is_a_fault_where_all_must_run() {
        let output =
            "SKIPPED [1] tests/test_lab.py:40: missing: mmdebstrap\n3 passed, 1 skipped in 0.1s";
        let said = passed(output, false).unwrap();
        assert!(
            said.starts_with("3 tests (SKIPPED") && said.contains("mmdebstrap"),
            "{said}"
        );
        assert_eq!(passed(output, true), None);
        assert!(passed("4 passed in 0.1s", true).is_some());
    }
}
