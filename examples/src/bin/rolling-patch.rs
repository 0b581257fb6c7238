//! The example `rolling_patch` as a program that cargo hands to the tests.

#[path = "../../examples/rolling_patch.rs"]
mod rolling_patch;

fn main() -> patchcore::Result<std::process::ExitCode> {
    rolling_patch::main()
}
