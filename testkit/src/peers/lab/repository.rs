//! The packages that all guests of a lab are offered.

use crate::peers::debian_root::Guest;

/// The repository of a lab, served by http to all of its guests. They learn of a change by `apt-get update`.
#[derive(Debug, Clone, Copy)]
pub struct Repository<'a> {
    guest: &'a Guest,
}

/// What a broken repository answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    /// Nothing: connections are refused.
    Refused,
    /// 404 to everything.
    NotFound,
    /// 200 and noise to everything.
    Garbage,
    /// An index that does not fit its signature.
    WrongSignature,
}

const SERVE: &str = include_str!("scripts/serve.py");
/// Where the server looks what it shall do wrong.
const FAULT: &str = "/run/patchcore-repository.fault";

impl<'a> Repository<'a> {
    pub(super) const fn of(guest: &'a Guest) -> Self {
        Self { guest }
    }

    /// The machine that serves it, at 10.77.0.1.
    #[must_use]
    pub const fn guest(&self) -> &'a Guest {
        self.guest
    }

    /// Offers a version of a package in `pc-security`; see
    /// [`debian_root::Repository::publish`](crate::peers::debian_root::Repository::publish).
    #[track_caller]
    pub fn publish(&self, name: &str, version: &str) {
        self.guest.repository().publish(name, version);
    }

    /// Stops offering a version of a package, in both suites.
    #[track_caller]
    pub fn withdraw(&self, name: &str, version: &str) {
        self.guest.repository().withdraw(name, version);
    }

    /// Offers other content under the same version; see
    /// [`debian_root::Repository::replace`](crate::peers::debian_root::Repository::replace).
    #[track_caller]
    pub fn replace(&self, name: &str, version: &str) {
        self.guest.repository().replace(name, version);
    }

    /// From now on it answers wrongly, until [`mend`](Self::mend).
    #[track_caller]
    pub fn break_by(&self, breakage: Breakage) {
        let word = match breakage {
            Breakage::Refused => {
                self.guest.run(["pkill", "-KILL", "python3"]).ok();
                return;
            }
            Breakage::NotFound => "not-found",
            Breakage::Garbage => "garbage",
            Breakage::WrongSignature => "wrong-signature",
        };
        self.guest.put(FAULT, word);
    }

    /// It answers as it should again.
    #[track_caller]
    pub fn mend(&self) {
        self.guest.run(["rm", "-f", FAULT]).ok();
        self.serve();
    }

    /// Starts the server, unless it runs.
    #[track_caller]
    pub(super) fn serve(&self) {
        self.guest
            .script(include_str!("scripts/serve.sh"), [SERVE])
            .ok();
    }
}
