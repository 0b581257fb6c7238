//! libFuzzer over one target of patchcore-fuzz, which `PATCHCORE_FUZZ_TARGET` names.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use patchcore_fuzz::{TARGETS, Target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("PATCHCORE_FUZZ_TARGET").unwrap_or_default();
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("no fuzz target is called {name:?}"))
});

fuzz_target!(|input: &[u8]| {
    (TARGET.check)(input);
});
