#![doc = include_str!("../README.md")]

mod silence;
mod trust;

pub use silence::Silence;
pub use trust::{Fingerprint, Trust, tls};
