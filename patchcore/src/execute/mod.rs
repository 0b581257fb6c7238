//! From an approved plan to a patched estate: pure kernels, one place for effects, a durable journal.

pub mod kernel;
