#![doc = include_str!("../README.md")]

pub mod classify;
pub mod job;
pub mod pm;
pub mod transport;
pub mod vercmp;

mod client;
mod config;
mod deployer;
mod error;
mod impact;
mod inventory;
mod probe;
mod provider;
mod readiness;
mod reading;
mod result;
mod source;

pub use config::LocalConfig;
pub use provider::Linux;
