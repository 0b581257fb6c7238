//! The simulated estate.

pub mod clock;

pub use clock::VirtualClock;
