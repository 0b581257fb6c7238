#![doc = include_str!("../README.md")]

pub mod classify;
pub mod job;
pub mod pm;
pub mod transport;
pub mod vercmp;
