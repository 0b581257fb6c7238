//! Programs that we did not write, set up to be tested against.
//!
//! A peer that is not there is said as [`Missing`]; [`need`] turns that into a printed skip on a
//! developer's machine and into a failure in CI.

use std::{env, error::Error, fmt};

pub mod debian_root;
#[cfg(target_os = "linux")]
pub mod lab;
pub mod vcenter;

/// Why a peer cannot be used here, and what makes it usable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missing {
    /// What is not there, such as `mmdebstrap`.
    pub what: String,
    /// What the reader can do, such as `apt-get install mmdebstrap`.
    pub remedy: String,
}

impl Missing {
    /// A missing thing and its remedy; lower case, no full stop.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "missing: {}\n   {}", self.what, self.remedy)
    }
}

impl Error for Missing {}

/// The peer, or `None` after the reason was printed: the caller returns and counts as skipped.
///
/// # Panics
/// When the peer is missing and the environment says `CI`: there, a skipped check is a failure.
#[track_caller]
pub fn need<T>(peer: Result<T, Missing>) -> Option<T> {
    let ci = env::var("CI").is_ok_and(|ci| !matches!(&*ci, "" | "0" | "false"));
    match need_where(peer, ci) {
        Ok(peer) => Some(peer),
        Err(missing) => {
            eprintln!("skipped: {missing}");
            None
        }
    }
}

/// The peer, or why it is missing where that is a skip.
#[track_caller]
#[expect(
    clippy::panic,
    reason = "a test support function: in CI a missing peer fails the test"
)]
fn need_where<T>(peer: Result<T, Missing>, ci: bool) -> Result<T, Missing> {
    match peer {
        Err(missing) if ci => panic!("{missing}"),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absent() -> Result<(), Missing> {
        Err(Missing::new("mmdebstrap", "apt-get install mmdebstrap"))
    }

    #[test]
    fn a_missing_peer_is_a_skip_on_a_developers_machine() {
        assert_eq!(need_where(absent(), false), absent());
        assert_eq!(need_where(Ok(1), false), Ok(1));
    }

    #[test]
    #[should_panic = "apt-get install mmdebstrap"]
    fn a_missing_peer_fails_in_ci() {
        drop(need_where(absent(), true));
    }
}
