//! The whole output of the example, the same in every run.
#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, also in its helpers"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The example as it is now: `cargo test --test …` alone would not build it.
fn built() -> PathBuf {
    // target/<profile>/deps/<this test>
    let this = env::current_exe().unwrap();
    let profile = this.parent().and_then(Path::parent).unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", env!("CARGO_PKG_NAME")]);
    build.args(["--example", "rolling_patch", "--target-dir"]);
    build.arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success());
    profile.join("examples/rolling_patch")
}

#[test]
fn five_runs_read_alike() {
    let program = built();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rolling_patch.txt");
    for run in 1..=5 {
        let output = Command::new(&program).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && errors.is_empty(), "{errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        if run == 1 && env::var_os("PATCHCORE_BLESS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            text == expected,
            "run {run} differs from tests/golden/rolling_patch.txt; PATCHCORE_BLESS=1 writes it anew. Now it is:\n{text}"
        );
    }
}
