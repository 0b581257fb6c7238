//! What an embedder holds: the estate, and the handle of a run.

mod ask;
mod estate;
mod run;

pub use estate::{Estate, PlanRequest};
pub use run::Run;
