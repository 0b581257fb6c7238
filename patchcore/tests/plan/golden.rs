//! Texts that stand in files, so that a change to what people read is seen in review.

use std::{env, fs, path::PathBuf};

/// Compares with a file in `tests/golden`, or writes it where `PATCHCORE_BLESS` is set.
#[expect(clippy::unwrap_used, reason = "a test helper")]
pub(crate) fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let text = format!("{text}\n");
    if env::var_os("PATCHCORE_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "{name} differs; PATCHCORE_BLESS=1 writes it anew. Now it is:\n{text}"
    );
}
