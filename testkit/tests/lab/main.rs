//! The lab behaves as the tests that stand on it assume.

#![expect(
    clippy::unwrap_used,
    reason = "the functions around the tests are tests too"
)]

use std::time::Duration;

use patchcore_testkit::peers::{
    debian_root::Output,
    lab::{Lab, Recipe},
    need,
};

mod faults;
mod kept;
mod leftovers;
mod network;
mod systemd;

const PATIENCE: Duration = Duration::from_secs(20);

fn lab(recipe: Recipe) -> Option<Lab> {
    need(Lab::up(recipe))
}

/// The way of a person: a machine's own `ssh`, in the lab's network, by the files that the lab wrote.
fn log_in(lab: &Lab, user: &str, guest: &str, command: &str) -> Output {
    let folder = lab.inventory().parent().unwrap();
    let known = folder.join("known_hosts");
    let mut ssh = lab.command("ssh");
    ssh.args([
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=4",
        "-o",
    ])
    .arg(format!("UserKnownHostsFile={}", known.display()))
    .arg("-i")
    .arg(folder.join("id_ed25519"))
    .arg(format!("{user}@{}", lab.guest(guest).address().unwrap()))
    .arg(command);
    ssh.output().unwrap().into()
}
