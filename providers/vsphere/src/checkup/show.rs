//! A look through a vCenter as a person reads it.

use std::{collections::BTreeMap, fmt};

use patchcore::id::ComponentId;

use super::{Checkup, ClusterCheckup, HostCheckup, MayLose, Support, SupportKind};

impl fmt::Display for Checkup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.strftime("%Y-%m-%d %H:%M UTC");
        write!(
            f,
            "{} · API {} · looked at {at}",
            self.vcenter, self.api_version
        )?;
        for cluster in &self.clusters {
            write!(f, "\n\n{cluster}")?;
        }
        if self.clusters.is_empty() {
            f.write_str("\n\nno cluster can be seen")?;
        }
        if !self.supports.is_empty() {
            f.write_str("\n\nwhat hosts rely on")?;
            for support in &self.supports {
                write!(f, "\n  {support}")?;
            }
        }
        if !self.scheduled.is_empty() {
            f.write_str("\n\nwhat the vCenter begins by itself")?;
            for task in &self.scheduled {
                write!(f, "\n  {}: {}", task.name, task.calls)?;
            }
        }
        if !self.not_seen.is_empty() {
            f.write_str("\n\nnot looked at")?;
            for what in &self.not_seen {
                write!(f, "\n  {what}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for ClusterCheckup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cluster {} · {} hosts, {} machines run",
            self.name,
            self.hosts.len(),
            self.running
        )?;
        write!(f, "\n  {}", self.may_lose)?;
        let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
        for host in &self.hosts {
            let version = host.version.as_deref().unwrap_or("a version nobody says");
            *versions.entry(version).or_default() += 1;
        }
        for (version, hosts) in versions {
            write!(f, "\n  {hosts} × {version}")?;
        }
        f.write_str(match self.by_image {
            Some(true) => "\n  patched by an image of vSphere Lifecycle Manager",
            Some(false) => "\n  patched by baselines: no image is set for it",
            None => "\n  nobody says whether it is patched by an image",
        })?;
        for host in &self.hosts {
            show_host(host, f)?;
        }
        for what in &self.acts_itself {
            write!(f, "\n  acts by itself: {what}")?;
        }
        for stays in &self.pinned {
            write!(f, "\n  {} stays on {}: {}", stays.vm, stays.host, stays.why)?;
        }
        for snapshot in &self.old_snapshots {
            write!(
                f,
                "\n  {} has a snapshot of {} h: {}",
                snapshot.vm, snapshot.hours, snapshot.name
            )?;
        }
        for right in &self.missing_rights {
            write!(f, "\n  missing right: {right}")?;
        }
        for what in &self.not_modelled {
            write!(f, "\n  not in the plan: {what}")?;
        }
        Ok(())
    }
}

/// Only what asks for a person.
fn show_host(host: &HostCheckup, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if !host.connected {
        write!(f, "\n  {} does not answer", host.id)?;
    } else if host.in_maintenance {
        write!(f, "\n  {} is in maintenance mode", host.id)?;
    }
    match &host.paths {
        None => write!(f, "\n  {}: nobody says its paths to storage", host.id),
        Some(paths) if paths.is_whole() => Ok(()),
        Some(paths) => {
            write!(
                f,
                "\n  {}: paths to storage down: {} of {}",
                host.id,
                paths.down.len(),
                paths.all
            )?;
            if !paths.down.is_empty() {
                write!(f, " ({})", named(paths.down.iter()))?;
            }
            if paths.single > 0 {
                write!(f, ", devices with one path left: {}", paths.single)?;
            }
            for (n, what) in [
                (paths.one_adapter, "adapter of the host"),
                (paths.one_port, "port of the storage"),
            ] {
                if n > 0 {
                    write!(f, ", devices that hang on one {what}: {n}")?;
                }
            }
            Ok(())
        }
    }
}

impl fmt::Display for MayLose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each {
                moves,
                moved_mib,
                makespan_ms,
            } => write!(
                f,
                "can do without each of its hosts: a roll takes {moves} moves with {} GiB and about {} min",
                moved_mib.div_ceil(1024),
                makespan_ms.div_ceil(60_000)
            ),
            Self::NotAll { hosts, why } if hosts.is_empty() => {
                f.write_str(
                    "can do without each of its hosts alone, and no roll of all was found",
                )?;
                indented(f, why)
            }
            Self::NotAll { hosts, .. } => {
                for (at, (host, why)) in hosts.iter().enumerate() {
                    f.write_str(if at > 0 { "\n  " } else { "" })?;
                    write!(f, "cannot do without {host}")?;
                    indented(f, why)?;
                }
                Ok(())
            }
            Self::Unknown { why } => {
                f.write_str("nobody can say whether it can do without a host")?;
                indented(f, why)
            }
        }
    }
}

fn indented(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.lines()
        .try_for_each(|line| write!(f, "\n    {}", line.trim()))
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SupportKind::Dns => "DNS server",
            SupportKind::Ntp => "time server",
            SupportKind::Domain => "domain",
        };
        write!(
            f,
            "{kind} {} of {}: ",
            self.name,
            named(self.hosts.iter().map(ComponentId::as_str))
        )?;
        match &self.machine {
            Some(machine) => write!(f, "the machine {machine}"),
            None => f.write_str("no machine that is seen here; say who patches it"),
        }
    }
}

/// Some names, and how many more there are.
fn named(names: impl ExactSizeIterator<Item = impl AsRef<str>>) -> String {
    const SHOWN: usize = 4;
    let more = names.len().saturating_sub(SHOWN);
    let mut text = String::new();
    for name in names.take(SHOWN) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(name.as_ref());
    }
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
