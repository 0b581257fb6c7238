//! Transcripts that somebody gave away, read once more: `transcripts/NAME.jsonl` says what is in `transcripts/NAME.txt`.
//!
//! To add one: `cargo run --example vsphere_doctor -- --server … --user … --transcript NAME.jsonl`, and what this test
//! prints of it.

use std::{fs, path::Path};

use patchcore_vsphere::{Transcript, VCenter};

#[tokio::test]
async fn each_says_what_it_said() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut read = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|end| end != "jsonl") {
            continue;
        }
        let transcript = Transcript::from_lines(&fs::read_to_string(&file).unwrap()).unwrap();
        let found = VCenter::replayed(transcript).unwrap().checkup().await;
        let found = found.unwrap_or_else(|error| panic!("{}: {error:?}", file.display()));
        let said = fs::read_to_string(file.with_extension("txt")).unwrap_or_default();
        assert_eq!(format!("{found}\n"), said, "{}", file.display());
        read += 1;
    }
    assert!(read > 0, "there is none");
}
