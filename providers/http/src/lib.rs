#![doc = include_str!("../README.md")]

mod client;
mod config;
mod probe;

pub use config::{HttpConfig, Redirects};
pub use probe::HttpProbe;
