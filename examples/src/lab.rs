//! The lab of throw-away Debian machines, for the examples that are run on it.

use std::path::PathBuf;

use patchcore::{Error, ErrorKind, Result};
use patchcore_testkit::peers::Missing;

/// Moves this process into the network of the lab that is up, and says where its inventory is. To be called before the
/// process has threads: only those that are started afterwards are in that network.
///
/// # Errors
/// `NotFound`: no lab is up.
pub fn enter() -> Result<PathBuf> {
    kept().map_err(|missing| {
        Error::new(
            ErrorKind::NotFound,
            format!("there is no lab to enter: {}", missing.what),
        )
        .consequence("nothing was asked")
        .hint(format!(
            "{}, or name machines of yours: --inventory FILE",
            missing.remedy
        ))
    })
}

#[cfg(target_os = "linux")]
fn kept() -> std::result::Result<PathBuf, Missing> {
    patchcore_testkit::peers::lab::enter_kept()
}

#[cfg(not(target_os = "linux"))]
fn kept() -> std::result::Result<PathBuf, Missing> {
    Err(Missing::new("a lab", "a lab runs on Linux alone"))
}
