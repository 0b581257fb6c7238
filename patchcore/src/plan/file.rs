//! Plans in files, so that another person can approve them elsewhere.

use std::path::Path;

use super::Plan;
use crate::{error::Result, stored};

impl Plan {
    /// Writes the stored form to a file, whole or not at all.
    ///
    /// # Errors
    /// `NotFound` where there is no such folder, `DiskFull` or `Io` where it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        stored::save(path.as_ref(), &self.to_json()?, "plan")
    }

    /// Reads the stored form from a file.
    ///
    /// # Errors
    /// `NotFound` or `Io` where it cannot be read; otherwise as [`Plan::from_json`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = stored::load(path, "plan")?;
        Self::from_json(&text).map_err(|e| e.context("file", path.display().to_string()))
    }
}
