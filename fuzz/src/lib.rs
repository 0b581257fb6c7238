//! What must hold for every parser of what comes from outside.
//!
//! A [`Target`] is one parser with what must hold for all inputs: it answers or refuses, never panics; what it
//! answers is no bigger than its input allows; what is written down again is read alike; a refusal says what to do.
//! The engine beside this crate tries inputs by coverage (`cargo xtask fuzz`); the test `replay` tries the seeds, and
//! every input that was ever a finding, at every commit.
//!
//! To add one: a function here, a line in [`TARGETS`], and a folder `seeds/NAME` with an input `good-…` that is taken.

#![expect(
    clippy::panic,
    reason = "a panic is how a target tells the engine and the tests that something does not hold"
)]

mod apt;
mod fleet;
mod job;
mod log;
mod policy;
mod rules;
mod stored;
mod version;
mod vsphere;

/// One parser and what must hold for it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its folder of seeds.
    pub name: &'static str,
    /// Panics where something does not hold; says whether the input was taken.
    pub check: fn(&[u8]) -> bool,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("scan", apt::scan),
    target("wanted", apt::wanted),
    target("job_status", job::status),
    target("envelope", job::envelope),
    target("version", version::order),
    target("log", log::classify),
    target("policy", policy::policy),
    target("inventory", fleet::inventory),
    target("known_hosts", fleet::known_hosts),
    target("selector", policy::selector),
    target("stored", stored::stored),
    target("soap", vsphere::soap),
    target("vlcm", vsphere::vlcm),
];

const fn target(name: &'static str, check: fn(&[u8]) -> bool) -> Target {
    Target { name, check }
}
