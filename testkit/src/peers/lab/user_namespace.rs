//! Labs of people who are not root: in a namespace in which they are.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    process::{Command, Stdio},
};

use rustix::{
    process::geteuid,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::peers::Missing;

/// The words before a program that makes its user root in a namespace of his own; none where he is root already.
///
/// # Errors
/// What is missing for that.
pub(super) fn entry() -> Result<Vec<String>, Missing> {
    if geteuid().is_root() {
        return Ok(Vec::new());
    }
    let words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--map-auto",
        "--mount",
        "--",
    ];
    let tried = Command::new(words[0])
        .args(&words[1..])
        .arg("true")
        .stdin(Stdio::null())
        .output();
    match tried {
        Ok(output) if output.status.success() => Ok(words.map(str::to_owned).into()),
        Ok(output) => Err(Missing::new(
            format!(
                "root, or a user namespace with more than one user in it: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ),
            "run it as root; or once as root: apt-get install uidmap, and \
             usermod --add-subuids 100000-165535 --add-subgids 100000-165535 YOU",
        )),
        Err(e) => Err(Missing::new(
            format!("unshare: {e}"),
            "apt-get install util-linux",
        )),
    }
}

/// Whether this process is root only in a user namespace.
pub(super) fn is_in() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().ne(["0", "0", "4294967295"])
}

/// Whether a process is in another user namespace; into the own one nobody can go again.
fn is_other(pid: u32) -> bool {
    let inode = |of: &str| {
        fs::metadata(format!("/proc/{of}/ns/user"))
            .map(|ns| ns.ino())
            .ok()
    };
    inode(&pid.to_string()) != inode("self")
}

/// Moves this process into the user namespace of another, where that is not its own; it may have no other threads.
pub(super) fn enter(pid: u32) -> io::Result<()> {
    if !is_other(pid) {
        return Ok(());
    }
    let namespace = File::open(format!("/proc/{pid}/ns/user"))?;
    Ok(move_into_link_name_space(
        namespace.as_fd(),
        Some(LinkNameSpaceType::User),
    )?)
}

/// The beginning of a command that enters namespaces of a process; which, is for the caller to add.
pub(super) fn way_to(pid: u32) -> Command {
    let mut way = Command::new("nsenter");
    way.arg(format!("--target={pid}"));
    if is_other(pid) {
        way.args(["--user", "--preserve-credentials"]);
    }
    way
}
