//! The roll of a whole cluster: which hosts go down together, in what order, and where every virtual machine goes.
//!
//! Pure, and standing alone: who wants nothing else of patchcore can read a [`Cluster`] and get a roll. A planner and
//! its [checker](check()) share nothing but the model: only the checker makes a [`CheckedRoll`].

mod bounds;
mod check;
mod cluster;
mod fault;
mod infeasible;
mod limits;
mod names;
mod planner;
mod prove;
mod read;
mod rule;
mod show;
mod standing;
mod step;
mod what_if;

pub use bounds::Bounds;
pub use check::{Breach, BreachKind, Breaches, CheckedRoll, Figures, Span, check};
pub use cluster::{
    Amounts, Cluster, Costs, Host, HostState, Migration, Mobility, NonMigratable, PatchTime, Pin,
    Vm,
};
pub use fault::{Fault, FaultKind, Faults};
pub use infeasible::{Certificate, Infeasible, NeverTakes, Relaxation, WhyNever};
pub use limits::{Ha, Limits, RollWindow};
pub use planner::{Answer, NotFound, Objective, PlannedRoll, Wish, plan};
pub use rule::{Level, Rule};
#[cfg(feature = "sqlite")]
pub(crate) use show::units::mib;
pub use show::{PlanStep, RollPlan};
pub use step::{Action, HostLeftOut, How, Reason, Roll, Step, WhyNotRolled};
pub use what_if::WhatIf;
