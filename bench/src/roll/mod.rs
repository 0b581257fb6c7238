//! What the roll planner makes, beside models of other tools and beside what no roll can beat.

pub(crate) mod syn;
pub(crate) mod twister;
