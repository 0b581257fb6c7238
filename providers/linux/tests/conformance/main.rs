//! The conformance suites, against real apt and dpkg in a throw-away Debian: entered from the side, and over ssh.

#![expect(
    clippy::unwrap_used,
    reason = "the functions around the tests are tests too"
)]

mod entered;
mod over_ssh;
mod throwaway;
