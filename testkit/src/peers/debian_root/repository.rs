//! The packages that a guest is offered.

use super::Guest;

/// A guest's own repository. The guest learns of a change by `apt-get update`, as anywhere.
#[derive(Debug, Clone, Copy)]
pub struct Repository<'a> {
    guest: &'a Guest,
}

impl<'a> Repository<'a> {
    pub(super) const fn of(guest: &'a Guest) -> Self {
        Self { guest }
    }

    /// Offers a version of a package in `pc-security`. It behaves as its name says, see the table
    /// of the [module](super), and any other name is a package that does nothing.
    ///
    /// # Panics
    /// When dpkg refuses the name or the version.
    #[track_caller]
    pub fn publish(&self, name: &str, version: &str) {
        self.guest
            .script(include_str!("scripts/publish.sh"), [name, version])
            .ok();
    }

    /// Offers other content under a version of a package that is offered in `pc-security` already, as a vendor should not
    /// do: its size and digest change, its number does not.
    ///
    /// # Panics
    /// When it was not offered.
    #[track_caller]
    pub fn replace(&self, name: &str, version: &str) {
        self.guest
            .script(include_str!("scripts/replace.sh"), [name, version])
            .ok();
    }

    /// Stops offering a version of a package, in both suites.
    ///
    /// # Panics
    /// When it was not offered.
    #[track_caller]
    pub fn withdraw(&self, name: &str, version: &str) {
        self.guest
            .script(include_str!("scripts/withdraw.sh"), [name, version])
            .ok();
    }
}
