//! The demo: a fleet of real Debian guests of its own making, patched by the example `linux_fleet`, with proof from
//! the guests themselves. `--record FILE` keeps what the second run writes on its terminal. Where the guests cannot be
//! made, it says why and shows the simulated estate.

#[cfg(target_os = "linux")]
mod leftovers;
#[cfg(target_os = "linux")]
mod proof;
#[cfg(target_os = "linux")]
mod story;

use std::{
    env, io,
    process::{Command, ExitCode},
};

/// The exit code of a machine on which the demo cannot be shown; why stands in the output.
pub const NOT_HERE: u8 = 69;

/// Runs the demo.
#[cfg(target_os = "linux")]
#[must_use]
pub fn main() -> ExitCode {
    story::main()
}

/// Shows the simulated estate.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn main() -> ExitCode {
    println!("real Debian guests need Linux: they share the kernel of this machine");
    simulated().unwrap_or_else(|error| {
        eprintln!("the demo failed: {error}");
        ExitCode::FAILURE
    })
}

/// The example `rolling_patch`, built beside this program.
fn simulated() -> io::Result<ExitCode> {
    println!("\n▶ the simulated estate instead, in virtual time: no machine is touched\n");
    let folder = env::current_exe()?;
    let program = folder
        .parent()
        .map(|f| f.join("examples/rolling_patch"))
        .unwrap_or_default();
    let ended = Command::new(program).status()?;
    Ok(if ended.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
