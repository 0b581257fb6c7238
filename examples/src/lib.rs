//! What several programs of `examples/` share and what is not the point of any of them.
//!
//! - [`live`] shows a run on a terminal while it goes on.
//! - [`picture`] makes a picture of what a program wrote on a terminal.

pub mod live;
pub mod picture;
