//! Machines, and what is asked of them.

mod fleet;
mod machine;

pub(crate) use self::{
    fleet::Fleet,
    machine::{JobLook, Look, Machine},
};
