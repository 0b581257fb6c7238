//! One process at a time: the operating system's lock on a file beside the journal.
//!
//! The lock is the operating system's, so it ends with its holder, also by `kill -9` or a power cut;
//! what the file says is for people, and for those who ask who drives a run.
//!
//! Which file it is, the journal itself says: its owner's `lock` counts the forced takeovers, and each begins another
//! file, because the system's lock cannot be taken from a process that is stopped. Whoever opens the journal looks in
//! the transaction of its opening whether the file that it has locked still counts; so a file that counts no more may
//! be deleted at any time, and one that counts, or may come to count, never is: a process that waits on a deleted file
//! would hold a lock that nobody else sees.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cause::Place;
use crate::{
    error::{Error, ErrorKind, Result},
    id::RunId,
};

/// How often taking the lock is tried, 25 ms apart.
///
/// A reader that asks who holds the journal has a shared lock for some microseconds, which must not
/// turn an opener away.
const TRIES: u32 = 4;

/// How many lock files of before are looked for when the journal is opened. More are left over only where so many
/// takeovers in a row were cut short.
const SWEPT: u64 = 16;

/// What the file says is written over in place and padded to this, so that whoever reads it meanwhile never finds it
/// empty. A holder takes some 200 bytes.
const WIDTH: usize = 512;

/// Who holds a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// When that process started, where the system says: process numbers are used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_started: Option<Timestamp>,
    /// The machine it runs on.
    pub host: String,
    /// When it opened the journal.
    pub since: Timestamp,
    /// Which lock file it has: how often the journal was taken over from a process that still held it.
    #[serde(default, skip_serializing_if = "is_first")]
    pub lock: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_first(lock: &u64) -> bool {
    *lock == 0
}

impl Holder {
    /// This process, now, with that lock file.
    #[expect(
        clippy::disallowed_methods,
        reason = "who holds the lock since when is for people who look for the process; nothing is decided by it"
    )]
    pub(super) fn this_process(lock: u64) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .or_else(|| std::env::var("COMPUTERNAME").ok())
            .or_else(|| std::env::var("HOSTNAME").ok())
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "this host".to_owned());
        Self {
            pid: std::process::id(),
            process_started: process_started(),
            host,
            since: Timestamp::now(),
            lock,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "process {} on {} since {}",
            self.pid,
            self.host,
            self.since.strftime("%F %T UTC")
        )
    }
}

/// The start of this process from Linux' `/proc`, see proc(5): field 22 of `stat` counts hundredths
/// of a second (`USER_HZ`) from the boot time.
fn process_started() -> Option<Timestamp> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name stands in parentheses and may hold spaces, so fields count from its end.
    let ticks: i64 = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()?;
    let boot = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = boot
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Timestamp::from_second(boot + ticks / 100).ok()
}

/// What a lock file says while it is held.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Holding {
    /// By whom.
    #[serde(flatten)]
    pub(crate) holder: Holder,
    /// Which runs that process drives; unknown where an earlier version holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drives: Option<BTreeSet<RunId>>,
}

/// Tells in the lock file which runs its holder drives.
pub(super) struct Note {
    file: File,
    holder: Holder,
}

impl Note {
    /// Best effort: whoever reads it and finds it old waits for an answer in vain, and loses nothing else.
    pub(super) fn tell(&self, drives: &BTreeSet<RunId>) {
        if let Err(error) = write(&self.file, &self.holder, drives) {
            tracing::warn!(%error, "the lock file of the journal does not say what is driven");
        }
    }
}

/// The lock, held until it is dropped.
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of a journal, or says who has it.
    pub(super) fn take(journal: &Path, place: &Place, holder: &Holder) -> Result<Self> {
        let mut file = open(journal, holder.lock, true)
            .map_err(|error| place.io("open its lock file", error))?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(place.io("lock it", error)),
                Err(TryLockError::WouldBlock) => {}
            }
            tries += 1;
            if tries == TRIES {
                return Err(in_use(place, read(&mut file).as_ref(), holder));
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        write(&file, holder, &BTreeSet::new())
            .map_err(|error| place.io("write its lock file", error))?;
        Ok(Self { file })
    }

    /// To tell in the file what is driven. Must be dropped before the lock.
    pub(super) fn note(&self, place: &Place, holder: &Holder) -> Result<Note> {
        let file = self.file.try_clone();
        Ok(Note {
            file: file.map_err(|error| place.io("open its lock file", error))?,
            holder: holder.clone(),
        })
    }

    /// Who holds a lock file of a journal; `None` if nobody does.
    pub(super) fn holding(journal: &Path, lock: u64, place: &Place) -> Result<Option<Holding>> {
        let mut file = match open(journal, lock, false) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(place.io("open its lock file", error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::Error(error)) => Err(place.io("ask for its lock", error)),
            Err(TryLockError::WouldBlock) => match read(&mut file) {
                Some(holding) => Ok(Some(holding)),
                None => Err(place
                    .error(ErrorKind::Busy, "it is in use, and its lock file does not say by whom")
                    .hint("ask again: a process that opens it writes its name right after it has the lock")
                    .retryable(Some(Duration::from_secs(1)))),
            },
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Only a courtesy to people who read the file: a lock that nobody holds has no holder.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Removes the lock files that count no more; see the head of this file for why that is safe.
pub(super) fn sweep(journal: &Path, lock: u64) {
    for old in lock.saturating_sub(SWEPT)..lock {
        // It may be gone already. What cannot be removed does no harm.
        let _ = std::fs::remove_file(lock_path(journal, old));
    }
}

fn in_use(place: &Place, found: Option<&Holding>, me: &Holder) -> Error {
    let error = place
        .error(
            ErrorKind::JournalInUse,
            "it is in use, and one process at a time may carry out its runs",
        )
        .consequence("nothing was changed");
    match found.map(|holding| &holding.holder) {
        Some(holder) if holder.pid == me.pid && holder.host == me.host => error
            .found("it is already open in this process")
            .context("holder", holder.to_string())
            .hint("clone the handle that is open, or drop it before opening the journal again"),
        Some(holder) => error
            .found(holder.to_string())
            .context("holder", holder.to_string())
            .hint("read it and post commands without the lock (JournalReader), or end that process first; one that cannot be ended: Journal::take_over"),
        None => error
            .found("another process holds it")
            .hint("find the process that has the .lock file open, or read the journal without the lock"),
    }
}

fn open(journal: &Path, lock: u64, create: bool) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(create)
        .create(create)
        .truncate(false)
        .open(lock_path(journal, lock))
}

fn lock_path(journal: &Path, lock: u64) -> PathBuf {
    let mut name = OsString::from(journal);
    name.push(".lock");
    if lock > 0 {
        name.push(format!(".{lock}"));
    }
    name.into()
}

fn write(mut file: &File, holder: &Holder, drives: &BTreeSet<RunId>) -> std::io::Result<()> {
    let said = Holding {
        holder: holder.clone(),
        drives: Some(drives.clone()),
    };
    let text = serde_json::to_string(&said).unwrap_or_default();
    let text = format!("{text:<WIDTH$}");
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

fn read(file: &mut File) -> Option<Holding> {
    let mut text = String::new();
    file.rewind().ok()?;
    // The limit is a guard against a file that is not ours.
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}
