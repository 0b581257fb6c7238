//! patchcore

pub mod clock;
pub mod digest;
pub mod error;
pub mod id;
pub mod secret;
mod stored;

pub mod estate;
pub mod policy;
pub mod provider;

pub mod approve;
pub mod discover;
pub mod execute;
pub mod judge;
pub mod plan;

#[cfg(feature = "sim")]
pub mod sim;

pub use error::{Error, ErrorKind, Failure, Result, Retry};
pub use jiff::Timestamp;
pub use secret::Secret;
