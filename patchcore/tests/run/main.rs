//! Whole runs on the simulated estate: the real driver, a real journal, virtual time.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what went wrong by panicking"
)]

mod blocking;
mod brackets;
mod checkpoints;
mod crash;
mod driving;
mod ensuring;
mod estate;
mod failing;
mod fenced;
mod panics;
mod patience;
mod promises;
mod stale;
mod steering;
mod stopping;
mod succeeding;
mod twist;
mod two;
mod untaken;
mod watch;
mod written;
