//! Whole clusters rolled on the simulated estate: the plan of the roll is checked, the world's own log judges it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's own outside: what fails here fails the test"
)]

mod cluster;
mod crash;
mod groups;
mod report;
mod reserve;
mod seeds;
mod surprises;
#[path = "../run/watch.rs"]
mod watch;
mod whole;
