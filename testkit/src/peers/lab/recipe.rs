//! What a lab is made of.

use std::collections::BTreeMap;

/// The guests of a lab. Their addresses follow from their order: the first has 10.77.0.11.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipe {
    /// The guests, in the order of their addresses; at most 200.
    pub guests: Vec<GuestRecipe>,
}

/// One guest of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestRecipe {
    /// Its host name, by which the lab and the inventory know it; unique.
    pub name: String,
    /// What runs in it.
    pub kind: Kind,
    /// Its labels in the inventory.
    pub labels: BTreeMap<String, String>,
}

/// What runs in a guest beside an SSH server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A few processes under a small init: up in a fraction of a second. Its `reboot` and `shutdown` are the lab's own.
    Bare,
    /// systemd, started by `systemd-nspawn`: services, units for jobs, and a `systemctl reboot` that is Debian's own.
    Systemd,
}

impl Recipe {
    /// No guests yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { guests: Vec::new() }
    }

    /// One more guest.
    #[must_use]
    pub fn with(mut self, guest: GuestRecipe) -> Self {
        self.guests.push(guest);
        self
    }

    /// Two rings to show a rollout on: two guests for tests and five for the broad ring, of web, application and
    /// database servers; one of each ring runs systemd, where this machine can start it.
    #[must_use]
    pub fn demo() -> Self {
        let guest = |name: &str, kind, ring: &str, tier: &str| {
            GuestRecipe::new(name, kind)
                .with_label("ring", ring)
                .with_label("tier", tier)
        };
        Self {
            guests: vec![
                guest("web-t1", Kind::Bare, "test", "web"),
                guest("db-t1", Kind::Systemd, "test", "db"),
                guest("web-1", Kind::Bare, "broad", "web"),
                guest("web-2", Kind::Bare, "broad", "web"),
                guest("app-1", Kind::Bare, "broad", "app"),
                guest("app-2", Kind::Bare, "broad", "app"),
                guest("db-1", Kind::Systemd, "broad", "db"),
            ],
        }
    }

    /// So many equal bare guests, called `host-01` and so on, a tenth of them (at least one) in the ring `test`.
    #[must_use]
    pub fn fleet(n_guests: usize) -> Self {
        let n_test = n_guests.div_ceil(10);
        let guest = |n: usize| {
            let ring = if n <= n_test { "test" } else { "broad" };
            GuestRecipe::new(format!("host-{n:02}"), Kind::Bare).with_label("ring", ring)
        };
        Self {
            guests: (1..=n_guests).map(guest).collect(),
        }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self::new()
    }
}

impl GuestRecipe {
    /// A guest without labels.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            labels: BTreeMap::new(),
        }
    }

    /// One more label.
    #[must_use]
    pub fn with_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }
}
