//! patchcore

pub mod error;
pub mod id;

pub use error::{Error, ErrorKind, Failure, Result, Retry};
pub use jiff::Timestamp;
