//! Programs that we did not write and that the tests are held against.

use std::{env, fs::File, path::PathBuf};

/// Where a program is, if it is installed. In CI a missing peer is a failure, elsewhere the reason is printed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/bin".into()])
        .map(|d| d.join(program))
        .find(|p| File::open(p).is_ok());
    if found.is_none() {
        assert!(
            env::var_os("CI").is_none_or(|v| v != "true"),
            "peer `{program}` is not installed"
        );
        eprintln!("skipped: `{program}` is not installed");
    }
    found
}
