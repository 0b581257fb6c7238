//! The Python package: built as a wheel, installed into an environment of its own, and tested there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::{
    install, lab,
    outcome::Outcome,
    shell,
    workspace::{self, Workspace},
};

/// Where the package lies.
const PACKAGE: &str = "bindings/python";

/// The tools of the tests, with their versions.
const TOOLS: &str = "tests/requirements.txt";

/// Builds the package and runs its tests and type checks.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let has_venv = [
        "-c",
        "import ensurepip, venv, sys; assert sys.version_info >= (3, 10)",
    ];
    if install::prints(workspace.program("python3").args(has_venv)).is_none() {
        return Outcome::Skipped(
            "no python3 of 3.10 or later with its module venv (Debian: python3-venv)".to_owned(),
        );
    }
    match steps(workspace) {
        Ok(detail) => Outcome::passed(detail),
        Err(outcome) => outcome,
    }
}

/// Measures what Python programs pay, with the wheel that users install. Fails where a figure is missed.
pub(crate) fn bench(workspace: &Workspace) -> ExitCode {
    match measured(workspace) {
        Ok(status) => status,
        Err(outcome) => {
            if let Outcome::Failed { output, .. } | Outcome::Skipped(output) = outcome {
                eprintln!("{output}\n   nothing was measured");
            }
            ExitCode::FAILURE
        }
    }
}

/// A wheel may weigh this much, in bytes.
const HEAVIEST: u64 = 15 * 1024 * 1024;

fn measured(workspace: &Workspace) -> Result<ExitCode, Outcome> {
    let place = workspace.target().join("python");
    let venv = Venv::with_tools(workspace, &place)?;
    let wheel = build(workspace, &venv, &place.join("released"), "wheel")?;
    let weight = fs::metadata(&wheel).map_or(u64::MAX, |wheel| wheel.len());
    println!(
        "wheel: {:.1} MB, at most 15",
        weight as f64 / 1024.0 / 1024.0
    );
    let mut pip = venv.program(workspace, "pip");
    pip.args(["install", "--quiet", "--no-deps", "--force-reinstall"]);
    run(workspace, "python-install", pip.arg(&wheel))?;
    let mut measure = venv.program(workspace, "python");
    measure.arg(workspace.root().join("bench/python.py"));
    let status = measure
        .status()
        .map_err(|e| Outcome::failed(format!("the measuring cannot be started: {e}")))?;
    Ok(if status.success() && weight <= HEAVIEST {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn steps(workspace: &Workspace) -> Result<String, Outcome> {
    let place = workspace.target().join("python");
    let venv = Venv::with_tools(workspace, &place)?;
    let wheel = build(workspace, &venv, &place.join("wheels"), "dev")?;
    let mut pip = venv.program(workspace, "pip");
    pip.args(["install", "--quiet", "--no-deps", "--force-reinstall"]);
    run(workspace, "python-install", pip.arg(&wheel))?;
    let mut pytest = venv.program(workspace, "pytest");
    pytest
        .args(["-rs"])
        .env("PATCHCORE_LAB", lab_of_its_own(workspace, &place)?)
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
        &mut venv.program(workspace, "mypy"),
    )?;
    let mut stubs = venv.program(workspace, "stubtest");
    run(workspace, "python-stubs", stubs.arg("patchcore._native"))?;
    // A second opinion: half of the editors judge by this one.
    let mut pyright = venv.program(workspace, "pyright");
    pyright.arg("--pythonpath").arg(venv.bin.join("python"));
    run(workspace, "python-pyright", &mut pyright)?;
    Ok(format!("{passed}, types and stubs"))
}

/// The program that makes a lab, in a place of its own: a lab that a person has up is not this one, and the Debian tree
/// of the guests is shared with the tests.
fn lab_of_its_own(workspace: &Workspace, place: &Path) -> Result<PathBuf, Outcome> {
    lab::packages(workspace).map_err(Outcome::failed)?;
    let mut build = workspace.cargo(["build", "--quiet", "--workspace", "--bin", "patchcore-lab"]);
    run(workspace, "python-lab", &mut build)?;
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

/// An environment with the pinned tools; made once, and again when the pins change.
struct Venv {
    bin: PathBuf,
}

impl Venv {
    fn with_tools(workspace: &Workspace, place: &Path) -> Result<Self, Outcome> {
        let venv = Self {
            bin: place.join("venv/bin"),
        };
        let wanted = fs::read_to_string(workspace.root().join(PACKAGE).join(TOOLS))
            .map_err(|e| Outcome::failed(format!("{PACKAGE}/{TOOLS} cannot be read: {e}")))?;
        let stamp = place.join("tools");
        if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
            return Ok(venv);
        }
        let mut make = workspace.program("python3");
        make.args(["-m", "venv", "--clear"]).arg(place.join("venv"));
        run(workspace, "python-venv", &mut make)?;
        let mut pip = venv.program(workspace, "pip");
        run(
            workspace,
            "python-tools",
            pip.args(["install", "--quiet", "--requirement", TOOLS]),
        )?;
        fs::write(&stamp, wanted)
            .map_err(|e| Outcome::failed(format!("{} cannot be written: {e}", stamp.display())))?;
        Ok(venv)
    }

    /// A program of the environment, started in the package.
    fn program(&self, workspace: &Workspace, name: &str) -> Command {
        let mut command = workspace.program(self.bin.join(name));
        command
            .current_dir(workspace.root().join(PACKAGE))
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
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
    let mut maturin = venv.program(workspace, "maturin");
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

fn run(workspace: &Workspace, name: &str, command: &mut Command) -> Result<String, Outcome> {
    let finished = shell::run(workspace, name, command, None)?;
    if finished.is_success() {
        Ok(finished.output)
    } else {
        Err(Outcome::failed(finished.output))
    }
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
