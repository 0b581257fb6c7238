//! The jobs that change a machine with apt: constant scripts and validated, quoted values.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use patchcore::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::package::{Architecture, PackageName};
use crate::{
    job::{JobId, JobSpec},
    transport::shell_text,
    vercmp::deb::DebVersion,
};

shell_text!(PROLOGUE, "jobs/prologue.sh");
shell_text!(EXACT, "jobs/exact.sh");
shell_text!(STAGE, "jobs/stage.sh");
shell_text!(APPLY, "jobs/apply.sh");
shell_text!(ROLL_BACK, "jobs/roll_back.sh");
shell_text!(REPAIR, "jobs/repair.sh");
shell_text!(REFRESH, "jobs/refresh.sh");
shell_text!(DISCARD, "jobs/discard.sh");
shell_text!(REBOOT, "jobs/reboot.sh");

/// One approved change of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The package.
    pub name: PackageName,
    /// The architecture of the version to come.
    pub arch: Architecture,
    /// The version that was there when it was approved; absent for a new dependency.
    pub from: Option<DebVersion>,
    /// The approved version.
    pub to: DebVersion,
    /// The SHA-256 of the approved file in lower-case hex, where it is pinned.
    pub sha256: Option<String>,
}

/// A version to go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Old {
    /// The package.
    pub name: PackageName,
    /// Its architecture.
    pub arch: Architecture,
    /// The version that was recorded before the change; absent for a package that the change brought and
    /// that goes again.
    pub version: Option<DebVersion>,
}

/// What a roll back needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollBack {
    /// The versions to go back to.
    pub packages: Vec<Old>,
    /// The stage job that kept the old packages.
    pub armed_by: JobId,
}

/// The jobs of apt on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apt {
    state: String,
    lock_wait: Duration,
}

impl Apt {
    /// An ordinary installation: state in `/var/lib/patchcore`, ten minutes of patience for a lock.
    ///
    /// Ten minutes is longer than an unattended upgrade of a usual month takes, and short enough to
    /// be told within a window that somebody sits on the lock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: "/var/lib/patchcore".to_owned(),
            lock_wait: Duration::from_secs(600),
        }
    }

    /// Another folder for the old packages and the stamp of the last refresh.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything but an absolute path of letters, digits and `._/-`:
    /// apt takes files as words.
    pub fn with_state(mut self, folder: &str) -> Result<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._/-".contains(&b);
        if !folder.starts_with('/') || folder.ends_with('/') || !folder.bytes().all(plain) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the folder of patchcore's state is malformed",
            )
            .expected("an absolute path of letters, digits and ._/- such as /var/lib/patchcore")
            .found(format!("{folder:?}")));
        }
        folder.clone_into(&mut self.state);
        Ok(self)
    }

    /// How long a job waits for another process to give the lock of dpkg back.
    #[must_use]
    pub fn with_lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// Downloads the approved versions and keeps the present ones for the way back.
    ///
    /// Its log has a line `armed` or `not_armed` for every present version ([`Marked`](crate::pm::classify::Marked)).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty set, a package twice, or a pin that is no digest.
    pub fn stage(&self, id: &JobId, changes: &[Change]) -> Result<JobSpec> {
        Ok(self.exact(id, &approved(changes)?, id)?.text(&STAGE))
    }

    /// Installs the approved versions, new dependencies among them included, and nothing else.
    ///
    /// # Errors
    /// As [`Apt::stage`].
    pub fn apply(&self, id: &JobId, changes: &[Change]) -> Result<JobSpec> {
        Ok(self.exact(id, &approved(changes)?, id)?.text(&APPLY))
    }

    /// Goes back to recorded versions, from the files kept by a stage job where they are there.
    ///
    /// Packages that have no earlier version go, and nothing else does. Configuration files and data are not taken back.
    ///
    /// # Errors
    /// As [`Apt::stage`].
    pub fn roll_back(&self, id: &JobId, to: &RollBack) -> Result<JobSpec> {
        let lines = to.packages.iter().map(|old| Entry {
            name: &old.name,
            arch: &old.arch,
            from: "*",
            to: old.version.as_ref().map_or("-", DebVersion::as_str),
            sha256: None,
        });
        Ok(self
            .exact(id, &lines_of(lines)?, &to.armed_by)?
            .text(&ROLL_BACK))
    }

    /// Finishes what an interrupted or failed run of dpkg left; may be done twice.
    ///
    /// # Errors
    /// None for a well-formed id.
    pub fn repair(&self, id: &JobId) -> Result<JobSpec> {
        Ok(self.prologue(id)?.text(&REPAIR).healing())
    }

    /// Brings the package lists up to date.
    ///
    /// # Errors
    /// None for a well-formed id.
    pub fn refresh(&self, id: &JobId) -> Result<JobSpec> {
        Ok(self.prologue(id)?.set("STATE", &self.state)?.text(&REFRESH))
    }

    /// Removes the old packages that a stage job kept.
    ///
    /// # Errors
    /// None for a well-formed id.
    pub fn discard(&self, id: &JobId, armed_by: &JobId) -> Result<JobSpec> {
        Ok(self
            .prologue(id)?
            .set("ROLLBACK", &self.kept_by(armed_by))?
            .text(&DISCARD)
            .healing())
    }

    /// Restarts the machine two seconds after the job's end; a new boot id is the proof.
    ///
    /// # Errors
    /// None for a well-formed id.
    pub fn reboot(&self, id: &JobId) -> Result<JobSpec> {
        Ok(self.prologue(id)?.text(&REBOOT).healing())
    }

    /// The folder of the old packages that a stage job kept.
    #[must_use]
    pub fn kept_by(&self, stage: &JobId) -> String {
        format!("{}/rollback/{stage}", self.state)
    }

    fn prologue(&self, id: &JobId) -> Result<JobSpec> {
        let spec = JobSpec::new().set("OP", id.as_str())?;
        Ok(spec
            .set("LOCK_WAIT", &self.lock_wait.as_secs().to_string())?
            .text(&PROLOGUE))
    }

    fn exact(&self, id: &JobId, approved: &str, armed_by: &JobId) -> Result<JobSpec> {
        let spec = self.prologue(id)?.set("APPROVED", approved)?;
        Ok(spec.set("ROLLBACK", &self.kept_by(armed_by))?.text(&EXACT))
    }
}

impl Default for Apt {
    fn default() -> Self {
        Self::new()
    }
}

struct Entry<'a> {
    name: &'a PackageName,
    arch: &'a Architecture,
    from: &'a str,
    to: &'a str,
    sha256: Option<&'a str>,
}

fn approved(changes: &[Change]) -> Result<String> {
    lines_of(changes.iter().map(|change| Entry {
        name: &change.name,
        arch: &change.arch,
        from: change.from.as_ref().map_or("-", DebVersion::as_str),
        to: change.to.as_str(),
        sha256: change.sha256.as_deref(),
    }))
}

/// The lines `NAME ARCH FROM TO SHA256` of the scripts. No part can hold a space: each has its grammar.
fn lines_of<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Result<String> {
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    let mut mistakes = Vec::new();
    for entry in entries {
        let Entry {
            name,
            arch,
            from,
            to,
            sha256,
        } = entry;
        if !seen.insert((name, arch)) {
            mistakes.push(format!("{name}:{arch} is named twice"));
        }
        if let Some(pin) = sha256
            && !(pin.len() == 64
                && pin
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
        {
            mistakes.push(format!(
                "the pin of {name}:{arch} is no SHA-256 in lower-case hex: {pin:?}"
            ));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = write!(text, "{name} {arch} {from} {to} {}", sha256.unwrap_or("-"));
    }
    if seen.is_empty() {
        mistakes.push("no package is named".to_owned());
    }
    if mistakes.is_empty() {
        return Ok(text);
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("the set of packages is malformed: {}", mistakes.join("; ")),
    )
    .consequence("nothing was sent to the machine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, sha256: Option<&str>) -> Change {
        Change {
            name: PackageName::parse(name).unwrap(),
            arch: Architecture::parse("amd64").unwrap(),
            from: None,
            to: DebVersion::parse("1:1.1-1~x").unwrap(),
            sha256: sha256.map(str::to_owned),
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let apt = Apt::new();
        let id = JobId::parse("op-1").unwrap();
        let spec = apt
            .apply(
                &id,
                &[change("a1", None), change("b2", Some(&"a".repeat(64)))],
            )
            .unwrap();
        assert!(
            spec.as_str()
                .contains("APPROVED='a1 amd64 - 1:1.1-1~x -\nb2 amd64 - 1:1.1-1~x aaaa")
        );
        let error = apt
            .stage(&id, &[change("a1", Some("xyz")), change("a1", None)])
            .unwrap_err();
        assert!(
            error.message().contains("a1:amd64 is named twice")
                && error.message().contains("no SHA-256"),
            "{error}"
        );
        assert!(
            apt.apply(&id, &[])
                .unwrap_err()
                .message()
                .contains("no package is named")
        );
        for bad in ["lib", "/a b", "/a;b", "/a/", ""] {
            assert!(Apt::new().with_state(bad).is_err(), "{bad}");
        }
    }
}
