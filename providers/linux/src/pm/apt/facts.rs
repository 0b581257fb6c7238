//! What the machine says about itself beside its packages.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use patchcore::Result;
use serde::{Deserialize, Serialize};

use super::{
    package::Architecture,
    section::{Sections, bad_line, number},
};

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Facts {
    /// `ID` of os-release(5), such as `debian`.
    pub os_id: String,
    /// `VERSION_ID`, such as `12`; absent on a rolling release.
    pub os_version: Option<String>,
    /// `VERSION_CODENAME`, such as `bookworm`.
    pub os_codename: Option<String>,
    /// `PRETTY_NAME`, for people.
    pub os_name: String,
    /// The architecture of its packages.
    pub arch: Architecture,
    /// Further architectures that it takes packages of.
    pub foreign_archs: Vec<Architecture>,
    /// Its host name.
    pub node: String,
    /// The release of the running kernel (`uname -r`).
    pub kernel: String,
    /// The build of the running kernel (`uname -v`), which on Debian names the package's version.
    pub kernel_build: String,
    /// Its machine id; without one apt does not honour phases.
    pub machine_id: Option<String>,
    /// The UUID of its firmware; only root may read it.
    pub bios_uuid: Option<String>,
    /// The serial number of its hardware; only root may read it.
    pub serial: Option<String>,
    /// Which start of the machine this is; another value means that it restarted.
    pub boot_id: String,
    /// How long it is up.
    pub uptime: Duration,
    /// Its clock.
    pub now: Timestamp,
    /// Whether the scan ran as root.
    pub is_root: bool,
    /// Whether systemd is its init.
    pub has_systemd: bool,
    /// What systemd says of the whole system (`systemctl is-system-running`), such as `running`, `starting` or
    /// `degraded`; absent without systemd.
    pub system_state: Option<String>,
    /// The units of systemd that have failed.
    pub failed_units: BTreeSet<String>,
    /// The version line of apt.
    pub apt: String,
}

/// How old the package lists are. Absent times are unknown, never recent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lists {
    /// When the newest list was published by its repository.
    pub published: Option<Timestamp>,
    /// When the lists were last brought up to date with success, as far as the machine tells.
    pub refreshed: Option<Timestamp>,
}

/// A process that holds a lock of apt or dpkg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// The file that is locked.
    pub path: String,
    /// The process, where its id is visible from here.
    pub pid: Option<u32>,
    /// Its name.
    pub command: Option<String>,
    /// When it was started.
    pub since: Option<Timestamp>,
}

/// Whether the machine has to restart for what is installed to be what runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reboot {
    /// Whether a package has asked for it.
    pub required: bool,
    /// The packages that asked.
    pub packages: Vec<String>,
    /// The newest installed kernel where it is not the running one.
    pub newer_kernel: Option<String>,
}

/// A process that runs code which is no longer on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stale {
    /// The process.
    pub pid: u32,
    /// Its systemd service.
    pub unit: Option<String>,
    /// Its name.
    pub command: String,
    /// The file that was replaced.
    pub path: String,
}

/// Jobs of patchcore that have no result yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpenJobs {
    /// Their ids, with whether each was begun.
    Listed(Vec<(String, bool)>),
    /// The folder may not be read by this user.
    Hidden,
}

/// The system's own patcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unattended {
    /// Whether `unattended-upgrade` is installed, configured to run, and started by a timer or cron.
    pub enabled: bool,
}

/// Free space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Disk {
    /// Where the file system is mounted.
    pub mount: String,
    /// What an ordinary user can still write, in bytes.
    pub free: u64,
}

pub(crate) fn time(seconds: i64) -> Result<Timestamp> {
    Timestamp::from_second(seconds).map_err(|_| {
        bad_line(
            "facts",
            "a time in seconds since 1970",
            &seconds.to_string(),
        )
    })
}

impl Facts {
    pub(crate) fn parse(sections: &Sections<'_>) -> Result<Self> {
        let values = sections.values("facts")?;
        let text = |key| values.get(key).map(str::to_owned);
        let maybe = |key| values.maybe(key).map(|v| v.map(str::to_owned));
        let os = sections.text("os_release")?;
        let os_id = os_value(os, "ID").ok_or_else(|| bad_line("os_release", "ID=", os))?;
        let uptime = values.get("uptime")?;
        let up: f64 = number(uptime.split(' ').next().unwrap_or_default(), "uptime")?;
        Ok(Self {
            os_name: os_value(os, "PRETTY_NAME").unwrap_or_else(|| os_id.clone()),
            os_id,
            os_version: os_value(os, "VERSION_ID"),
            os_codename: os_value(os, "VERSION_CODENAME"),
            arch: Architecture::parse(values.get("arch")?)?,
            foreign_archs: values
                .maybe("foreign_arch")?
                .unwrap_or_default()
                .split(' ')
                .filter(|a| !a.is_empty())
                .map(Architecture::parse)
                .collect::<Result<_>>()?,
            node: text("node")?,
            kernel: text("kernel")?,
            kernel_build: text("kernel_build")?,
            machine_id: maybe("machine_id")?,
            bios_uuid: maybe("bios_uuid")?,
            serial: maybe("serial")?,
            boot_id: text("boot_id")?,
            uptime: Duration::try_from_secs_f64(up)
                .map_err(|_| bad_line("facts", "a duration", uptime))?,
            now: time(values.number("now")?)?,
            is_root: values.number::<u32>("uid")? == 0,
            has_systemd: values.yes("systemd")?,
            apt: text("apt")?,
            system_state: units_of(sections, "state")?.next(),
            failed_units: units_of(sections, "failed")?.collect(),
        })
    }

    /// Whether systemd has not finished to bring the system up, or is bringing it down.
    pub(crate) fn is_starting(&self) -> bool {
        let state = self.system_state.as_deref();
        matches!(state, Some("initializing" | "starting" | "stopping"))
    }
}

/// The values of one key in the section of systemd, which may stand there several times.
fn units_of<'a>(
    sections: &Sections<'a>,
    key: &'static str,
) -> Result<impl Iterator<Item = String> + 'a> {
    let of = move |line: &str| {
        let value = line.strip_prefix(key)?.strip_prefix(' ')?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    Ok(sections.text("units")?.lines().filter_map(of))
}

/// A value of os-release(5): shell assignments, possibly in quotes.
fn os_value(text: &str, key: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|l| l.strip_prefix(key)?.strip_prefix('='))?
        .trim();
    let value = value
        .strip_prefix(['"', '\''])
        .and_then(|v| v.strip_suffix(['"', '\'']))
        .unwrap_or(value);
    Some(value.to_owned()).filter(|v| !v.is_empty())
}

impl Lists {
    pub(crate) fn parse(sections: &Sections<'_>) -> Result<Self> {
        let values = sections.values("lists")?;
        let at =
            |key| -> Result<Option<Timestamp>> { values.maybe_number(key)?.map(time).transpose() };
        // A list's file is written only when it changed, so a success that changed nothing is later.
        Ok(Self {
            published: at("published")?,
            refreshed: at("success")?.max(at("written")?),
        })
    }
}

/// Names that hold a lock of dpkg. They count where the number of the device cannot be compared,
/// as on an overlay or btrfs, where the kernel's list and stat(2) tell two different ones.
const LOCKERS: [&str; 8] = [
    "apt",
    "apt-get",
    "aptitude",
    "dpkg",
    "unattended-upgr",
    "packagekitd",
    "synaptic",
    "aptd",
];

/// Whether a number of stat(2) is the device MAJOR:MINOR, in hex, of `/proc/locks`.
fn is_place(device: u64, place: &str) -> Result<bool> {
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (major, minor) = place
        .split_once(':')
        .and_then(|(a, b)| Some((hex(a)?, hex(b)?)))
        .ok_or_else(|| bad_line("locks", "MAJOR:MINOR", place))?;
    // The encoding of dev_t in glibc: sysmacros.h, makedev(3).
    Ok((device >> 8 & 0xfff | device >> 32 & !0xfff) == major
        && (device & 0xff | device >> 12 & !0xff) == minor)
}

impl LockHolder {
    pub(crate) fn parse(sections: &Sections<'_>, facts: &Facts) -> Result<Vec<Self>> {
        let ticks: u64 = sections.values("facts")?.number("ticks")?;
        let mut found = Vec::new();
        for line in sections.text("locks")?.lines() {
            // A process that has ended in between has neither a start nor a name.
            let mut words = line.splitn(6, ' ');
            let mut word = || {
                words
                    .next()
                    .ok_or_else(|| bad_line("locks", "PATH DEVICE DEVICE PID START NAME", line))
            };
            let (path, device, place, pid, start, command) =
                (word()?, word()?, word()?, word()?, word()?, word()?);
            let same = place == "=" || is_place(number(device, "a device")?, place)?;
            if !same && !LOCKERS.contains(&command) {
                continue;
            }
            let since = match start.parse::<u64>() {
                Ok(start) => {
                    let age = facts.uptime.saturating_sub(Duration::from_millis(
                        start.saturating_mul(1000) / ticks.max(1),
                    ));
                    facts.now.checked_sub(age).ok()
                }
                Err(_) => None,
            };
            found.push(Self {
                path: path.to_owned(),
                pid: pid.parse().ok().filter(|p| *p > 0),
                command: Some(command.to_owned()).filter(|c| !c.is_empty()),
                since,
            });
        }
        Ok(found)
    }
}

impl Reboot {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        match lines.next() {
            None => Ok(Self::default()),
            Some("required") => {
                let mut packages: Vec<_> =
                    lines.map(str::to_owned).filter(|l| !l.is_empty()).collect();
                packages.sort_unstable();
                packages.dedup();
                Ok(Self {
                    required: true,
                    packages,
                    newer_kernel: None,
                })
            }
            Some(line) => Err(bad_line("reboot", "required", line)),
        }
    }

    /// Whether anything says that a restart is due.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.required || self.newer_kernel.is_some()
    }
}

pub(crate) fn stale(text: &str) -> Result<Vec<Stale>> {
    text.lines()
        .map(|line| {
            let mut fields = line.splitn(4, '\t');
            let (Some(pid), Some(unit), Some(command), Some(path)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                return Err(bad_line("deleted", "PID UNIT NAME PATH", line));
            };
            let unit = Some(unit.to_owned()).filter(|u| u != "-");
            Ok(Stale {
                pid: number(pid, "a process")?,
                unit,
                command: command.to_owned(),
                path: path.to_owned(),
            })
        })
        .collect()
}

pub(crate) fn open_jobs(text: &str) -> Result<OpenJobs> {
    if text.trim() == "denied" {
        return Ok(OpenJobs::Hidden);
    }
    let job = |line: &str| match line.split_once(' ') {
        Some((id, "claimed")) => Ok((id.to_owned(), true)),
        Some((id, "prepared")) => Ok((id.to_owned(), false)),
        _ => Err(bad_line("jobs", "ID claimed or ID prepared", line)),
    };
    Ok(OpenJobs::Listed(
        text.lines().map(job).collect::<Result<_>>()?,
    ))
}

impl Unattended {
    pub(crate) fn parse(sections: &Sections<'_>) -> Result<Self> {
        let values = sections.values("unattended")?;
        // The value is a number of days or a time such as `1d`; only 0 turns it off.
        let periodic = values.get("periodic")? != "0";
        Ok(Self {
            enabled: values.yes("tool")? && periodic && values.yes("timer")?,
        })
    }
}

pub(crate) fn disks(text: &str) -> Result<Vec<Disk>> {
    let mut found = Vec::new();
    for line in text
        .lines()
        .filter(|l| !l.starts_with("Filesystem") && !l.starts_with("df: "))
    {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, free, _, mount @ ..] = &fields[..] else {
            return Err(bad_line("disk", "a line of df -P", line));
        };
        let free: u64 = number(free, "free blocks")?;
        found.push(Disk {
            mount: mount.join(" "),
            free: free.saturating_mul(1024),
        });
    }
    found.sort();
    found.dedup();
    Ok(found)
}
