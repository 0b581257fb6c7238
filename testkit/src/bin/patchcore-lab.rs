//! A lab of throw-away Debian machines that stays up; `cargo xtask lab` starts it.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    patchcore_testkit::peers::lab::run_command_line(std::env::args_os().skip(1))
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!(
        "missing: Linux\n   the guests of a lab share the kernel of the machine that they run on"
    );
    ExitCode::from(2)
}
