//! Carrying out an approved plan.

#[cfg(feature = "sqlite")]
pub mod journal;
