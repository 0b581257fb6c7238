//! patchcore

pub mod error;
pub mod estate;
pub mod id;
pub mod policy;

pub use error::{Error, ErrorKind, Failure, Result, Retry};
pub use jiff::Timestamp;
