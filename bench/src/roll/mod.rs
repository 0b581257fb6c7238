//! What the roll planner makes, beside models of other tools and beside what no roll can beat.

pub(crate) mod figures;
pub(crate) mod page;
pub(crate) mod peers;
pub(crate) mod public;
pub(crate) mod published;
pub(crate) mod rows;
mod sim;
mod slots;
pub(crate) mod small;
pub(crate) mod stages;
pub(crate) mod syn;
mod twister;
pub(crate) mod work;
