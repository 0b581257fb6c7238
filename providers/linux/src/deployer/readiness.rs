//! Whether a verb can begin, by what is there now.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    estate::{Busy, PatchChange, Pin},
    id::{ComponentId, PatchId, Version},
    provider::{DeployRequest, Evidence, PortRequest},
};
use serde::{Deserialize, Serialize};

use crate::{
    error,
    pm::apt::{Architecture, Clocks, Facts, Named, NamedScan, PackageName, WantedScan, reading},
    vercmp::deb::DebVersion,
};

/// The version of the shape of [`Before`].
pub(crate) const V: u16 = 1;

/// What was there when an operation was prepared, as far as its content and its judgement need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Before {
    pub(crate) component: ComponentId,
    /// Empty where nothing depends on it.
    pub(crate) boot_id: String,
    pub(crate) jobs: String,
    pub(crate) packages: BTreeMap<PatchId, Package>,
    /// Units of systemd that had failed already.
    #[serde(default)]
    pub(crate) failed_units: Option<BTreeSet<String>>,
}

impl Before {
    /// That of a request which depends on nothing that is there.
    pub(crate) fn of_nothing(component: ComponentId, jobs: &str) -> Self {
        Self {
            component,
            boot_id: String::new(),
            jobs: jobs.to_owned(),
            packages: BTreeMap::new(),
            failed_units: None,
        }
    }

    /// That of a request which names no package.
    pub(crate) fn without_packages(facts: &Facts, component: ComponentId, jobs: &str) -> Self {
        Self {
            component,
            boot_id: facts.boot_id.clone(),
            jobs: jobs.to_owned(),
            packages: BTreeMap::new(),
            failed_units: Some(facts.failed_units.clone()),
        }
    }
}

/// A package that a request names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Package {
    /// The architecture of the version to come; dpkg treats `all` as one of its own.
    pub(crate) arch: Architecture,
    /// The version that was there, configured or not.
    pub(crate) version: Option<Version>,
    /// Whether it was whole.
    pub(crate) whole: bool,
}

impl Package {
    /// Whether it was as wanted already.
    pub(crate) fn is_at(&self, version: Option<&Version>) -> bool {
        self.version.as_ref() == version && self.whole
    }
}

/// What the state says to a request.
#[derive(Debug)]
pub(crate) enum Standing {
    Ready,
    Holds(Evidence),
    Blocked(Vec<Error>),
}

impl Standing {
    /// Ready where nothing stands against it.
    pub(crate) fn of(reasons: Vec<Error>) -> Self {
        match reasons.is_empty() {
            true => Self::Ready,
            false => Self::Blocked(reasons),
        }
    }
}

/// The changes that a request has for one component, in its order.
pub(crate) fn changes_for<'a>(
    request: &'a DeployRequest,
    component: &ComponentId,
) -> Vec<&'a PatchChange> {
    match request {
        DeployRequest::Stage { changes }
        | DeployRequest::Apply { changes, .. }
        | DeployRequest::RollBack { changes, .. } => changes
            .iter()
            .filter(|c| c.component == *component)
            .flat_map(|c| &c.patches)
            .collect(),
        _ => Vec::new(),
    }
}

/// The packages that a request names.
pub(crate) fn named(request: &DeployRequest) -> Result<Vec<Named>> {
    let subjects = request.subjects();
    let changes = subjects.iter().flat_map(|c| changes_for(request, c));
    changes.map(package).collect()
}

fn package(change: &PatchChange) -> Result<Named> {
    let (name, arch) = PackageName::parse_qualified(change.patch.as_str())?;
    let to = change.to.as_ref().map(|to| DebVersion::parse(to.as_str()));
    Ok(Named {
        name,
        arch,
        to: to.transpose()?,
    })
}

/// What was there of everything that a request names.
pub(crate) fn before(
    read: &WantedScan,
    component: &ComponentId,
    jobs: &str,
    request: &DeployRequest,
) -> Result<Before> {
    let facts = &read.named.facts;
    let mut packages = BTreeMap::new();
    for change in changes_for(request, component) {
        let named = package(change)?;
        let installed = read.named.package(&named)?;
        let arch = read
            .offer(&named)
            .map(|(arch, _)| arch)
            .or_else(|| kept_arch(read, &named))
            .or_else(|| installed.map(|(arch, _)| arch.clone()))
            .or(named.arch)
            .unwrap_or_else(|| facts.arch.clone());
        packages.insert(
            change.patch.clone(),
            Package {
                arch,
                version: installed
                    .and_then(|(_, p)| p.version.as_ref())
                    .map(|v| Version::from(v.as_str())),
                whole: installed.is_none_or(|(_, p)| p.is_whole()),
            },
        );
    }
    Ok(Before {
        packages,
        ..Before::without_packages(facts, component.clone(), jobs)
    })
}

/// The architecture by the name of a file that is here, where there is one.
fn kept_arch(read: &WantedScan, named: &Named) -> Option<Architecture> {
    let to = named.to.as_ref()?.as_str().replace(':', "%3a");
    let start = format!("{}_{to}_", named.name);
    read.cached.iter().find_map(|file| {
        let arch = file.strip_prefix(&start)?.strip_suffix(".deb")?;
        Architecture::parse(arch).ok()
    })
}

/// What keeps every request from beginning, whatever it is about: rights, and whoever holds a lock that it needs.
pub(crate) fn obstacles(
    facts: &Facts,
    busy: Option<&Busy>,
    component: &ComponentId,
    request: &DeployRequest,
) -> Vec<Error> {
    let mut reasons = Vec::new();
    if !facts.is_root {
        reasons.push(error::no_root(component, request.verb()));
    }
    reasons.extend(busy.map(|busy| reading::held(component, busy)));
    reasons
}

/// What the state says to a request that changes packages of this component.
pub(crate) fn standing(
    read: &WantedScan,
    component: &ComponentId,
    request: &DeployRequest,
    clocks: &Clocks,
) -> Result<Standing> {
    let changes = changes_for(request, component);
    if let Some(evidence) = holds(&read.named, &changes, clocks.at)? {
        return Ok(Standing::Holds(evidence));
    }
    let busy = reading::busy(&read.named.locks, clocks);
    let mut reasons = obstacles(&read.named.facts, busy.as_ref(), component, request);
    match request {
        DeployRequest::Stage { .. } => {
            reasons.extend(drift(read, component, &changes, true)?);
            reasons.extend(no_space(read, component, &changes)?);
        }
        DeployRequest::Apply { .. } => {
            let broken = reading::unhealthy(&read.unhealthy, busy.as_ref(), clocks);
            reasons.extend(broken.into_iter().map(|fault| {
                Error::new(ErrorKind::Unhealthy, format!("{component}: {}", fault.what))
                    .consequence("nothing was changed")
                    .hint(fault.remedy)
            }));
            reasons.extend(drift(read, component, &changes, true)?);
        }
        // What was kept is seen by the job itself, which stops before any effect where it is not enough.
        _ => reasons.extend(drift(read, component, &changes, false)?),
    }
    Ok(Standing::of(reasons))
}

/// The evidence that every change is there and whole; none where one is not.
///
/// # Errors
/// `ProviderFault` where nobody asked about one of them.
pub(crate) fn holds(
    read: &NamedScan,
    changes: &[&PatchChange],
    as_of: Timestamp,
) -> Result<Option<Evidence>> {
    let mut facts = serde_json::Map::new();
    for change in changes {
        let found = read.package(&package(change)?)?.map(|(_, found)| found);
        let is_so = match (found, &change.to) {
            (Some(found), Some(to)) => {
                found.is_whole()
                    && found.version.as_ref().map(DebVersion::as_str) == Some(to.as_str())
            }
            (None, None) => true,
            _ => false,
        };
        if !is_so {
            return Ok(None);
        }
        let version = found.and_then(|found| found.version.as_ref());
        facts.insert(
            change.patch.to_string(),
            version.map(DebVersion::as_str).into(),
        );
    }
    let total = changes.len();
    if total == 0 {
        return Ok(None);
    }
    let saw = format!("dpkg: {total} of {total} at the planned version");
    Ok(Some(
        Evidence::observed(as_of, saw).with_facts(facts.into()),
    ))
}

/// Where what is there, or what can be had, is not what was approved.
fn drift(
    read: &WantedScan,
    component: &ComponentId,
    changes: &[&PatchChange],
    must_be_served: bool,
) -> Result<Vec<Error>> {
    let mut drift = Vec::new();
    for change in changes {
        let patch = &change.patch;
        let named = package(change)?;
        let installed = read.named.package(&named)?;
        let found = installed
            .and_then(|(_, p)| p.version.as_ref())
            .map(DebVersion::as_str);
        let from = change.from.as_ref().map(Version::as_str);
        // One that stands there half-configured is unhealthy, which is said elsewhere, and has not drifted.
        if found == change.to.as_ref().map(Version::as_str) {
            continue;
        }
        if found != from {
            drift.push(
                drifted(format!("{component}: {patch} is not as approved"))
                    .expected(from.unwrap_or("not installed"))
                    .found(found.unwrap_or("not installed")),
            );
        }
        let Some(to) = named.to.as_ref().filter(|_| must_be_served) else {
            continue;
        };
        let arch = installed
            .map(|(arch, _)| arch.clone())
            .or_else(|| named.arch.clone())
            .unwrap_or_else(|| read.named.facts.arch.clone());
        if !read.can_get(&named.name, &arch, to) {
            let error = drifted(format!(
                "{component}: the repository no longer has {patch} {to}"
            ));
            let newest = read.served.get(&named.name).and_then(|v| v.last());
            drift.push(match newest {
                Some(newest) => error.expected(to.as_str()).found(newest.as_str()),
                None => error.expected(to.as_str()).found("no version of it"),
            });
        }
        let served = read.offer(&named).and_then(|(_, o)| o.sha256.as_deref());
        if let (Pin::Artifact { sha256 }, Some(served)) = (&change.pin, served)
            && *sha256 != served
        {
            drift.push(
                drifted(format!(
                    "{component}: the repository has another file for {patch} {to} than was approved"
                ))
                .expected(sha256.as_str())
                .found(served),
            );
        }
    }
    Ok(drift)
}

fn drifted(message: String) -> Error {
    Error::new(ErrorKind::PlanDrift, message)
        .consequence("nothing was changed")
        .hint("plan again and have the new plan approved")
}

/// What is fetched and what is kept, on the file system of apt's archives.
fn no_space(
    read: &WantedScan,
    component: &ComponentId,
    changes: &[&PatchChange],
) -> Result<Option<Error>> {
    let mut bytes: u64 = 0;
    for change in changes {
        let named = package(change)?;
        let installed = read.named.package(&named)?;
        // What is there already is not fetched.
        if installed.and_then(|(_, p)| p.version.as_ref()) != named.to.as_ref() {
            let size = read.offer(&named).and_then(|(_, offer)| offer.size);
            bytes = bytes.saturating_add(size.unwrap_or(0));
        }
    }
    // The old packages are about as large as the new ones.
    let needed = bytes.saturating_mul(2);
    let disk = read
        .disks
        .iter()
        .filter(|d| "/var/cache/apt/archives/".starts_with(d.mount.as_str()))
        .max_by_key(|d| d.mount.len());
    Ok(disk.filter(|disk| disk.free < needed).map(|disk| {
        Error::new(
            ErrorKind::DiskFull,
            format!("{component}: {} has too little space to fetch", disk.mount),
        )
        .expected(format!("{needed} bytes free"))
        .found(format!("{} bytes", disk.free))
        .consequence("nothing was changed")
        .hint("free space there, for example with apt-get clean")
    }))
}
