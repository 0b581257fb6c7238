//! What several programs of `examples/` share and what is not the point of any of them.
//!
//! - [`arguments`] reads their command lines.
//! - [`demo`] shows `linux_fleet` on a fleet of its own making.
//! - [`instances`] reads clusters in the formats of others.
//! - [`lab`] enters the lab of throw-away machines.
//! - [`live`] shows a run on a terminal while it goes on.
//! - [`picture`] makes a picture of what a program wrote on a terminal.

pub mod arguments;
pub mod demo;
pub mod instances;
pub mod lab;
pub mod live;
pub mod output;
pub mod picture;
