//! The simulated estate: an in-memory world behind the real ports, in virtual time.
//!
//! A policy is tried on it before it touches a machine, and every example and test runs on it offline.
//! It behaves as an estate of Debian-like guests does: packages and their kept predecessors, a package
//! lock, half-configured packages, restarts with new boot ids, repositories that withdraw versions. Faults
//! are scripted ([`Script`]); durations are drawn from the seed, so the same calls give the same history.
//!
//! It is a simulation and says so: every verb is labelled [`OwnFake`](crate::provider::EvidenceLabel::OwnFake).
//!
//! ```
//! use patchcore::{
//!     estate::{Impact, Patch, PatchClass, RedundancyGroup, Role},
//!     sim::{Script, Sim},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sim = Sim::starting("2026-12-14T20:00:00Z".parse()?, 7)
//!     .guest("web-01", |g| g.label("tier", "web").address("10.0.0.11").package("nginx", "1.22.1-9"))
//!     .guests(["dns-1", "dns-2"], |g| g.label("tier", "dns").package("bind9", "9.18.28-1"))
//!     .group(RedundancyGroup::all_but_one("dns", Role::Dns, ["dns-1", "dns-2"]))
//!     .publish(
//!         Patch::new("nginx", None, "1.22.1-10", PatchClass::Security)
//!             .with_impact(Impact::ServiceRestart)
//!             .with_advisory("CVE-2026-1111"),
//!     )
//!     .script(Script::postinst_fails("nginx", "1.22.1-10").on("web-01"));
//!
//! let provider = sim.provider(); // joins an estate like any other provider
//! assert_eq!(sim.version("web-01", "nginx"), Some("1.22.1-9".into()));
//! # let _ = provider;
//! # Ok(())
//! # }
//! ```

mod bracket;
mod brackets;
mod build;
mod catalogue;
mod chance;
pub mod clock;
mod cluster;
mod deployer;
mod drain_job;
mod drainer;
mod effect;
mod guest;
mod history;
mod inventory;
mod job;
mod lock;
mod power;
mod probe;
mod provider;
mod readiness;
mod scan;
mod script;
mod scripts;
mod world;

#[cfg(test)]
mod tests;

pub use bracket::{BracketChange, BracketEntry};
pub use brackets::SimBrackets;
pub use build::Sim;
pub use clock::VirtualClock;
pub use cluster::{ClusterChange, ClusterEntry, ClusterSpec};
pub use guest::GuestSpec;
pub use history::{Boot, Calls, History, Outage, OutageCause, Transaction};
pub use lock::{Arrival, Locks};
pub use provider::SimProvider;
pub use script::Script;
pub use world::World;
