//! What an embedder holds: the estate.

mod ask;
mod estate;

pub use estate::{Estate, PlanRequest};
