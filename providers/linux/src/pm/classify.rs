//! The one place where what a machine said becomes a kind of error.
//!
//! An exit status is only a hint, so that the lines of the log decide. Whether the change is in is
//! another question, and only a new scan answers it.

use patchcore::{Error, ErrorKind};

use crate::job::{JobId, JobStatus, Phase, Refusal, holding};

/// One rule: a line with all of these texts means this kind.
struct Rule {
    texts: &'static [&'static str],
    kind: ErrorKind,
    hint: &'static str,
}

impl Rule {
    fn is_met(&self, line: &str) -> bool {
        self.texts.iter().all(|text| line.contains(text))
    }
}

const fn rule(texts: &'static [&'static str], kind: ErrorKind, hint: &'static str) -> Rule {
    Rule { texts, kind, hint }
}

const RIGHTS: &str =
    "patching needs root on the machine: run as root, or allow it by sudo without a password";
const NO_SUDO: &str = "install sudo on the machine, or log in as root without it";
const ACCOUNT: &str = "renew the account or its password on the machine, or use another account";
const REPAIR: &str =
    "run a repair (dpkg --configure -a, apt-get --fix-broken install), then scan again";
const SPACE: &str = "free space on the machine, for example with apt-get clean, then try again";
const LOCK: &str = "wait for the other process or stop it, then try again";
const DRIFT: &str = "plan again and have the new plan approved";
const REPOSITORY: &str =
    "look at the repository and the machine's way to it, then refresh and try again";
const RIVAL: &str =
    "stop the older of the two orchestrators; patch a machine with one of them only";
const SCRIPT: &str = "read the job's log; roll back, or mend the package and repair";

/// In order: the first rule that any line of a log meets wins. The cause stands before what follows
/// from it: a full disk also makes dpkg fail, and a lost right also looks like a held lock.
const RULES: &[Rule] = &[
    rule(&["No space left on device"], ErrorKind::DiskFull, SPACE),
    rule(&["Disk quota exceeded"], ErrorKind::DiskFull, SPACE),
    rule(
        &["E: You don't have enough free space in"],
        ErrorKind::DiskFull,
        SPACE,
    ),
    rule(
        &["Read-only file system"],
        ErrorKind::Unhealthy,
        "the file system is mounted read-only: look at the disk first",
    ),
    rule(
        &["lock", "Permission denied"],
        ErrorKind::AuthzDenied,
        RIGHTS,
    ),
    rule(
        &["mkdir: cannot create directory", "Permission denied"],
        ErrorKind::AuthzDenied,
        RIGHTS,
    ),
    rule(&["are you root?"], ErrorKind::AuthzDenied, RIGHTS),
    rule(
        &["requested operation requires superuser privilege"],
        ErrorKind::AuthzDenied,
        RIGHTS,
    ),
    rule(
        &["sudo: a password is required"],
        ErrorKind::AuthzDenied,
        RIGHTS,
    ),
    rule(
        &["sudo: a terminal is required"],
        ErrorKind::AuthzDenied,
        RIGHTS,
    ),
    rule(&["sudo: no tty present"], ErrorKind::AuthzDenied, RIGHTS),
    rule(
        &["sudo: ", "you must have a tty"],
        ErrorKind::AuthzDenied,
        "take requiretty for this user out of the sudoers file",
    ),
    rule(
        &["is not in the sudoers file"],
        ErrorKind::AuthzDenied,
        RIGHTS,
    ),
    rule(
        &["Sorry, user", "is not allowed to execute"],
        ErrorKind::AuthzDenied,
        RIGHTS,
    ),
    rule(&["sudo: ", "not found"], ErrorKind::AuthzDenied, NO_SUDO),
    rule(
        &["env: ", "sudo", "No such file or directory"],
        ErrorKind::AuthzDenied,
        NO_SUDO,
    ),
    rule(
        &["sudo: ", "must be owned by uid 0"],
        ErrorKind::AuthzDenied,
        "sudo is installed without its setuid bit, or on a file system that ignores it",
    ),
    rule(
        &["sudo: ", "account validation failure"],
        ErrorKind::AuthzDenied,
        ACCOUNT,
    ),
    rule(
        &["account is currently not available"],
        ErrorKind::AuthzDenied,
        "the account has no login shell: give it one, or use another account",
    ),
    rule(
        &["exec: restricted"],
        ErrorKind::AuthzDenied,
        "the account has a restricted shell: give it another one, or use another account",
    ),
    rule(&["assword has expired"], ErrorKind::AuthzDenied, ACCOUNT),
    rule(
        &["required to change your password"],
        ErrorKind::AuthzDenied,
        ACCOUNT,
    ),
    rule(&["E: Could not get lock"], ErrorKind::Busy, LOCK),
    rule(
        &["E: Unable to acquire the dpkg frontend lock"],
        ErrorKind::Busy,
        LOCK,
    ),
    rule(&["E: Unable to lock"], ErrorKind::Busy, LOCK),
    rule(
        &["dpkg: error:", "locked by another process"],
        ErrorKind::Busy,
        LOCK,
    ),
    rule(&["E: dpkg was interrupted"], ErrorKind::Unhealthy, REPAIR),
    rule(&["E: Unmet dependencies"], ErrorKind::Unhealthy, REPAIR),
    rule(
        &["needs to be reinstalled, but I can't find an archive for it"],
        ErrorKind::Unhealthy,
        REPAIR,
    ),
    rule(
        &["dpkg: error: parsing file"],
        ErrorKind::Unhealthy,
        "dpkg's own database is damaged: restore it from /var/backups",
    ),
    rule(
        &["E: The package lists or status file could not be parsed"],
        ErrorKind::Unhealthy,
        "refresh the package lists",
    ),
    rule(
        &["spec_damaged"],
        ErrorKind::Unhealthy,
        "what the machine stored is not what was sent: look at its disk",
    ),
    rule(
        &["no_reboot_command"],
        ErrorKind::Unsupported,
        "the machine has neither systemctl, reboot nor shutdown: restart it from outside",
    ),
    rule(
        &["E: The repository", "is not signed"],
        ErrorKind::RepoError,
        REPOSITORY,
    ),
    rule(
        &["E: The repository", "does not have a Release file"],
        ErrorKind::RepoError,
        REPOSITORY,
    ),
    rule(&["NO_PUBKEY"], ErrorKind::RepoError, REPOSITORY),
    rule(&["Hash Sum mismatch"], ErrorKind::RepoError, REPOSITORY),
    rule(
        &["File has unexpected size"],
        ErrorKind::RepoError,
        REPOSITORY,
    ),
    rule(
        &["E: Release file for", "expired"],
        ErrorKind::RepoError,
        REPOSITORY,
    ),
    rule(
        &["E: Release file for", "is not valid yet"],
        ErrorKind::RepoError,
        "the machine's clock is behind: set it, then refresh",
    ),
    rule(
        &["E: There were unauthenticated packages"],
        ErrorKind::RepoError,
        REPOSITORY,
    ),
    rule(&["E: Failed to fetch"], ErrorKind::RepoError, REPOSITORY),
    rule(
        &["E: Unable to fetch some archives"],
        ErrorKind::RepoError,
        REPOSITORY,
    ),
    rule(
        &["E: Some index files failed to download"],
        ErrorKind::RepoError,
        REPOSITORY,
    ),
    rule(&["W: Failed to fetch"], ErrorKind::RepoError, REPOSITORY),
    rule(
        &["W: Some index files failed to download"],
        ErrorKind::RepoError,
        REPOSITORY,
    ),
    rule(
        &["E: Version", "was not found"],
        ErrorKind::PlanDrift,
        DRIFT,
    ),
    rule(
        &["E: Unable to locate package"],
        ErrorKind::PlanDrift,
        DRIFT,
    ),
    rule(
        &["E: Packages need to be removed but remove is disabled"],
        ErrorKind::PlanDrift,
        DRIFT,
    ),
    rule(
        &["E: Held packages were changed"],
        ErrorKind::PlanDrift,
        "the package is on hold: leave it out, or take the hold away, then plan again",
    ),
    rule(
        &["E: Packages were downgraded and -y was used without --allow-downgrades"],
        ErrorKind::PlanDrift,
        DRIFT,
    ),
    rule(&["@patchcore", " drift "], ErrorKind::PlanDrift, DRIFT),
    rule(
        &["dpkg: error processing"],
        ErrorKind::InstallFailed,
        SCRIPT,
    ),
    rule(
        &["end of file on stdin at conffile prompt"],
        ErrorKind::InstallFailed,
        SCRIPT,
    ),
    rule(
        &["E: Sub-process", "returned an error code"],
        ErrorKind::InstallFailed,
        SCRIPT,
    ),
    rule(
        &["E: Sub-process", "exited unexpectedly"],
        ErrorKind::InstallFailed,
        SCRIPT,
    ),
    rule(
        &["E: Sub-process", "received"],
        ErrorKind::InstallFailed,
        SCRIPT,
    ),
];

/// The error of a command that ended with a status other than 0.
#[must_use]
pub fn failed_command(what: &str, status: i32, log: &str) -> Error {
    for rule in RULES {
        if let Some(line) = log.lines().find(|line| rule.is_met(line)) {
            let error = Error::new(rule.kind, format!("{what} failed"))
                .found(short(line))
                .context("status", status.to_string())
                .hint(rule.hint);
            return match rule.kind {
                ErrorKind::Busy => {
                    let error = error.retryable(None);
                    match holder(log) {
                        Some(holder) => error.context("holder", holder),
                        None => error,
                    }
                }
                ErrorKind::RepoError => error.retryable(None),
                _ => error,
            };
        }
    }
    let last = log
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .map_or_else(|| "no output".to_owned(), short);
    Error::new(ErrorKind::InstallFailed, format!("{what} failed"))
        .expected("status 0")
        .found(format!("{status} after {last}"))
        .hint("read the job's log, then scan again to see what went in")
}

/// Why a user was refused before a script began, where what the machine said tells it.
pub(crate) fn refusal(what: &str, said: &str) -> Option<Error> {
    let mut rules = RULES
        .iter()
        .filter(|rule| rule.kind == ErrorKind::AuthzDenied);
    rules.find_map(|rule| {
        let line = said.lines().find(|line| rule.is_met(line))?;
        Some(
            Error::new(rule.kind, what)
                .found(short(line))
                .hint(rule.hint),
        )
    })
}

/// Why a job did not do its work, or nothing where it is not over or ended well.
///
/// `log` is the whole log as far as it was read. An end without error is no proof either: scan again.
#[must_use]
pub fn failed_job(what: &str, id: &JobId, status: &JobStatus, log: &str) -> Option<Error> {
    let error = match status.phase {
        Phase::Absent | Phase::Prepared | Phase::Claimed | Phase::Running => return None,
        Phase::Done => match status.status {
            Some(0) => return None,
            code => failed_command(what, code.unwrap_or(-1), log),
        },
        Phase::Cancelled => Error::new(
            ErrorKind::Cancelled,
            format!("{what} was cancelled before it began"),
        )
        .consequence("nothing was changed"),
        Phase::LostReboot => Error::new(
            ErrorKind::LostReboot,
            format!("{what} was interrupted by a restart of the machine"),
        )
        .consequence("what it changed until then is unknown")
        .hint(REPAIR),
        Phase::LostDied if !status.ran => Error::new(
            ErrorKind::LostDied,
            format!("{what}: its runner ended before it began"),
        )
        .consequence("nothing was changed")
        .hint("start it again under a new key"),
        Phase::LostDied => Error::new(
            ErrorKind::LostDied,
            format!("{what}: its runner ended without a result"),
        )
        .consequence("what it changed is unknown, and what it started may still run")
        .hint("wait until no process holds the lock of dpkg, repair, then scan again"),
        Phase::Conflict => Error::new(
            ErrorKind::ProviderFault,
            format!("{what}: its id is taken by a job with other content"),
        )
        .consequence("nothing was changed by this start")
        .hint("every step and generation needs a key of its own"),
        Phase::Refused if status.refusal == Some(Refusal::Fenced) => {
            let error = Error::new(
                ErrorKind::Fenced,
                format!("{what} was not started: the lock of the machine went to somebody else"),
            )
            .consequence("nothing was changed")
            .hint(RIVAL);
            let told = String::from_utf8_lossy(&status.log);
            match told.lines().next().and_then(|l| holding(l, status.now)) {
                Some(held) => error
                    .found(format!("fence {} of {held}", held.fence))
                    .context("holder", held.claim.holder.clone())
                    .context("journal", held.claim.journal.clone()),
                None => error.found("a later holding, given back since"),
            }
        }
        Phase::Refused => {
            let (kind, why, hint) = match status.refusal {
                Some(Refusal::DiskFull) => (ErrorKind::DiskFull, "the disk is full", SPACE),
                Some(Refusal::ReadOnly) => (
                    ErrorKind::Unhealthy,
                    "the file system is read-only",
                    "look at the disk first",
                ),
                Some(Refusal::Denied) => (
                    ErrorKind::AuthzDenied,
                    "this user may not use the folder of jobs",
                    RIGHTS,
                ),
                Some(Refusal::Io | Refusal::Fenced) | None => (
                    ErrorKind::Io,
                    "the folder of jobs cannot be used",
                    "look at the machine's disk",
                ),
            };
            Error::new(kind, format!("{what} could not be started: {why}"))
                .consequence("nothing was changed")
                .hint(hint)
        }
    };
    Some(error.context("job", id.as_str()))
}

/// Who holds the lock, from `It is held by process 6968 (apt-get)` or dpkg's `process with pid 6968`.
fn holder(log: &str) -> Option<String> {
    let after = |text: &str| {
        log.lines()
            .find_map(|line| Some(line.split_once(text)?.1.to_owned()))
    };
    if let Some(rest) = after("held by process ") {
        let pid: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let name = rest
            .split_once('(')
            .and_then(|(_, r)| Some(r.split_once(')')?.0.to_owned()));
        return Some(name.map_or_else(
            || format!("process {pid}"),
            |name| format!("{name} (process {pid})"),
        ));
    }
    let pid: String = after("another process with pid ")?
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    Some(format!("process {pid}"))
}

fn short(line: &str) -> String {
    format!("{:?}", line.trim().chars().take(300).collect::<String>())
}

/// A line that a job writes for patchcore: `@patchcore JOB WORD TEXT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// The word, such as `armed`, `not_armed`, `drift`, `begins`, `unhealthy`.
    pub word: String,
    /// What follows it.
    pub text: String,
}

/// The lines of a log that the job itself wrote for patchcore.
#[must_use]
pub fn marked(id: &JobId, log: &str) -> Vec<Marked> {
    let mark = format!("@patchcore {id} ");
    log.lines()
        .filter_map(|line| line.strip_prefix(&mark))
        .map(|rest| rest.split_once(' ').unwrap_or((rest, "")))
        .map(|(word, text)| Marked {
            word: word.to_owned(),
            text: text.to_owned(),
        })
        .collect()
}

/// Edited configuration files that were kept; the package's own version lies beside each as `.dpkg-dist`.
#[must_use]
pub fn kept_configuration(log: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = None;
    for line in log.lines() {
        // A file behind a symbolic link is followed by `(actually '…')`.
        if let Some((path, _)) = line
            .strip_prefix("Configuration file '")
            .and_then(|r| r.split_once('\''))
        {
            open = Some(path);
        } else if line.trim_start().starts_with("==> Keeping old config file") {
            found.extend(open.take().map(str::to_owned));
        }
    }
    found
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
