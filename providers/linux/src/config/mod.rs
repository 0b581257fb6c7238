//! What a person says about the machine, or about the machines of a fleet.

mod inventory;
mod list;
mod machine;
mod vocabulary;

use std::{collections::BTreeMap, time::Duration};

use patchcore::{
    Result,
    id::{ComponentId, PersonId},
};

pub use inventory::{Host, Inventory, inventory_schema};

use crate::{job::Jobs, pm::apt::Apt};

/// What there is to say about the machine on which patchcore itself runs. Everything has a default.
///
/// It is read from a file, from variables such as `PATCHCORE_LINUX_NAME`, or from a map by
/// [`Settings`](patchcore::document::Settings); the words are `name`, `labels`, `owner`, `state` and `lock_wait`.
///
/// ```
/// use patchcore_linux::LocalConfig;
/// let config = LocalConfig::new().with_label("tier", "web").with_owner("dana");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalConfig {
    /// Its name in the estate. Default its host name.
    pub name: Option<ComponentId>,
    /// Labels that selectors read, beside `os`, `release` and `arch`, which the machine says itself.
    pub labels: BTreeMap<String, String>,
    /// Who is responsible for it.
    pub owner: Option<PersonId>,
    /// Where jobs are kept.
    pub jobs: Jobs,
    /// How apt is used.
    pub apt: Apt,
    /// Whether patchcore may restart it. Default yes; the machine that patchcore runs on is never restarted.
    pub reboot: bool,
    /// How long a restart may take until the machine counts as not coming back. Default 30 minutes: a large server
    /// checks its memory and its disks for up to twenty.
    pub restart_within: Duration,
}

impl LocalConfig {
    /// A machine that is known by its host name.
    #[must_use]
    pub fn new() -> Self {
        Self {
            name: None,
            labels: BTreeMap::new(),
            owner: None,
            jobs: Jobs::new(),
            apt: Apt::new(),
            reboot: true,
            restart_within: Duration::from_secs(30 * 60),
        }
    }

    /// Its name in the estate.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<ComponentId>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// One label. It stands before what the machine says itself.
    #[must_use]
    pub fn with_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Who is responsible for it.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<PersonId>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Another folder for jobs, old packages and stamps than `/var/lib/patchcore`.
    ///
    /// # Errors
    /// `InvalidInput` for anything but an absolute path of letters, digits and `._/-`.
    pub fn with_state(mut self, folder: &str) -> Result<Self> {
        self.apt = self.apt.with_state(folder)?;
        // The scan looks for the stamp of the last refresh beside the folder of jobs.
        self.jobs = Jobs::in_folders(&format!("{folder}/jobs"), None)?;
        Ok(self)
    }

    /// Patchcore does not restart it.
    #[must_use]
    pub fn without_reboot(mut self) -> Self {
        self.reboot = false;
        self
    }

    /// How long a restart may take until the machine counts as not coming back.
    #[must_use]
    pub fn with_restart_within(mut self, limit: Duration) -> Self {
        self.restart_within = limit;
        self
    }

    /// How long a job waits for another process to give the lock of dpkg back. Default ten minutes.
    #[must_use]
    pub fn with_lock_wait(mut self, wait: Duration) -> Self {
        self.apt = self.apt.with_lock_wait(wait);
        self
    }
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self::new()
    }
}
