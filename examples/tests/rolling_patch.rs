//! The whole output of the example, the same in every run.
#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, also in its helpers"
)]

use std::{env, fs, path::Path, process::Command};

#[test]
fn five_runs_read_alike() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rolling_patch.txt");
    for run in 1..=5 {
        let output = Command::new(env!("CARGO_BIN_EXE_rolling-patch"))
            .output()
            .unwrap();
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
