//! The provider against govmomi's vCenter simulator, a server that this project did not write.
//!
//! It evidences: trust, logins, what becomes of a connection's login, pages, faults, each reason for which a machine
//! stays, the drainer's and the deployer's conformance, what waiting for a task takes, what becomes of an image that is put into
//! hosts, and what its own check of them says before that.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the functions around the tests are tests too"
)]

mod calls;
mod check;
mod checkup;
mod conformance;
mod connection;
mod deployer;
mod drainer;
mod foreseen;
mod identities;
mod image;
mod inventory;
mod paths;
mod peer;
mod schema;
mod told;
mod updates;
