//! apt and dpkg: Debian, Ubuntu and their kin.

mod clocks;
mod dpkg;
mod facts;
mod impact;
mod line;
mod offers;
mod package;
pub(crate) mod reading;
mod scan;
mod section;
mod simulation;
mod spec;
mod wanted;

pub(crate) use clocks::Clocks;
pub use dpkg::{Installed, PackageKey, State, Unhealthy};
pub use facts::{Disk, Facts, Lists, LockHolder, OpenJobs, Reboot, Stale, Unattended};
pub use line::{Origin, Waits};
pub use package::{Architecture, PackageName};
pub use scan::{
    AptScan, Class, KeptBack, KeptBackReason, Pending, Removal, Upgrades, facts_script,
    scan_script, scan_script_about,
};
pub use spec::{Apt, Change, Old, RollBack};
pub(crate) use wanted::with_named;
pub use wanted::{Named, NamedScan, WantedScan, named_script, wanted_script};
