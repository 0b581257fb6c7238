//! What tests that pass have proven of a provider, verb by verb.
//!
//! A test says it in one line of its output, and `cargo xtask evidence` makes a table of all of them. The conformance
//! suites say it by themselves; another test that meets a stronger side calls [`earned`].

use patchcore::provider::{EvidenceLabel, ProviderInfo};

/// Says that this test, if it passes, has earned a label for a verb of a provider: called at the end of it.
pub fn earned(provider: &str, verb: &str, label: EvidenceLabel) {
    println!("evidence: {provider} {verb} {label:?}");
}

/// What a provider says of itself, to be held against what was earned.
pub(crate) fn claimed(info: &ProviderInfo) {
    for (verb, label) in &info.evidence {
        println!("claimed: {} {verb} {label:?}", info.name);
    }
}
