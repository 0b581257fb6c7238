//! The pure kernels: what happens next, derived from what has happened.
//!
//! `decide` turns an input into events, `evolve` records events, `effect` says what must be in flight now.
//! Events carry the decision already taken, so `evolve` never depends on today's logic, and what must be in
//! flight is derived from the state, never remembered: resuming after a crash is deriving it again.

mod advance;
mod budget;
mod component;
mod decide;
mod event;
mod floors;
mod index;
mod phase;
mod roll;
mod rolls;
mod run;
mod small;
mod steer;
mod stop;
#[cfg(feature = "sqlite")]
mod upcast;

pub use advance::{Moment, advance};
pub use component::{ComponentState, Effect, Fight, Lock, OpState, Owed, Stall, Waived};
pub use decide::{Input, OpResult, decide};
pub use event::{ComponentEvent, Event, Forced, RunEvent};
pub use index::Index;
pub use phase::{End, Phase, RunVerdict, Step};
pub use roll::{
    MovedVm, RollEffect, RollEvent, RollInput, RollMoment, RollPhase, RollState, RollWaived, Task,
    decide as decide_roll, named as task_words, replan, step_of as step_of_task,
};
#[cfg(feature = "sqlite")]
pub(crate) use run::before;
pub use run::{Components, Decision, PausePoint, RingPhase, RunState, RunStatus, Wait};
pub use small::{AtFirst, Generations, Reached, Seldom};
pub use steer::{Command, Resolution, Steered, steer};
#[cfg(feature = "sqlite")]
pub(crate) use upcast::{Read, read, stored};
