//! Conformance suites for patchcore providers, one per port, and the test peers they are run against.
//!
//! A provider's author writes a [`Fixture`] (an outside, eyes that look past the provider, and a hand that
//! meddles) and one line per port: [`conformance!`]. Each check is one `#[test]` whose name is what it
//! demands, and whose failure says what was seen and which fault it finds.
//!
//! - What a provider claims is checked; a claim without a check fails. What it does not claim must answer
//!   `Unsupported`.
//! - What an outside cannot make (a patch that fails, a lock) is said and not run. The more a fixture can
//!   make, the more is proven.
//! - What another fault hides is not called good: such a check fails too, and names the check to mend first.
//! - [`checks`] is the same as a table, for whoever runs them without the macro.
//!
//! [`mod@reference`] is a correct provider to read and to plant faults into.

mod bench;
mod check;
mod conformance;
mod drive;
pub mod evidence;
mod fixture;
pub mod peers;
pub mod reference;

pub use check::{Check, NotConformant, Port, Verdict, run_as_test};
pub use conformance::checks;
pub use fixture::{
    BadChange, ClusterStock, ClusterTruth, Fixture, Made, NoFixture, ProbeCase, Seen, Stock,
    Trouble,
};
