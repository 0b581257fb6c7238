//! Processes that are told apart for ever.

use std::{fmt, fs, process, str::FromStr};

/// A process as no other will ever be: its id, which the kernel gives out again, and when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// In ticks since this machine was started.
    started: u64,
}

impl Process {
    /// This one.
    pub(super) fn current() -> Self {
        Self::find(process::id()).unwrap_or(Self {
            pid: process::id(),
            started: 0,
        })
    }

    /// The one that has this id now; `None` when there is none, or only its exit status is left of it.
    pub(super) fn find(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name of the program stands in parentheses and may hold spaces and parentheses itself.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace();
        if fields.next()? == "Z" {
            return None;
        }
        let started = fields.nth(18)?.parse().ok()?;
        Some(Self { pid, started })
    }

    pub(super) fn is_alive(&self) -> bool {
        Self::find(self.pid) == Some(*self)
    }

    /// How long it has been running, in whole seconds.
    pub(super) fn age_seconds(&self) -> Option<u64> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let (seconds, _) = uptime.split_once('.')?;
        let ticks = rustix::param::clock_ticks_per_second();
        Some(
            seconds
                .parse::<u64>()
                .ok()?
                .saturating_sub(self.started / ticks),
        )
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.pid, self.started)
    }
}

impl FromStr for Process {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (pid, started) = text.trim_end().split_once('-').ok_or(())?;
        Ok(Self {
            pid: pid.parse().map_err(|_| ())?,
            started: started.parse().map_err(|_| ())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_id_and_its_start() {
        let own = Process::current();
        assert!(own.is_alive());
        assert_eq!(own.to_string().parse(), Ok(own));
        let other = Process {
            started: own.started + 1,
            ..own
        };
        assert!(!other.is_alive());
        assert_eq!("12".parse::<Process>(), Err(()));
        assert_eq!("12-x".parse::<Process>(), Err(()));
    }
}
