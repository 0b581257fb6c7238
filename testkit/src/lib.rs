//! Conformance suites for patchcore providers, and the test peers they are run against.

pub mod peers;
