//! Conformance suites for patchcore providers.
