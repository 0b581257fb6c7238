//! What is sent: the ids, the content of a job, and the scripts that start, ask and cancel it.

use std::{fmt, sync::Arc, time::Duration};

use patchcore::{Error, ErrorKind, Result, Timestamp, id::OpKey, provider::Claim};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::transport::{Script, quote, shell_text};

/// How long a machine remembers a job at least. Longer than any window, approval or soak that a run waits for
/// between two steps on one machine.
pub const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

shell_text!(LIB, "lib.sh");
shell_text!(START, "start.sh");
shell_text!(FORGET, "forget.sh");
shell_text!(RUNNER, "lock.sh", "runner.sh");
shell_text!(LOCK, "lock.sh");
shell_text!(TAKE, "take.sh");
shell_text!(LOOK, "look.sh");
shell_text!(GIVE_BACK, "give_back.sh");
shell_text!(POLL, "poll.sh");
shell_text!(CANCEL, "cancel.sh");

/// The name of a job on its machine: 4 to 64 of `a-z 0-9 -`, first not `-`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(Arc<str>);

impl JobId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it breaks the grammar: it becomes a folder and a unit name.
    pub fn parse(text: &str) -> Result<Self> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if (4..=64).contains(&text.len())
            && text.bytes().all(|b| plain(b) || b == b'-')
            && text.bytes().next().is_some_and(plain)
        {
            return Ok(Self(text.into()));
        }
        Err(Error::new(ErrorKind::InvalidInput, "a job id is malformed")
            .expected("4 to 64 of a-z, 0-9 and -, the first not -")
            .found(format!("{text:?}")))
    }

    /// The id of an operation: the same key always gives the same job, two keys never share one.
    #[must_use]
    pub fn of(key: &OpKey) -> Self {
        // 160 bits of the digest: beyond any collision, and short enough for a unit name.
        let digest = Sha256::digest(key.as_str().as_bytes());
        Self(format!("op-{}", hex(&digest[..20])).into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<String> for JobId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0.as_ref().into()
    }
}

/// What a job does: shell text made of quoted values and constant parts of this crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    text: String,
    heals: bool,
}

impl JobSpec {
    /// An empty spec.
    #[must_use]
    pub fn new() -> Self {
        Self {
            text: String::new(),
            heals: false,
        }
    }

    /// Marks work that mends a machine and may be done twice. It may use the second folder when the
    /// first is full or read-only; other work is refused there, because it would fail anyway and its
    /// record would not survive a restart.
    #[must_use]
    pub fn healing(mut self) -> Self {
        self.heals = true;
        self
    }

    /// Sets a shell variable to a value, whatever characters it has.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a value with a NUL byte.
    pub fn set(mut self, name: &'static str, value: &str) -> Result<Self> {
        self.text.push_str(name);
        self.text.push('=');
        self.text
            .push_str(&quote(value).map_err(|e| e.context("variable", name))?);
        self.text.push('\n');
        Ok(self)
    }

    /// Adds constant text of this crate.
    #[must_use]
    pub fn text(mut self, text: &'static str) -> Self {
        self.text.push_str(text);
        if !text.ends_with('\n') {
            self.text.push('\n');
        }
        self
    }

    /// The SHA-256 of the spec in hex: one job id is bound to one digest.
    #[must_use]
    pub fn digest(&self) -> String {
        let stored = format!("{}\n", self.stored());
        hex(&Sha256::digest(stored.as_bytes()))
    }

    /// The text without its last line feed, which the machine adds when it stores it.
    fn stored(&self) -> &str {
        self.text.strip_suffix('\n').unwrap_or(&self.text)
    }

    /// The whole shell text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Default for JobSpec {
    fn default() -> Self {
        Self::new()
    }
}

/// A job: its id and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The id; starting the same id again never runs it again.
    pub id: JobId,
    /// The content; another content under the same id is a conflict.
    pub spec: JobSpec,
}

/// How long and from where a job is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// The first byte of the log that is wanted; none for its end.
    pub offset: Option<u64>,
    /// The most bytes of the log that are wanted.
    pub most: u32,
    /// The log of a job that is over comes whole where it is no longer than this, whatever part is wanted otherwise.
    pub whole: u32,
    /// How long the machine may wait for the end before it answers, at most ten minutes.
    pub wait: Duration,
}

impl Default for Poll {
    /// From the start of the log, 64 KiB of it, without waiting.
    fn default() -> Self {
        Self {
            offset: Some(0),
            most: 64 << 10,
            whole: 0,
            wait: Duration::ZERO,
        }
    }
}

/// Where a machine keeps its jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jobs {
    base: String,
    fallback: Option<String>,
    fence: u64,
}

impl Jobs {
    /// The folders of an ordinary installation: `/var/lib/patchcore/jobs`, and `/run/patchcore/jobs`
    /// for healing work while the first cannot be written.
    #[must_use]
    pub fn new() -> Self {
        Self {
            base: "/var/lib/patchcore/jobs".to_owned(),
            fallback: Some("/run/patchcore/jobs".to_owned()),
            fence: 0,
        }
    }

    /// Other folders, for an ordinary user or a test.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a folder that is not an absolute path below the root.
    pub fn in_folders(base: &str, fallback: Option<&str>) -> Result<Self> {
        for folder in [Some(base), fallback].into_iter().flatten() {
            if !folder.starts_with('/') || folder.ends_with('/') || folder.contains('\0') {
                return Err(
                    Error::new(ErrorKind::InvalidInput, "the folder of jobs is malformed")
                        .expected("an absolute path such as /var/lib/patchcore/jobs")
                        .found(format!("{folder:?}")),
                );
            }
        }
        Ok(Self {
            base: base.to_owned(),
            fallback: fallback.map(str::to_owned),
            fence: 0,
        })
    }

    /// The same, on behalf of whoever has this holding of the machine's lock: a start with another one than the last is
    /// refused. It is no part of a job's content.
    #[must_use]
    pub fn with_fence(mut self, fence: u64) -> Self {
        self.fence = fence;
        self
    }

    /// The first folder.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Starts a job, or finds the one that was started under this id. Jobs that are over for longer than
    /// [`MEMORY`] are removed then, except the last twenty, with the old packages that they kept.
    ///
    /// `now` is our time: the age of a job is that of our clocks, whatever the machine's own says.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a spec that no shell can hold.
    pub fn start(&self, job: &Job, now: Timestamp) -> Result<Script> {
        let poll = Poll {
            most: 0,
            ..Poll::default()
        };
        self.start_and_poll(job, now, poll)
    }

    /// The same, which then asks how the job stands as [`Jobs::poll`] does: a short one is over by then.
    ///
    /// # Errors
    /// As [`Jobs::start`].
    pub fn start_and_poll(&self, job: &Job, now: Timestamp, poll: Poll) -> Result<Script> {
        Ok(self
            .script(&job.id, poll, job.spec.heals)?
            .set("SHA", &job.spec.digest())?
            .set("SPEC", job.spec.stored())?
            .set("RUNNER", &RUNNER)?
            .set("NOW", &now.as_second().max(0).to_string())?
            .set("MEMORY", &MEMORY.as_secs().to_string())?
            .text(&LOCK)
            .text(&LIB)
            .text(&START)
            .text(&FORGET))
    }

    /// Asks how a job stands; works from a new process and after a restart of the machine.
    ///
    /// # Errors
    /// None for a well-formed id; the signature leaves room for what a folder may not hold.
    pub fn poll(&self, id: &JobId, poll: Poll) -> Result<Script> {
        Ok(self
            .script(id, poll, true)?
            .text(&LOCK)
            .text(&LIB)
            .text(&POLL))
    }

    /// Makes sure that a job never runs, if it has not begun; one that has begun goes on.
    ///
    /// # Errors
    /// As [`Jobs::poll`].
    pub fn cancel(&self, id: &JobId) -> Result<Script> {
        Ok(self
            .script(id, Poll::default(), true)?
            .text(&LIB)
            .text(&CANCEL))
    }

    /// The folder of the machine's lock, beside the first folder of jobs.
    fn locks(&self) -> String {
        let above = self.base.rsplit_once('/').map_or("", |(above, _)| above);
        format!("{above}/lock")
    }

    /// Takes the lock of the machine, or asks who has it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a claim that no shell can hold.
    pub(crate) fn take_lock(&self, id: &str, claim: &Claim) -> Result<Script> {
        // Words are separated by spaces where they are kept, and the holder stands last.
        let joined = |text: &str, with: &str| {
            let words: Vec<&str> = text.split_whitespace().collect();
            words.join(with)
        };
        Ok(self
            .lock_script(id)?
            .set("JOURNAL", &joined(&claim.journal, "_"))?
            .set("OPENING", &joined(&claim.opening, "_"))?
            .set("EPOCH", &claim.epoch.to_string())?
            .set("LEASE", &claim.lease.as_secs().max(1).to_string())?
            .set("HOLDER", &joined(&claim.holder, " "))?
            .text(&TAKE))
    }

    /// Gives the lock of the machine back.
    ///
    /// # Errors
    /// As [`Jobs::poll`].
    pub(crate) fn give_lock_back(&self, id: &str) -> Result<Script> {
        Ok(self.lock_script(id)?.text(&GIVE_BACK))
    }

    /// Asks who has the lock of the machine.
    ///
    /// # Errors
    /// As [`Jobs::poll`].
    pub(crate) fn look_at_lock(&self, id: &str) -> Result<Script> {
        Ok(self.lock_script(id)?.text(&LOOK))
    }

    fn lock_script(&self, id: &str) -> Result<Script> {
        Ok(Script::new(id)
            .set("locks", &self.locks())?
            .set("FENCE", &self.fence.to_string())?
            .text(&LOCK))
    }

    fn script(&self, id: &JobId, poll: Poll, fallback: bool) -> Result<Script> {
        Script::new(id.as_str())
            .set("OP", id.as_str())?
            .set("PC_BASE", &self.base)?
            .set("locks", &self.locks())?
            .set("FENCE", &self.fence.to_string())?
            .set(
                "PC_FALLBACK",
                self.fallback
                    .as_deref()
                    .filter(|_| fallback)
                    .unwrap_or_default(),
            )?
            .set(
                "OFF",
                &poll
                    .offset
                    .map_or_else(|| "end".to_owned(), |o| o.to_string()),
            )?
            .set("MAX", &poll.most.to_string())?
            .set("WHOLE", &poll.whole.to_string())?
            .set("WAIT", &poll.wait.as_secs().min(600).to_string())
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self::new()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_safe_names() {
        for good in ["op-1", "abcd", "0-a-b"] {
            assert!(JobId::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "abc",
            "-abc",
            "Abcd",
            "a/../b",
            "ab cd",
            "abcd\n",
            &"a".repeat(65),
        ] {
            assert!(JobId::parse(bad).is_err(), "{bad}");
        }
        let id = JobId::of(&OpKey::from("run 7/web-1/apply/1"));
        assert_eq!(JobId::parse(id.as_str()).unwrap(), id);
        assert_ne!(id, JobId::of(&OpKey::from("run 7/web-1/apply/2")));
    }

    #[test]
    fn folders_are_absolute() {
        assert!(Jobs::in_folders("/tmp/jobs", None).is_ok());
        for bad in ["jobs", "", "/", "/x/"] {
            assert!(Jobs::in_folders(bad, None).is_err(), "{bad}");
            assert!(Jobs::in_folders("/x", Some(bad)).is_err(), "{bad}");
        }
    }
}
