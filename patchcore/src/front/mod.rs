//! What an embedder holds: the estate, the handle of a run, and that of an operator in another process.

mod ask;
mod estate;
mod operator;
mod rolls;
mod run;

pub use estate::{Estate, PlanRequest};
pub use operator::{Answer, Operator, RunView, Said, operate};
pub use rolls::ClusterRoll;
pub use run::Run;
