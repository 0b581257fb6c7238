//! patchcore

pub mod digest;
pub mod error;
pub mod execute;
pub mod id;

pub use error::{Error, ErrorKind, Failure, Result, Retry};
pub use jiff::Timestamp;
