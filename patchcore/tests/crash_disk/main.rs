//! A production run under `kill -9`: the real driver over a real journal changes an outside that is made of files, and is
//! judged by what that outside says of itself.
#![cfg(all(feature = "sqlite", target_os = "linux"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test, also in its helpers"
)]

mod child;
mod judge;
mod kills;
mod lock;
mod order;
mod provider;
mod takeover;
mod world;
