//! patchcore turns *what must be patched and by whose rule* into a plan that a person can read and approve, and
//! carries that plan out so that no crash, lie or surprise loses a workload.
//!
//! A whole roll-out, on an estate that is simulated in virtual time:
//!
//! ```
//! # use patchcore::{Estate, Journal, Policy, estate::{Patch, PatchClass}, sim::Sim};
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sim = Sim::starting("2026-12-07T14:00:00Z".parse()?, 7)
//!     .guests(["web-1", "web-2"], |guest| guest.package("nginx", "1.22.1-9"))
//!     .publish(Patch::new("nginx", None, "1.22.1-10", PatchClass::Security));
//! let estate = Estate::named("lab").with(sim.provider()).with_clock(sim.shared_clock());
//! let policy = Policy::from_toml("approval.from = ['maria']\nwindow = [{ name = 'w', when = 'any time' }]", "policy.toml")?;
//! let journal = Journal::in_memory()?;
//!
//! let plan = estate.plan(&policy).requested_by("sam").await?; // reads and decides; changes nothing
//! let approval = estate.approval(&plan, "maria")?;
//! let run = estate.run(estate.approve(plan, [approval])?, &journal).await?;
//! run.finished().await?;
//! assert_eq!(run.report().await?.exit_status(), 0);
//! assert_eq!(sim.version("web-2", "nginx"), Some("1.22.1-10".into()));
//! # Ok(())
//! # }
//! ```
//!
//! # A tour
//!
//! Data flows one way, and the modules stand in its order; each uses those before it, never those after.
//!
//! - **The ground**: [`error`] (one type, which says what was expected, what was found and what to do), [`id`],
//!   [`secret`], [`digest`], [`document`] (files that people write), and [`clock`], through which all time comes in.
//! - **The shared nouns**: [`estate`] (what is there), [`policy`] (by whose rule), [`provider`] (what an outside
//!   system is asked and told).
//! - **Deciding**, which is pure: [`discover`] merges what providers saw, [`plan`] makes the plan, [`approve`] counts
//!   who agreed to it, [`judge`] says what observation means.
//! - **Doing**: [`execute`] carries an approved plan out, one journaled operation at a time, and [`report`] says what
//!   was observed.
//! - **Trying**: [`sim`] is a whole estate in memory, with faults where you want them.
//!
//! An embedder begins with [`Estate`], [`Policy`] and [`Journal`], reads a [`Plan`], and holds a [`Run`].
//! Who brings a tool of their own begins with [`provider::SimpleProvider`].
//!
//! # Features
//!
//! `sqlite` (default) is the embedded driver with its journal: [`Estate`], [`Run`], [`Journal`], [`Report`].
//! `sim` (default) is the simulated estate.
//! Without both, what is left decides and needs no runtime, no database and no network; provider crates build on that.

// The order of these groups is the order of reading: a module uses those before it, never those after.
pub mod clock;
pub mod digest;
pub mod document;
pub mod error;
pub mod id;
#[cfg(not(feature = "crash"))]
mod mutant;
#[cfg(feature = "crash")]
#[doc(hidden)]
pub mod mutant;
pub mod secret;
mod stored;

// The shared nouns.
pub mod estate;
pub mod policy;
pub mod provider;

// discover → plan → approve → judge → execute → report.
pub mod discover;
// Decides what is to be done.
pub mod plan;
// Counts who agreed to it.
pub mod approve;
// Says what observation means.
pub mod judge;
// Carries it out.
pub mod execute;
// Says what was observed.
#[cfg(feature = "sqlite")]
pub mod report;

#[cfg(feature = "sim")]
pub mod sim;

// What an embedder holds.
#[cfg(feature = "sqlite")]
mod front;

#[cfg(feature = "sqlite")]
pub use clock::SystemClock;
pub use error::{Error, ErrorKind, Failure, Result, Retry};
#[cfg(feature = "sqlite")]
pub use execute::{Standing, journal::Journal};
#[cfg(feature = "sqlite")]
pub use front::{Answer, ClusterRoll, Estate, Operator, PlanRequest, Run, RunView, Said, operate};
pub use jiff::Timestamp;
pub use plan::Plan;
pub use policy::Policy;
#[cfg(feature = "sqlite")]
pub use report::Report;
pub use secret::Secret;
