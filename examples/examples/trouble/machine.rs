//! The same trouble on a real Debian: a throw-away machine with real apt and dpkg.

use patchcore::Result;

use super::seen::Seen;

const MISSING: &str = "the Linux provider has no ports yet";

pub(crate) async fn kept_back() -> Result<Seen> {
    Ok(Seen::skipped(MISSING))
}

pub(crate) async fn half_configured() -> Result<Seen> {
    Ok(Seen::skipped(MISSING))
}

pub(crate) async fn lock() -> Result<Seen> {
    Ok(Seen::skipped(MISSING))
}

pub(crate) async fn no_root() -> Result<Seen> {
    Ok(Seen::skipped(MISSING))
}

pub(crate) async fn drift() -> Result<Seen> {
    Ok(Seen::skipped(MISSING))
}
