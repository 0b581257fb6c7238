//! The demo: a fleet of real Debian guests of its own making, patched by the example `linux_fleet`, with proof from
//! the guests themselves. `--record FILE` keeps what the second run writes on its terminal.

#[cfg(target_os = "linux")]
mod leftovers;
#[cfg(target_os = "linux")]
mod proof;
#[cfg(target_os = "linux")]
mod story;

use std::process::ExitCode;

/// The exit code of a machine on which the demo cannot be shown; why stands in the output.
pub const NOT_HERE: u8 = 69;

/// Runs the demo.
#[cfg(target_os = "linux")]
#[must_use]
pub fn main() -> ExitCode {
    story::main()
}

/// Says that it cannot be run.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn main() -> ExitCode {
    println!("the lab of Debian guests needs Linux: they share the kernel of this machine");
    ExitCode::from(NOT_HERE)
}
