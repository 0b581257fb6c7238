//! One scan of a machine with apt: the script, and the reading of its answer.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::{Error, ErrorKind, Failure, Result};
use serde::{Deserialize, Serialize};

use super::{
    dpkg::{self, Installed, PackageKey, State, Unhealthy},
    facts::{
        Disk, Facts, Lists, LockHolder, OpenJobs, Reboot, Stale, Unattended, disks, open_jobs,
        stale,
    },
    line::{Install, Line, Origin, Waits},
    offers::{Offer, Policy, offers, policies},
    package::{Architecture, PackageName},
    section::{Sections, text_of},
    simulation::Simulation,
};
use crate::{
    pm::classify,
    transport::{Script, shell_text},
    vercmp::deb::DebVersion,
};

shell_text!(pub(super) SCAN, "scan.sh");

/// What kind of patch a version is, by the repositories that offer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// At least one of them is a security repository.
    Security,
    /// One of them is the distribution's own.
    Bugfix,
    /// Anybody else's, or a backport.
    Other,
}

/// A version that apt would install.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pending {
    /// The package.
    pub name: PackageName,
    /// The architecture of the version to come.
    pub arch: Architecture,
    /// The version that is there; absent for a new dependency.
    pub from: Option<DebVersion>,
    /// The version to come.
    pub to: DebVersion,
    /// Where it comes from.
    pub origins: Vec<Origin>,
    /// What kind of patch it is.
    pub class: Class,
    /// The size of its file in bytes, where apt knows it.
    pub size: Option<u64>,
    /// The SHA-256 of its file, where apt knows one and all repositories agree.
    pub sha256: Option<String>,
    /// Whether it is a package that is not installed yet.
    pub new_dependency: bool,
    /// The packages that pull a new dependency in, where apt tells.
    pub pulled_in_by: Vec<PackageName>,
    /// Whether it can only come together with new or removed packages.
    pub needs_others: bool,
    /// Packages that are broken for a moment while this one is installed.
    pub waits: Vec<Waits>,
}

/// A package that apt would remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The package.
    pub name: PackageName,
    /// Its architecture, where it is not the machine's own.
    pub arch: Option<Architecture>,
    /// The version that is there.
    pub from: Option<DebVersion>,
}

/// Why a newer version does not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptBackReason {
    /// Somebody has put the package on hold.
    Held,
    /// The repository releases it step by step and this machine's turn has not come.
    Phased {
        /// The share of machines whose turn has come, where apt tells it.
        percent: Option<u8>,
    },
    /// Something it needs cannot come.
    Dependency,
}

/// A package with a newer version that does not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeptBack {
    /// The package.
    pub name: PackageName,
    /// Its architecture, where it is not the machine's own.
    pub arch: Option<Architecture>,
    /// The version that is there.
    pub from: Option<DebVersion>,
    /// The version that does not come.
    pub to: Option<DebVersion>,
    /// Why.
    pub reason: KeptBackReason,
}

/// What apt would do to bring the machine up to date.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Upgrades {
    /// What would come, in apt's order.
    pub pending: Vec<Pending>,
    /// What would go.
    pub removals: Vec<Removal>,
    /// What stays though there is a newer version.
    pub kept_back: Vec<KeptBack>,
    /// Warnings of apt.
    pub warnings: Vec<String>,
}

/// All that one scan says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AptScan {
    /// The machine.
    pub facts: Facts,
    /// Every package that dpkg knows, removed ones with kept configuration included.
    pub installed: BTreeMap<PackageKey, Installed>,
    /// What apt would do, or why it cannot tell. An unknown plan is not an empty one.
    pub upgrades: std::result::Result<Upgrades, Failure>,
    /// Which versions can be had, of what would come and of what was asked for.
    pub served: BTreeMap<PackageName, BTreeSet<DebVersion>>,
    /// The package files that are on the machine already, as apt names them.
    pub cached: BTreeSet<String>,
    /// Packages that are broken already; a machine with any is not patched but repaired first.
    pub unhealthy: Vec<Unhealthy>,
    /// How old the package lists are.
    pub lists: Lists,
    /// Who holds a lock of apt or dpkg.
    pub locks: Vec<LockHolder>,
    /// Whether a restart is due.
    pub reboot: Reboot,
    /// Processes on replaced files, as far as this user may see them; all of them for root only.
    pub stale: Vec<Stale>,
    /// Jobs of patchcore without a result.
    pub open_jobs: OpenJobs,
    /// The system's own patcher.
    pub unattended: Unattended,
    /// Free space of the file systems that matter.
    pub disks: Vec<Disk>,
}

/// The script of a scan. It changes nothing and needs no root.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for a folder of jobs that no shell can hold.
pub fn scan_script(id: &str, jobs: &str) -> Result<Script> {
    scan_script_about(id, jobs, &[])
}

/// The same, which also says which versions of these packages can be had.
///
/// # Errors
/// As [`scan_script`].
pub fn scan_script_about(id: &str, jobs: &str, packages: &[PackageName]) -> Result<Script> {
    let names: Vec<&str> = packages.iter().map(PackageName::as_str).collect();
    Ok(script(id, "")?
        .set("PC_BASE", jobs)?
        .set("ASK", &names.join(" "))?
        .set("WANT", "")?
        .text(&SCAN))
}

/// The script that asks only what the machine is; read by [`AptScan::parse_facts`].
///
/// # Errors
/// As [`scan_script`].
pub fn facts_script(id: &str) -> Result<Script> {
    Ok(script(id, "facts")?.text(&SCAN))
}

/// The beginning of a scan's script; [`SCAN`] follows.
pub(super) fn script(id: &str, only: &'static str) -> Result<Script> {
    let script = Script::new(id);
    let id = script.id().to_owned();
    script.set("ID", &id)?.set("ONLY", only)
}

impl AptScan {
    /// Reads the answer of [`scan_script`].
    ///
    /// # Errors
    /// - [`ErrorKind::ProviderFault`] for an answer that is not understood, with the line.
    /// - [`ErrorKind::Busy`] where the packages changed while they were read; it may be tried again.
    pub fn parse(id: &str, answer: &[u8]) -> Result<Self> {
        Self::read(id, &text_of(answer)).map_err(not_understood)
    }

    fn read(id: &str, text: &str) -> Result<Self> {
        let sections = Sections::parse(Script::new(id).id(), text)?;
        let facts = Facts::parse(&sections)?;
        let installed = dpkg::installed(sections.text("installed")?)?;
        let mut reboot = Reboot::parse(sections.text("reboot")?)?;
        reboot.newer_kernel = newer_kernel(&installed, &facts)?;
        let (served, cached) = versions(sections.text("versions")?)?;
        Ok(Self {
            served,
            cached,
            upgrades: upgrades(&sections, &installed, &facts)?,
            unhealthy: dpkg::unhealthy(
                &installed,
                sections.get("audit")?.text,
                sections.text("interrupted")?,
            ),
            lists: Lists::parse(&sections)?,
            locks: LockHolder::parse(&sections, &facts)?,
            reboot,
            stale: stale(sections.text("deleted")?)?,
            open_jobs: open_jobs(sections.text("jobs")?)?,
            unattended: Unattended::parse(&sections)?,
            disks: disks(sections.get("disk")?.text)?,
            installed,
            facts,
        })
    }

    /// Reads the answer of [`facts_script`].
    ///
    /// # Errors
    /// As [`AptScan::parse`].
    pub fn parse_facts(id: &str, answer: &[u8]) -> Result<Facts> {
        let text = text_of(answer);
        Sections::parse(Script::new(id).id(), &text)
            .and_then(|sections| Facts::parse(&sections))
            .map_err(not_understood)
    }

    /// Whether a version can be had, from its repository or from a file that is here already.
    #[must_use]
    pub fn can_get(&self, name: &PackageName, arch: &Architecture, version: &DebVersion) -> bool {
        can_get(&self.served, &self.cached, (name, arch, version))
    }
}

/// Whether a version is among those that are served, or its file among those that are here.
pub(super) fn can_get(
    served: &BTreeMap<PackageName, BTreeSet<DebVersion>>,
    cached: &BTreeSet<String>,
    (name, arch, version): (&PackageName, &Architecture, &DebVersion),
) -> bool {
    // A version's colon cannot be part of a file's name.
    let file = format!("{name}_{}_{arch}.deb", version.as_str().replace(':', "%3a"));
    served.get(name).is_some_and(|v| v.contains(version)) || cached.contains(&file)
}

/// What is wrong with a word of an answer is the answer's fault, whichever part noticed it.
pub(super) fn not_understood(error: Error) -> Error {
    if error.kind() == ErrorKind::Busy {
        return error;
    }
    let error = match error.kind() {
        ErrorKind::ProviderFault => error,
        _ => Error::new(
            ErrorKind::ProviderFault,
            "the answer of a scan is not understood",
        )
        .source_error(error),
    };
    error.hint(
        "scan again; where it stays so, this apt or dpkg speaks in a way that is not known yet: report its answer",
    )
}

pub(super) type Versions = (
    BTreeMap<PackageName, BTreeSet<DebVersion>>,
    BTreeSet<String>,
);

pub(super) fn versions(text: &str) -> Result<Versions> {
    let (mut served, mut cached) = Versions::default();
    for line in text.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["served", name, version] => {
                let versions: &mut BTreeSet<_> = served
                    .entry(PackageName::parse_qualified(name)?.0)
                    .or_default();
                versions.insert(DebVersion::parse(version)?);
            }
            ["cached", _, ..] => {
                cached.insert(line["cached ".len()..].to_owned());
            }
            _ => {
                return Err(super::section::bad_line(
                    "versions",
                    "served NAME VERSION or cached FILE",
                    line,
                ));
            }
        }
    }
    Ok((served, cached))
}

fn upgrades(
    sections: &Sections<'_>,
    installed: &BTreeMap<PackageKey, Installed>,
    facts: &Facts,
) -> Result<std::result::Result<Upgrades, Failure>> {
    let section = sections.get("dist_upgrade")?;
    if section.status != 0 {
        let error =
            classify::failed_command("apt-get -s dist-upgrade", section.status, section.text);
        return Ok(Err(Failure::from(&error)));
    }
    let plan = Simulation::parse(section.text)?;
    for install in &plan.installs {
        unchanged(install, installed)?;
    }
    let offers = offers(sections.get("offers")?.text)?;
    let policies = policies(sections.text("policy")?)?;
    let holds: BTreeSet<&str> = sections
        .text("holds")?
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    // Asked only where the plan has new or removed packages.
    let alone = match sections.text("upgrade")? {
        "" => None,
        text => {
            let plan = Simulation::parse(text)?;
            Some(
                plan.installs
                    .into_iter()
                    .map(|i| (i.name, i.arch))
                    .collect::<BTreeSet<_>>(),
            )
        }
    };
    let pulled = pulled(sections.text("pulled")?)?;
    let pending = plan
        .installs
        .into_iter()
        .map(|install| pending(install, &offers, alone.as_ref(), &pulled, facts))
        .collect();
    let removals = plan
        .removals
        .into_iter()
        .filter_map(|line| match line {
            Line::Remove { name, arch, from } => Some(Removal { name, arch, from }),
            _ => None,
        })
        .collect();
    let kept_back = plan
        .kept_back
        .iter()
        .map(|name| {
            kept_back(
                name,
                plan.deferred.contains(name),
                holds.contains(name.as_str()),
                &policies,
            )
        })
        .collect::<Result<_>>()?;
    Ok(Ok(Upgrades {
        pending,
        removals,
        kept_back,
        warnings: plan.warnings,
    }))
}

/// dpkg and apt are asked one after the other; what changed in between must not be mixed.
fn unchanged(install: &Install, installed: &BTreeMap<PackageKey, Installed>) -> Result<()> {
    let there =
        |package: &Installed| package.state != State::ConfigFiles && package.version.is_some();
    let key = (install.name.clone(), install.arch.clone());
    let mut same_name = installed
        .iter()
        .filter(|((name, _), package)| *name == install.name && there(package));
    let agrees = match (&install.from, installed.get(&key)) {
        // Nearly always it has the architecture that it had.
        (Some(from), Some(package)) if there(package) && package.version.as_ref() == Some(from) => {
            true
        }
        (Some(from), _) => same_name.any(|(_, package)| package.version.as_ref() == Some(from)),
        (None, package) => !package.is_some_and(there),
    };
    if agrees {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Busy,
        format!(
            "{}: the packages changed while they were read",
            install.name
        ),
    )
    .expected(format!(
        "{} as apt says",
        install
            .from
            .as_ref()
            .map_or("not installed", DebVersion::as_str)
    ))
    .found("another version in dpkg's database")
    .hint("scan again when no other program installs packages")
    .retryable(None))
}

fn pending(
    install: Install,
    offers: &BTreeMap<(String, String, String), Offer>,
    alone: Option<&BTreeSet<PackageKey>>,
    pulled: &BTreeMap<PackageName, Vec<PackageName>>,
    facts: &Facts,
) -> Pending {
    let key = (
        install.name.to_string(),
        install.arch.to_string(),
        install.to.to_string(),
    );
    let offer = offers.get(&key).cloned().unwrap_or_default();
    let new_dependency = install.from.is_none();
    Pending {
        class: class(&install.origins, &facts.os_id),
        pulled_in_by: if new_dependency {
            pulled.get(&install.name).cloned().unwrap_or_default()
        } else {
            Vec::new()
        },
        needs_others: !new_dependency
            && alone.is_some_and(|alone| {
                !alone.contains(&(install.name.clone(), install.arch.clone()))
            }),
        name: install.name,
        arch: install.arch,
        from: install.from,
        to: install.to,
        origins: install.origins,
        size: offer.size,
        sha256: offer.sha256,
        new_dependency,
        waits: install.waits,
    }
}

/// The same test as that of unattended-upgrades: the label `Debian-Security`, or a suite `…-security`.
fn class(origins: &[Origin], os_id: &str) -> Class {
    let security = |o: &Origin| {
        o.label.as_deref() == Some("Debian-Security") || o.suite.ends_with("-security")
    };
    let own = |o: &Origin| {
        o.label
            .as_deref()
            .is_some_and(|label| label.eq_ignore_ascii_case(os_id))
            && !o.suite.ends_with("-backports")
    };
    if origins.iter().any(security) {
        Class::Security
    } else if origins.iter().any(own) {
        Class::Bugfix
    } else {
        Class::Other
    }
}

/// `NEW Depends WHO` lines, by the new package.
fn pulled(text: &str) -> Result<BTreeMap<PackageName, Vec<PackageName>>> {
    let mut found: BTreeMap<PackageName, Vec<PackageName>> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [new, _, by] = words[..] else {
            return Err(super::section::bad_line("pulled", "NEW KIND WHO", line));
        };
        let (new, by) = (
            PackageName::parse_qualified(new)?.0,
            PackageName::parse_qualified(by)?.0,
        );
        let who = found.entry(new).or_default();
        if !who.contains(&by) {
            who.push(by);
        }
    }
    Ok(found)
}

fn kept_back(
    text: &str,
    deferred: bool,
    held: bool,
    policies: &BTreeMap<String, Policy>,
) -> Result<KeptBack> {
    let (name, arch) = PackageName::parse_qualified(text)?;
    let policy = policies.get(text);
    let percent = policy.and_then(|p| p.phased);
    let reason = if held {
        KeptBackReason::Held
    } else if deferred || percent.is_some_and(|p| p < 100) {
        KeptBackReason::Phased { percent }
    } else {
        KeptBackReason::Dependency
    };
    Ok(KeptBack {
        name,
        arch,
        from: policy.and_then(|p| p.installed.clone()),
        to: policy.and_then(|p| p.candidate.clone()),
        reason,
    })
}

/// The newest installed kernel of the running one's flavour, where it is not the running one.
///
/// Debian without helper packages writes no `/run/reboot-required`, so that this is looked at too.
/// A kernel that no package holds (a container, an own build) tells nothing.
fn newer_kernel(
    installed: &BTreeMap<PackageKey, Installed>,
    facts: &Facts,
) -> Result<Option<String>> {
    // `6.1.0-28-amd64` → flavour `amd64`.
    let flavour = |release: &str| {
        release
            .trim_start_matches(|c: char| !c.is_ascii_alphabetic())
            .to_owned()
    };
    let mut images = Vec::new();
    for ((name, _), package) in installed {
        let Some(release) = name.as_str().strip_prefix("linux-image-") else {
            continue;
        };
        let release = release.strip_prefix("unsigned-").unwrap_or(release);
        if !release.starts_with(|c: char| c.is_ascii_digit()) || package.state != State::Installed {
            continue;
        }
        let Some(version) = &package.version else {
            continue;
        };
        images.push((release, version, &package.source_version));
    }
    let Some((_, running, source)) = images.iter().find(|(release, ..)| *release == facts.kernel)
    else {
        return Ok(None);
    };
    let newest = images
        .iter()
        .filter(|(release, ..)| flavour(release) == flavour(&facts.kernel))
        .max_by_key(|(_, version, _)| *version);
    if let Some((release, version, _)) = newest
        && version > running
    {
        return Ok(Some(format!("{release} ({version})")));
    }
    // The same release built again, for Debian, whose kernel names its package's version.
    if let Some(build) = facts
        .kernel_build
        .split("Debian ")
        .nth(1)
        .and_then(|b| b.split(' ').next())
    {
        let build = DebVersion::parse(build)?;
        if build != **running && build != **source {
            return Ok(Some(format!("{} ({running})", facts.kernel)));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
