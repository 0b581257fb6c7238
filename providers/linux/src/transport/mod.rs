//! How a script reaches a machine and its output comes back.
//!
//! Every transport does the same: it starts one constant command, [`COMMAND`] or that behind `sudo`, writes the whole
//! script to its standard input and reads what comes back. Nothing user-given is ever part of a
//! command line, there is never a terminal, and nothing needs to be installed on the target
//! beyond a POSIX shell.

mod local;
mod script;
pub mod ssh;

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use patchcore::{Error, ErrorKind, Result};

pub use local::Local;
pub use script::{Output, Script, quote};
pub(crate) use script::{shell_text, without_comments};

/// The one command line of every transport, which ssh puts behind `exec` and `sudo -n`; the script itself comes on standard input.
pub const COMMAND: &[&str] = &["/bin/sh", "-s"];

/// The most that a script may answer on standard output, in bytes.
///
/// A scan of a machine with 5,000 packages and 500 pending ones is about 1.5 MB; sixteen times that
/// is beyond any honest answer, and small enough for a thousand machines read fifty at a time.
pub const MAX_STDOUT: usize = 24 << 20;

/// How much of standard error is kept, in bytes; the rest is read and dropped.
///
/// Standard error is for people. Its first lines say what went wrong.
pub const MAX_STDERR: usize = 64 << 10;

/// A way to run a script on one machine.
#[async_trait]
pub trait Transport: Debug + Send + Sync {
    /// Runs the script and answers what it printed between its marks.
    ///
    /// # Contract
    /// - A script that did not arrive whole does nothing.
    /// - What the far side prints before and after the script's own output (greetings, profile
    ///   noise) is not part of the answer.
    /// - Dropping the future ends what was started on this side; what a script detached lives on.
    ///
    /// # Errors
    /// - `Timeout`: the deadline passed; whether the script had an effect is unknown.
    /// - `Unreachable`: the machine did not answer, or the connection broke before the end mark;
    ///   whether the script had an effect is unknown.
    /// - `ProviderFault`: the script answered more than [`MAX_STDOUT`].
    /// - `Io`: the shell could not be started.
    async fn run(&self, script: &Script, deadline: Duration) -> Result<Output>;
}

/// The error of a script that did not answer in time.
fn late(script: &Script, deadline: Duration) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!("script {}: no answer in time", script.id()),
    )
    .expected(format!("an answer within {} s", deadline.as_secs_f64()))
    .consequence("it was ended; whether it had an effect is unknown")
    .retryable(None)
}

/// The error of a script that answered more than [`MAX_STDOUT`].
fn too_long(script: &Script) -> Error {
    Error::new(
        ErrorKind::ProviderFault,
        format!("script {}: its answer is too long", script.id()),
    )
    .expected(format!("at most {MAX_STDOUT} bytes"))
    .found("more")
}
