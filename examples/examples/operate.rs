//! A journal on disk, read and steered at three in the morning, while another process drives its run or none does.
//!
//! `cargo run --example operate run.db WORD …`; without a word it shows those that there are. Reading needs the file
//! alone: no network, no provider, no lock. Steering puts a command into the inbox of the process that drives the
//! run and waits for its answer; where nobody drives it, the command waits for the process that resumes it.
//! Everything that is printed is made by the library, so that a program of your own says the same, as
//! `python -m patchcore` does.

use std::{io::Write as _, process::ExitCode};

#[tokio::main]
pub(crate) async fn main() -> ExitCode {
    let me = ["USER", "LOGNAME"]
        .iter()
        .find_map(|v| std::env::var(v).ok());
    let said = patchcore::operate("operate", me, std::env::args().skip(1).collect()).await;
    // Whoever reads only the first lines closes the pipe; the answer and its exit code are the same.
    let _ = std::io::stdout().write_all(said.out.as_bytes());
    let _ = std::io::stderr().write_all(said.err.as_bytes());
    ExitCode::from(said.exit_status)
}
