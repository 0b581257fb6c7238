//! What comes back: the header line `PC1 …` and a part of the log.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use patchcore::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::JobId;

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// The machine does not know it. A start may still be on its way; cancel to be sure.
    Absent,
    /// Its folder is there, nobody has begun it. Starting it again launches it.
    Prepared,
    /// Somebody has taken it and has not begun it yet. Who finds then that the lock of the machine changed hands steps
    /// back, and it is [`Phase::Prepared`] again.
    Claimed,
    /// It runs.
    Running,
    /// It ended; its status is a hint, the state of the machine is the truth.
    Done,
    /// It was cancelled before it began and never runs.
    Cancelled,
    /// The machine restarted while it ran.
    LostReboot,
    /// Its runner ended without a result. What it had started, such as apt-get, may still run.
    LostDied,
    /// The id is taken by a job with other content.
    Conflict,
    /// The machine's disk or rights do not allow to start it, or to see it.
    Refused,
}

impl Phase {
    /// Whether its runner has ended, or never will begin: the machine does nothing for it any more, except that what a
    /// runner had started which died may go on.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Cancelled | Self::LostReboot | Self::LostDied
        )
    }

    const ALL: [(&'static str, Self); 10] = [
        ("absent", Self::Absent),
        ("prepared", Self::Prepared),
        ("claimed", Self::Claimed),
        ("running", Self::Running),
        ("done", Self::Done),
        ("cancelled", Self::Cancelled),
        ("lost_reboot", Self::LostReboot),
        ("lost_died", Self::LostDied),
        ("conflict", Self::Conflict),
        ("refused", Self::Refused),
    ];
}

/// Why a folder of jobs could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The disk or the quota is full.
    DiskFull,
    /// The file system is mounted read-only, often after an error of its disk.
    ReadOnly,
    /// The user has no right to it.
    Denied,
    /// Somebody else has the lock of the machine, or had it since.
    Fenced,
    /// Another input/output error.
    Io,
}

impl Refusal {
    const ALL: [(&'static str, Self); 5] = [
        ("disk_full", Self::DiskFull),
        ("read_only", Self::ReadOnly),
        ("denied", Self::Denied),
        ("fenced", Self::Fenced),
        ("io", Self::Io),
    ];
}

/// In which folder a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Folder {
    /// The first one; it survives a restart.
    Primary,
    /// The second one; it does not survive a restart, after which the job is [`Phase::Absent`].
    Fallback,
}

/// One answer about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobStatus {
    /// How it stands.
    pub phase: Phase,
    /// Its exit status, once it is done.
    pub status: Option<i32>,
    /// Whether the content was ever begun. `false` means that it had no effect and will have none
    /// for [`Phase::Cancelled`] and [`Phase::LostDied`].
    pub ran: bool,
    /// The process id of its runner.
    pub pid: Option<u32>,
    /// The boot id under which it began.
    pub job_boot: Option<String>,
    /// The boot id of now.
    pub boot: Option<String>,
    /// The length of its log in bytes.
    pub log_size: u64,
    /// How long the machine is up.
    pub uptime: Duration,
    /// The machine's clock.
    pub now: Timestamp,
    /// In which folder it is.
    pub folder: Folder,
    /// Why it was refused, or why the first folder could not be used.
    pub refusal: Option<Refusal>,
    /// The part of the log that was asked for.
    pub log: Vec<u8>,
}

impl JobStatus {
    /// Whether the part of the log that came is all of it.
    #[must_use]
    pub fn has_whole_log(&self) -> bool {
        self.log.len() as u64 >= self.log_size
    }

    /// Reads the answer of a start, poll or cancel script.
    ///
    /// # Errors
    /// [`ErrorKind::ProviderFault`] for anything but an answer about this job in version 1 of the protocol.
    pub fn parse(id: &JobId, answer: &[u8]) -> Result<Self> {
        let (header, log) = match answer.iter().position(|b| *b == b'\n') {
            Some(end) => (&answer[..end], &answer[end + 1..]),
            None => (answer, &[][..]),
        };
        let header = String::from_utf8_lossy(header);
        Header::parse(&header)
            .and_then(|h| h.status(id, log))
            .map_err(|(expected, found)| {
                Error::new(
                    ErrorKind::ProviderFault,
                    format!("job {id}: its answer is not understood"),
                )
                .expected(expected)
                .found(found)
                .context("header", header.chars().take(400).collect::<String>())
                .hint("ask again; where it stays so, something changes what the machine's shell prints")
            })
    }
}

type Mismatch = (String, String);

struct Header<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Header<'a> {
    fn parse(line: &'a str) -> Result<Self, Mismatch> {
        let Some(words) = line.strip_prefix("PC1 ") else {
            return Err((
                "a line that starts with PC1".to_owned(),
                format!("{:?}", line.chars().take(80).collect::<String>()),
            ));
        };
        let mut values = BTreeMap::new();
        for word in words.split(' ') {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| ("key=value".to_owned(), format!("{word:?}")))?;
            if values.insert(key, value).is_some() {
                return Err((format!("{key} once"), "it twice".to_owned()));
            }
        }
        Ok(Self(values))
    }

    fn text(&self, key: &str) -> Result<&'a str, Mismatch> {
        self.0
            .get(key)
            .copied()
            .filter(|v| !v.is_empty())
            .ok_or_else(|| (format!("a value for {key}"), "none".to_owned()))
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T, Mismatch> {
        let text = self.text(key)?;
        text.parse()
            .map_err(|_| (format!("a number for {key}"), format!("{text:?}")))
    }

    fn optional<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, Mismatch> {
        if self.text(key)? == "-" {
            Ok(None)
        } else {
            self.number(key).map(Some)
        }
    }

    fn one_of<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<T, Mismatch> {
        let text = self.text(key)?;
        words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| {
                let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                (
                    format!("one of {} for {key}", known.join(", ")),
                    format!("{text:?}"),
                )
            })
    }

    fn status(&self, id: &JobId, log: &[u8]) -> Result<JobStatus, Mismatch> {
        let op = self.text("op")?;
        if op != id.as_str() {
            return Err((format!("an answer about {id}"), format!("one about {op:?}")));
        }
        let phase = self.one_of("phase", &Phase::ALL)?;
        let status = self.optional("rc")?;
        if (phase == Phase::Done) != status.is_some() {
            return Err((
                "a status exactly when the job is done".to_owned(),
                format!("{phase:?} with {status:?}"),
            ));
        }
        let seconds: i64 = self.number("now")?;
        Ok(JobStatus {
            phase,
            status,
            ran: self.one_of("ran", &[("yes", true), ("no", false)])?,
            pid: self.optional("pid")?,
            job_boot: self.optional("jobboot")?,
            boot: self.optional("boot")?,
            log_size: self.number("size")?,
            uptime: Duration::try_from_secs_f64(self.number("up")?).map_err(|_| {
                (
                    "a duration for up".to_owned(),
                    format!("{:?}", self.text("up")),
                )
            })?,
            now: Timestamp::from_second(seconds)
                .map_err(|_| ("a time for now".to_owned(), seconds.to_string()))?,
            folder: self.one_of(
                "base",
                &[("primary", Folder::Primary), ("fallback", Folder::Fallback)],
            )?,
            refusal: if self.text("why")? == "-" {
                None
            } else {
                Some(self.one_of("why", &Refusal::ALL)?)
            },
            log: log.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "PC1 op=op-1 phase=done rc=7 ran=yes pid=12 jobboot=b1 boot=b2 size=4 up=1.5 now=1795611102 base=primary why=-";

    #[test]
    fn a_header_is_read_whole_or_refused_with_the_place() {
        fn check(from: &str, to: &str, expect: &str) {
            let header = GOOD.replace(from, to);
            assert_ne!(header, GOOD);
            let error =
                JobStatus::parse(&JobId::parse("op-1").unwrap(), header.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(expect), "{header}: {error}");
        }
        let found = JobStatus::parse(
            &JobId::parse("op-1").unwrap(),
            format!("{GOOD}\nlog\nlog").as_bytes(),
        )
        .unwrap();
        assert_eq!(
            (found.phase, found.status, found.log.as_slice()),
            (Phase::Done, Some(7), b"log\nlog".as_slice())
        );

        check("PC1", "PC2", "expected a line that starts with PC1");
        check(
            "op=op-1",
            "op=op-2",
            "an answer about op-1 but found one about \"op-2\"",
        );
        check("phase=done", "phase=dona", "lost_died");
        check("rc=7", "rc=x", "a number for rc but found \"x\"");
        check("rc=7", "rc=-", "a status exactly when the job is done");
        check(" up=1.5", "", "a value for up but found none");
        check("up=1.5", "up=1.5 up=2", "up once");
        check("ran=yes", "ran=", "a value for ran");
        check("size=4", "size=-4", "a number for size");
        check("now=1795611102", "now=99999999999999", "a time for now");
        check("base=primary", "base", "key=value");
        check("why=-", "why=tired", "disk_full");
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(noise: Vec<u8>, at in 0..GOOD.len(), byte: u8) {
            let id = JobId::parse("op-1").unwrap();
            let _ = JobStatus::parse(&id, &noise);
            let mut near = GOOD.as_bytes().to_vec();
            near[at] = byte;
            let _ = JobStatus::parse(&id, &near);
        }
    }
}
