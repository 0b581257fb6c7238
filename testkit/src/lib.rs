//! Conformance suites for patchcore providers, one per port.
//!
//! A provider's author writes a [`Fixture`] (an outside, eyes that look past the provider, and a hand that
//! meddles) and one line per port: [`conformance!`]. Each check is one `#[test]` whose name is what it demands.

mod bench;
mod check;
mod conformance;
mod drive;
mod fixture;
pub mod reference;

pub use check::{Check, NotConformant, Port, Verdict, run_as_test};
pub use conformance::checks;
pub use fixture::{BadChange, Fixture, Made, NoFixture, ProbeCase, Seen, Stock, Trouble};
