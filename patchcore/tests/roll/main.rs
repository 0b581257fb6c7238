//! The roll of a whole cluster: its model, its checker, its planner.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test, also in its helpers"
)]

mod bad_input;
mod brute;
mod clusters;
mod edges;
mod fewest;
mod kinds;
mod mutations;
mod orders;
mod planner;
mod property;
mod schema;
mod serial;
mod shown;
mod sums;
mod times;
mod walk;
mod world;
