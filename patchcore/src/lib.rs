//! patchcore

// The order of these groups is the order of reading: a module uses those before it, never those after.
pub mod clock;
pub mod digest;
pub mod error;
pub mod id;
pub mod secret;
mod stored;

// The shared nouns.
pub mod estate;
pub mod policy;
pub mod provider;

// discover → plan → approve → judge → execute → report.
pub mod discover;
// Decides what is to be done.
pub mod plan;
// Counts who agreed to it.
pub mod approve;
// Says what observation means.
pub mod judge;
// Carries it out.
pub mod execute;
// Says what was observed.
#[cfg(feature = "sqlite")]
pub mod report;

#[cfg(feature = "sim")]
pub mod sim;

// What an embedder holds.
#[cfg(feature = "sqlite")]
mod front;

#[cfg(feature = "sqlite")]
pub use clock::SystemClock;
pub use error::{Error, ErrorKind, Failure, Result, Retry};
#[cfg(feature = "sqlite")]
pub use execute::{Run, Standing, journal::Journal};
#[cfg(feature = "sqlite")]
pub use front::{Estate, PlanRequest};
pub use jiff::Timestamp;
pub use plan::Plan;
pub use policy::Policy;
#[cfg(feature = "sqlite")]
pub use report::Report;
pub use secret::Secret;
