//! The Python package: built as a wheel, installed into an environment of its own, and tested there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{install, outcome::Outcome, shell, workspace::Workspace};

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

fn steps(workspace: &Workspace) -> Result<String, Outcome> {
    let place = workspace.target().join("python");
    let venv = Venv::with_tools(workspace, &place)?;
    let wheel = build(workspace, &venv, &place.join("wheels"))?;
    let mut pip = venv.program(workspace, "pip");
    pip.args(["install", "--quiet", "--no-deps", "--force-reinstall"]);
    run(workspace, "python-install", pip.arg(&wheel))?;
    let tested = run(
        workspace,
        "python-tests",
        &mut venv.program(workspace, "pytest"),
    )?;
    let Some(passed) = passed(&tested) else {
        return Err(Outcome::failed(format!(
            "no test is known to have run\n{tested}"
        )));
    };
    run(
        workspace,
        "python-types",
        &mut venv.program(workspace, "mypy"),
    )?;
    let mut stubs = venv.program(workspace, "stubtest");
    run(workspace, "python-stubs", stubs.arg("patchcore._native"))?;
    Ok(format!("{passed} tests, types and stubs"))
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

/// The wheel, unoptimised: it is to be tested, not shipped.
fn build(workspace: &Workspace, venv: &Venv, wheels: &Path) -> Result<PathBuf, Outcome> {
    // An older wheel must not be taken for the new one.
    let _ = fs::remove_dir_all(wheels);
    let mut maturin = venv.program(workspace, "maturin");
    maturin
        .args([
            "build",
            "--quiet",
            "--locked",
            "--profile",
            "dev",
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

/// How many tests passed, by the last line of pytest; none where it names no test, or one that was skipped.
fn passed(output: &str) -> Option<usize> {
    let last = output.lines().rev().find(|line| line.contains(" passed"))?;
    if last.contains("skipped") {
        return None;
    }
    let (number, _) = last.split_once(" passed")?;
    number.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::passed;

    #[test]
    fn tests_that_ran_are_counted() {
        assert_eq!(passed("....\n4 passed in 0.1s\n"), Some(4));
        assert_eq!(passed("== 1 failed, 12 passed in 3s =="), Some(12));
        assert_eq!(passed("no tests ran in 0.1s"), None);
        assert_eq!(passed("3 passed, 1 skipped in 0.1s"), None);
        assert_eq!(passed(""), None);
    }
}
