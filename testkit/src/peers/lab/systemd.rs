//! What guests with systemd need beyond bare ones.

use std::{fs, io, path::Path, process};

use super::user_namespace;
use crate::peers::{Missing, debian_root};

/// Tries it instead of guessing it from versions and settings.
pub(super) fn probe() -> Result<(), Missing> {
    if user_namespace::is_in() {
        return Err(Missing::new(
            "the rights of root over cgroups, for guests with systemd",
            "run as root, or ask for bare guests only",
        ));
    }
    if !debian_root::on_path("systemd-nspawn") {
        return Err(Missing::new(
            "systemd-nspawn, for guests with systemd",
            "apt-get install systemd-container",
        ));
    }
    let hierarchies = ["", "systemd", "unified"]
        .map(|name| Path::new("/sys/fs/cgroup").join(name))
        .into_iter()
        .filter(|hierarchy| hierarchy.join("cgroup.procs").exists());
    let mut n_hierarchies = 0;
    for hierarchy in hierarchies {
        n_hierarchies += 1;
        let tried = hierarchy.join(format!("patchcore-probe-{}", process::id()));
        let made = match fs::create_dir(&tried) {
            // Of another thread that probes too.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        };
        made.map_err(|e| {
            Missing::new(
                format!("a cgroup of its own below {}: {e}", hierarchy.display()),
                "run on a Linux with writable cgroups, in a container only when it is privileged",
            )
        })?;
        // The other thread may have removed it.
        let _ = fs::remove_dir(&tried);
    }
    if n_hierarchies == 0 {
        return Err(Missing::new(
            "cgroups at /sys/fs/cgroup, for guests with systemd",
            "mount them as systemd does",
        ));
    }
    Ok(())
}
