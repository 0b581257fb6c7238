//! The tools that the steps need beside Rust itself.

use std::{collections::BTreeSet, env, fs, path::PathBuf, process::Command};

use crate::{outcome::Outcome, shell, step, workspace::Workspace};

/// Debian packages and what needs them. To add one: its name and its reason.
const PACKAGES: &[(&str, &str)] = &[
    (
        "apt-utils",
        "apt-ftparchive makes the package repositories of the tests",
    ),
    (
        "busybox-static",
        "a second shell that the scripts sent to a machine must run under",
    ),
    ("dpkg-dev", "builds the packages that the tests install"),
    ("gpg", "signs the package repositories of the tests"),
    ("mmdebstrap", "makes the file systems of Debian guests"),
    (
        "openssh-client",
        "logs in to the guests of a lab as a person does",
    ),
    (
        "openssl",
        "makes the certificates of the web servers that checks are tried on",
    ),
    (
        "python3",
        "its web server is one that checks by HTTP are tried on",
    ),
    (
        "python3-venv",
        "an environment that the Python package is installed and tested in",
    ),
    ("shellcheck", "checks shell scripts"),
    (
        "strace",
        "shows the order of a journal's writes and of the begins that they permit",
    ),
    (
        "systemd-container",
        "systemd-nspawn starts the guests that run systemd",
    ),
    (
        "tmux",
        "a terminal that the live block of a run is tried on",
    ),
    ("uidmap", "lets guests be made without root"),
    (
        "util-linux",
        "unshare and nsenter give guests their own namespaces",
    ),
];

/// A program that cargo builds. Of another version it can judge differently, so that one changes only on purpose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
    /// How it is asked for its version.
    asked: &'static [&'static str],
}

/// Judges licences, advisories and banned crates.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    asked: &["--version"],
};

/// Plants small faults into code.
pub(crate) const CARGO_MUTANTS: Tool = Tool {
    name: "cargo-mutants",
    version: "27.1.0",
    asked: &["mutants", "--version"],
};

/// Brings the parts of the toolchain that a minimal installation lacks.
pub(crate) fn toolchain(workspace: &Workspace) -> Outcome {
    let missing: Vec<&str> = ["fmt", "clippy"]
        .into_iter()
        .filter(|part| prints(&mut workspace.cargo([part, "--version"])).is_none())
        .collect();
    if missing.is_empty() {
        return match prints(&mut workspace.cargo(["--version"])) {
            Some(version) => Outcome::passed(version.trim()),
            None => Outcome::failed("cargo cannot be started".to_owned()),
        };
    }
    let mut add = workspace.program("rustup");
    add.args(["component", "add", "rustfmt", "clippy"]);
    match shell::run(workspace, "toolchain", &mut add, None) {
        Ok(finished) => finished.outcome("added rustfmt and clippy"),
        Err(_) => Outcome::failed(format!(
            "cargo {} is missing and rustup, which could add it, is too\n   install rustfmt and clippy for this toolchain",
            missing.join(" and cargo ")
        )),
    }
}

/// Installs the Debian packages that tests need and that are missing, where this is Debian or a child of it and we are
/// root.
pub(crate) fn packages(workspace: &Workspace) -> Outcome {
    let names: Vec<&str> = PACKAGES.iter().map(|(name, _)| *name).collect();
    bring(workspace, &names)
}

/// The same for packages that only one command needs.
pub(crate) fn bring(workspace: &Workspace, names: &[&str]) -> Outcome {
    let missing = match missing_packages(names) {
        Some(missing) if missing.is_empty() => {
            return Outcome::passed(format!("{} present", names.len()));
        }
        Some(missing) => missing,
        None => {
            return Outcome::Skipped(format!(
                "no dpkg here; what needs {} skips or fails by itself",
                names.join(", ")
            ));
        }
    };
    if prints(Command::new("id").arg("-u"))
        .as_deref()
        .map(str::trim)
        != Some("0")
    {
        return Outcome::Skipped(format!(
            "not root; by hand: apt-get install --no-install-recommends {}",
            missing.join(" ")
        ));
    }
    let install = || {
        let mut command = apt_get(workspace);
        command
            .args(["install", "-y", "--no-install-recommends"])
            .args(&missing);
        shell::run(workspace, "packages", &mut command, None)
    };
    // The lists may be absent or too old to name a file that still exists; only then are they fetched anew.
    match install() {
        Ok(finished) if finished.is_success() => {}
        Ok(_) => {
            let mut refresh = apt_get(workspace);
            refresh.arg("update");
            match shell::run(workspace, "packages-lists", &mut refresh, None) {
                Ok(finished) if finished.is_success() => {}
                Ok(finished) => return Outcome::failed(finished.output),
                Err(outcome) => return outcome,
            }
            match install() {
                Ok(finished) if finished.is_success() => {}
                Ok(finished) => return Outcome::failed(finished.output),
                Err(outcome) => return outcome,
            }
        }
        Err(outcome) => return outcome,
    }
    // An exit code is a hint: what is installed now is asked again.
    match missing_packages(names) {
        Some(still) if still.is_empty() => {
            Outcome::passed(format!("installed {}", missing.join(", ")))
        }
        _ => Outcome::failed(format!(
            "apt-get reported success, yet something of {} is missing",
            missing.join(", ")
        )),
    }
}

fn apt_get(workspace: &Workspace) -> Command {
    let mut command = workspace.program("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"]);
    command
}

/// The packages that are not installed; none where there is no dpkg to ask.
fn missing_packages<'a>(names: &[&'a str]) -> Option<Vec<&'a str>> {
    let mut query = Command::new("dpkg-query");
    query
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\\n"])
        .args(names);
    // It exits with 1 when one package is unknown, and still names the others.
    let output = query.output().ok()?;
    Some(not_installed(
        names,
        &String::from_utf8_lossy(&output.stdout),
    ))
}

/// Which packages are not among the lines `NAME installed`.
fn not_installed<'a>(names: &[&'a str], answer: &str) -> Vec<&'a str> {
    let installed: BTreeSet<&str> = answer
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    names
        .iter()
        .copied()
        .filter(|name| !installed.contains(name))
        .collect()
}

/// A pinned tool: from `target/tools`, from the search path, or built now. The text says how it came.
pub(crate) fn tool(workspace: &Workspace, tool: Tool) -> Result<(PathBuf, String), Outcome> {
    let Tool { name, version, .. } = tool;
    let folder = workspace.target().join("tools");
    let kept = folder.join("bin").join(name);
    let places = env::var_os("PATH").unwrap_or_default();
    let found = std::iter::once(kept.clone())
        .chain(env::split_paths(&places).map(|place| place.join(name)))
        .find(|program| tool.is(program));
    if let Some(program) = found {
        return Ok((program, String::new()));
    }
    let started = step::now();
    fs::create_dir_all(&folder)
        .map_err(|e| Outcome::failed(format!("{} cannot be made: {e}", folder.display())))?;
    // Unoptimised, cargo-deny builds in 46 to 85 s instead of 230 s on two cores and still checks this workspace in a
    // second.
    let mut build = workspace.cargo([
        "install",
        "--locked",
        "--debug",
        name,
        "--version",
        version,
        "--root",
    ]);
    build.arg(&folder).env("CARGO_PROFILE_DEV_DEBUG", "0");
    let finished = shell::run(workspace, name, &mut build, None)?;
    if !finished.is_success() {
        return Err(Outcome::failed(finished.output));
    }
    if !tool.is(&kept) {
        return Err(Outcome::failed(format!(
            "{name} was built, but it does not say it is {version}"
        )));
    }
    Ok((
        kept,
        format!(
            "built {name} {version} in {}",
            step::seconds(started.elapsed())
        ),
    ))
}

impl Tool {
    /// Whether a program is this one, in this version.
    fn is(self, program: &PathBuf) -> bool {
        program.is_file()
            && prints(Command::new(program).args(self.asked))
                .is_some_and(|text| text.trim() == format!("{} {}", self.name, self.version))
    }
}

/// What a program prints, if it can be started and succeeds.
pub(crate) fn prints(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expect: &[&str]) {
        let names: Vec<&str> = PACKAGES.iter().map(|(name, _)| *name).collect();
        assert_eq!(not_installed(&names, answer), expect, "{answer}");
    }

    #[test]
    fn only_installed_counts_as_installed() {
        let all: String = PACKAGES
            .iter()
            .map(|(name, _)| format!("{name} installed\n"))
            .collect();
        check(&all, &[]);
        check(&all.replace("gpg installed", "gpg config-files"), &["gpg"]);
        check(&all.replace("uidmap installed\n", ""), &["uidmap"]);
        check(
            &all.replace("gpg installed", "gpg half-installed"),
            &["gpg"],
        );
    }
}
