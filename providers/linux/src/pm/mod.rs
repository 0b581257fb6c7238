//! Package managers, one folder each: scripts that ask and jobs that change, and pure readers of what
//! they answer.

pub mod apt;
pub mod classify;
