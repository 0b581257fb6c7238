//! A throw-away Debian of the tests' own making, with real apt and dpkg.
//!
//! [`DebianRoot::base`] builds a small Debian 12 tree once and keeps it under the cargo target
//! directory. [`Base::guest`] starts a machine on a copy of it in a few tens of milliseconds: own
//! processes, mounts, host name, network, boot id and machine id; disk in memory. Nothing outlives
//! the test process, even when that is killed: a guest runs only while a pipe to it stays open.
//!
//! ```no_run
//! // no_run: needs root and builds a Debian tree the first time.
//! use patchcore_testkit::peers::{debian_root::DebianRoot, need};
//!
//! let Some(base) = need(DebianRoot::base()) else { return };
//! let guest = base.guest();
//! guest.run(["apt-get", "-y", "install", "pc-hello"]).ok();
//! assert_eq!(guest.versions(["pc-hello"])["pc-hello"], "1.1-1");
//! ```
//!
//! # What is in a guest
//! A signed repository at `/srv/patchcore/repo` with two suites: `pc` (1.0-1 of everything, and all
//! of it installed) and `pc-security`, which apt prints as `PatchCore-Security:12/pc-security`.
//!
//! | package | in `pc-security` | what it is for |
//! |---|---|---|
//! | `pc-hello` | 1.1-1 | nothing happens |
//! | `pc-conf` | 1.1-1 | its conffile `/etc/pc-conf/pc-conf.conf` differs between versions |
//! | `pc-badpost` | 1.1-1 | its postinst fails until `/etc/pc-badpost.ok` exists |
//! | `pc-kernel` | 1.1-1 | writes `/run/reboot-required` and `.pkgs` |
//! | `pc-slow` | 1.1-1 | its postinst takes the seconds in `/etc/pc-slow.seconds`, else 8; `/run/pc-slow.running` exists meanwhile |
//! | `pc-held` | 1.1-1 | is on hold |
//! | `pc-phased` | 1.1-1 | is phased to 0 % of machines; apt follows that only with a machine id |
//! | `pc-removed` | 1.1-1 | newly depends on `pc-newdep`, so `upgrade` keeps it back and `dist-upgrade` does not |
//! | `libpc1` | 1.1-1 | is mapped by `/usr/sbin/pc-daemon`, so a patched one leaves a deleted mapping |
//! | `pc-daemon` | | runs until killed; only systemd starts it by itself, as `pc-daemon.service` |
//! | `pc-conflict` | by [`Repository::publish`] | every version above 1.0-1 removes `pc-victim` |
//! | `pc-victim` | | see `pc-conflict` |
//!
//! Users: `root`; `op` (may use `sudo` without a password), `nosudo` (may not), `pwsudo` (with the password
//! `patchcore`); and Debian's own such as `nobody`.
//!
//! `reboot`, `shutdown`, `poweroff` and `halt` are scripts of our own: they ask every process to end, give them five
//! seconds as System V's init did, and the guest starts again on its disk with a new boot id, or stays off. The
//! [faults](Guest#impl-Guest-1) bring a guest into trouble.
//!
//! A [lab](super::lab) makes a fleet of such guests, with a network, SSH servers, and systemd where that is wanted.
//!
//! # What it does not show
//! All guests share this machine's kernel and clock, so there is no kernel upgrade and no `uptime`
//! of their own; there is no `/sys`, and outside a lab no systemd and no network beyond the loopback. A power cut
//! kills every process at once, but loses no written page.

mod base;
mod child;
mod faults;
mod guest;
mod history;
mod holder;
mod machine;
mod repository;

pub use base::{Base, DebianRoot};
pub(super) use base::{is_built, on_path, target_directory};
pub use child::{Child, Output};
pub use guest::Guest;
pub(super) use guest::as_user;
pub(super) use guest::broken;
pub use history::{PackageChange, Transaction};
pub(super) use holder::path;
pub(super) use machine::{Init, Machine, Plug};
pub use repository::Repository;
