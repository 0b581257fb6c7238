//! The kernel of a cluster's roll: which machine moves now, which host goes into maintenance mode and comes back, and
//! what is given back.
//!
//! A roll runs only as its checker proved it: what begins is a step whose needs are over. Whatever is not as expected
//! (a move that fails, a machine that somebody else moved, a host that does not return) stops everything new; what is in
//! flight is waited for, the cluster is read again, and a new roll of what is left is planned and checked. A host is
//! patched by the kernel of its component, which is let in when the host is in maintenance mode and read back as empty.

mod away;
mod decide;
mod event;
mod model;
mod moved;
mod next;
mod state;

pub use decide::{RollInput, decide, named};
pub use event::{RollEvent, Task};
pub use model::replan;
pub use moved::MovedVm;
pub use next::{RollEffect, RollMoment};
pub use state::{RollPhase, RollState, RollWaived, step_of};
