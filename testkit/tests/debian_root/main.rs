//! The throw-away Debian behaves as the tests that stand on it assume.

use std::time::Duration;

use patchcore_testkit::peers::{
    debian_root::{Base, DebianRoot, Guest, Output},
    need,
};

mod leftovers;
mod machine;
mod packages;

const PATIENCE: Duration = Duration::from_secs(20);

fn base() -> Option<Base> {
    need(DebianRoot::base())
}

fn guest() -> Option<Guest> {
    base().map(|base| base.guest())
}

fn apt(guest: &Guest, arguments: &[&str]) -> Output {
    let program = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y"];
    guest.run(program.iter().chain(arguments))
}
