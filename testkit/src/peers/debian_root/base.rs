//! The tree that all guests start from, built once per recipe.

use std::{
    env, fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use super::{Guest, Init, Machine, guest::broken};
use crate::peers::Missing;

/// The suite of Debian that guests run.
const SUITE: &str = "bookworm";
/// What a guest has beyond Debian's minimal base: an init that reaps, process tools, `sudo` for an
/// operator, `ip` for the networks, and what the repository is built with inside the guest, so that
/// the machine that runs the tests needs none of it. For the guests of a lab: an SSH server, systemd
/// as an init with what belongs to it, Python for the tools of others, the patcher that Debian brings
/// along, and a clock that can be wrong.
const PACKAGES: &str = "tini,procps,sudo,iproute2,apt-utils,gpg,gpg-agent,openssh-server,\
    systemd-sysv,dbus,libpam-systemd,python3,python3-apt,unattended-upgrades,libfaketime";

const ENTER_TREE: &str = include_str!("scripts/enter_tree.sh");
const PROBE: &str = include_str!("scripts/probe.sh");
/// The scripts that stay in the tree, because guests publish packages with them.
const IN_TREE: [(&str, &str); 3] = [
    ("package.sh", include_str!("scripts/package.sh")),
    ("index.sh", include_str!("scripts/index.sh")),
    ("prepare.sh", include_str!("scripts/prepare.sh")),
];
const TREE_HOME: &str = "srv/patchcore";

/// The way to the [`Base`].
#[derive(Debug, Clone, Copy)]
pub struct DebianRoot;

impl DebianRoot {
    /// The base of all guests; builds it when this recipe was never built under this cargo target
    /// directory, which takes about half a minute, needs the network, and leaves 290 MB there until `cargo clean`.
    ///
    /// Processes that ask at the same time wait for the one that builds.
    ///
    /// # Errors
    /// [`Missing`] when this process is not root, may not make namespaces or overlay mounts, or,
    /// where the base must be built, `mmdebstrap` is absent or fails.
    pub fn base() -> Result<Base, Missing> {
        let peers = target_directory()?.join("peers");
        let mount_point = peers.join("mount-point");
        fs::create_dir_all(&mount_point).map_err(|e| unwritable(&peers, &e))?;
        probe(&mount_point)?;

        let name = name();
        let tree = peers.join(&name);
        if !tree.is_dir() {
            let lock = File::create(peers.join(format!("{name}.lock")))
                .map_err(|e| unwritable(&peers, &e))?;
            lock.lock().map_err(|e| unwritable(&peers, &e))?;
            // Another process may have built it while we waited for the lock.
            if !tree.is_dir() {
                build(&peers, &name, &lock)?;
            }
        }
        let labs = peers.join("labs");
        Ok(Base(Arc::new(Places {
            tree,
            mount_point,
            labs,
        })))
    }
}

/// A Debian tree that is ready and never changes: every guest writes to a disk of its own.
#[derive(Clone)]
pub struct Base(Arc<Places>);

struct Places {
    tree: PathBuf,
    mount_point: PathBuf,
    labs: PathBuf,
}

impl Base {
    /// A new machine, up and running.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    #[track_caller]
    pub fn guest(&self) -> Guest {
        Guest::of(
            Machine::start(self, None, None, Init::Tini)
                .unwrap_or_else(|e| broken("starting a guest", e)),
        )
    }

    /// The tree as it lies on this machine's disk.
    #[must_use]
    pub fn tree(&self) -> &Path {
        &self.0.tree
    }

    /// Where labs have their folders.
    pub(in crate::peers) fn labs(&self) -> PathBuf {
        self.0.labs.clone()
    }

    /// An empty directory that every guest mounts over in its own namespace.
    pub(super) fn mount_point(&self) -> &Path {
        &self.0.mount_point
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Base").field(&self.0.tree).finish()
    }
}

fn name() -> String {
    format!("debian-{SUITE}-{}", recipe_digest())
}

/// Whether the base of this recipe is there.
pub(in crate::peers) fn is_built() -> bool {
    target_directory().is_ok_and(|target| target.join("peers").join(name()).is_dir())
}

/// Names the build: another script, package list or suite is another base.
fn recipe_digest() -> String {
    let mut digest = Sha256::new();
    let scripts = IN_TREE.iter().flat_map(|(name, text)| [*name, *text]);
    for part in [SUITE, PACKAGES, ENTER_TREE].into_iter().chain(scripts) {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The cargo target directory that the running test binary lies in.
pub(in crate::peers) fn target_directory() -> Result<PathBuf, Missing> {
    let remedy = "run the tests with cargo";
    let binary = env::current_exe()
        .map_err(|e| Missing::new(format!("the running binary's path: {e}"), remedy))?;
    // Cargo marks the directory with the one or the other, depending on who made it.
    let is_target =
        |dir: &&Path| dir.join("CACHEDIR.TAG").is_file() || dir.join(".rustc_info.json").is_file();
    binary
        .ancestors()
        .find(is_target)
        .map(Path::to_path_buf)
        .ok_or_else(|| {
            Missing::new(
                format!("a cargo target directory above {}", binary.display()),
                remedy,
            )
        })
}

fn unwritable(peers: &Path, error: &io::Error) -> Missing {
    Missing::new(
        format!("a writable {}: {error}", peers.display()),
        "run as root with space for about 350 MB under the cargo target directory",
    )
}

/// Tries what a guest needs instead of guessing it from versions and settings.
fn probe(mount_point: &Path) -> Result<(), Missing> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_root = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1))
        == Some("0");
    if !is_root {
        return Err(Missing::new(
            "the rights of root",
            "run it as root, for instance with sudo",
        ));
    }
    let tried = Command::new("unshare")
        .args([
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--net",
            "--fork",
            "--kill-child",
        ])
        .args(["sh", "-c", PROBE, "sh"])
        .arg(mount_point)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Missing::new(format!("unshare: {e}"), "apt-get install util-linux"))?;
    if tried.status.success() {
        return Ok(());
    }
    Err(Missing::new(
        format!(
            "namespaces and overlay mounts: {}",
            String::from_utf8_lossy(&tried.stderr).trim()
        ),
        "run on a Linux with overlayfs, in a container only when it is privileged",
    ))
}

/// Builds under a temporary name, so that a failed build never counts as a base.
fn build(peers: &Path, name: &str, lock: &File) -> Result<(), Missing> {
    let unfinished = peers.join(format!("{name}.unfinished"));
    let log_path = peers.join(format!("{name}.log"));
    let failed = |step: &str| {
        Missing::new(
            format!(
                "a built Debian tree: {step} failed, {}",
                last_lines(&log_path)
            ),
            format!("the whole output is in {}", log_path.display()),
        )
    };
    let io_failed = |e: io::Error| unwritable(peers, &e);

    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(io_failed)?;
    }
    let log = File::create(&log_path).map_err(io_failed)?;
    // Each step holds the lock too, as its descriptor 3: if we are killed, a step that still runs
    // keeps the next builder waiting instead of having the tree removed under it.
    let step = |command: &mut Command| -> io::Result<bool> {
        command
            .stdin(Stdio::from(lock.try_clone()?))
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .status()
            .map(|status| status.success())
    };

    let mut debian = Command::new("unshare");
    debian
        .args([
            "--mount",
            "sh",
            "-c",
            "exec 3<&0 </dev/null; exec \"$@\"",
            "sh",
        ])
        .args(["mmdebstrap", "--mode=root", "--variant=minbase"])
        .arg("--aptopt=APT::Install-Recommends \"false\"")
        .args([&format!("--include={PACKAGES}"), SUITE])
        .arg(&unfinished)
        .env("TMPDIR", peers);
    if !on_path("mmdebstrap") {
        return Err(Missing::new("mmdebstrap", "apt-get install mmdebstrap"));
    }
    if !step(&mut debian).map_err(io_failed)? {
        return Err(failed("mmdebstrap"));
    }

    let home = unfinished.join(TREE_HOME);
    fs::create_dir_all(&home).map_err(io_failed)?;
    for (file, text) in IN_TREE {
        File::create(home.join(file))
            .and_then(|mut f| f.write_all(text.as_bytes()))
            .map_err(io_failed)?;
    }
    let mut prepare = Command::new("unshare");
    prepare
        .args([
            "--mount",
            "--pid",
            "--ipc",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            ENTER_TREE,
            "sh",
        ])
        .arg(&unfinished);
    if !step(&mut prepare).map_err(io_failed)? {
        return Err(failed("preparing it"));
    }
    fs::rename(&unfinished, peers.join(name)).map_err(io_failed)
}

/// Whether a program is on the search path.
pub(in crate::peers) fn on_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
