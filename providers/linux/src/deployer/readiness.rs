//! Whether a verb can begin, by what is there now.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    estate::PatchChange,
    id::{ComponentId, PatchId, Version},
    provider::{DeployRequest, Evidence, PortRequest},
};
use serde::{Deserialize, Serialize};

use crate::{
    error,
    pm::apt::{AptScan, Architecture, Clocks, Facts, PackageName, reading},
    vercmp::deb::DebVersion,
};

/// The version of the shape of [`Before`].
pub(crate) const V: u16 = 1;

/// What was there when an operation was prepared, as far as its content and its judgement need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Before {
    pub(crate) component: ComponentId,
    pub(crate) boot_id: String,
    pub(crate) jobs: String,
    pub(crate) packages: BTreeMap<PatchId, Package>,
    /// Units of systemd that had failed already.
    #[serde(default)]
    pub(crate) failed_units: Option<BTreeSet<String>>,
}

impl Before {
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

/// The package names of a request, for a scan that says what can be had of them.
pub(crate) fn names(request: &DeployRequest) -> Result<Vec<PackageName>> {
    request
        .subjects()
        .iter()
        .flat_map(|c| changes_for(request, c))
        .map(|change| Ok(PackageName::parse_qualified(change.patch.as_str())?.0))
        .collect()
}

/// What was there of everything that a request names.
pub(crate) fn before(
    read: &AptScan,
    component: &ComponentId,
    jobs: &str,
    request: &DeployRequest,
) -> Result<Before> {
    let there = reading::installed(read);
    let mut packages = BTreeMap::new();
    for change in changes_for(request, component) {
        let (name, arch) = PackageName::parse_qualified(change.patch.as_str())?;
        let installed = there.get(&change.patch);
        let to_come = read.upgrades.as_ref().ok().and_then(|u| {
            u.pending
                .iter()
                .find(|p| {
                    reading::patch_id(&p.name, &p.arch, &read.facts) == change.patch
                        && Some(p.to.as_str()) == change.to.as_ref().map(Version::as_str)
                })
                .map(|p| p.arch.clone())
        });
        let arch = to_come
            .or_else(|| kept_arch(read, &name, change))
            .or_else(|| installed.map(|(arch, _)| (*arch).clone()))
            .or(arch)
            .unwrap_or_else(|| read.facts.arch.clone());
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
        ..Before::without_packages(&read.facts, component.clone(), jobs)
    })
}

/// The architecture by the name of a file that is here, where there is one.
fn kept_arch(read: &AptScan, name: &PackageName, change: &PatchChange) -> Option<Architecture> {
    let to = change.to.as_ref()?.as_str().replace(':', "%3a");
    let start = format!("{name}_{to}_");
    read.cached.iter().find_map(|file| {
        let arch = file.strip_prefix(&start)?.strip_suffix(".deb")?;
        Architecture::parse(arch).ok()
    })
}

/// What every request needs, whatever it is about.
pub(crate) fn rights(facts: &Facts, before: &Before, request: &DeployRequest) -> Vec<Error> {
    match facts.is_root {
        true => Vec::new(),
        false => vec![error::no_root(&before.component, request.verb())],
    }
}

/// What the state says to a request about this component.
pub(crate) fn standing(
    read: &AptScan,
    before: &Before,
    request: &DeployRequest,
    clocks: &Clocks,
) -> Result<Standing> {
    let component = &before.component;
    let changes = changes_for(request, component);
    let moves = matches!(
        request,
        DeployRequest::Stage { .. } | DeployRequest::Apply { .. } | DeployRequest::RollBack { .. }
    );
    if moves && let Some(evidence) = holds(read, &changes, clocks.at) {
        return Ok(Standing::Holds(evidence));
    }
    let mut reasons = rights(&read.facts, before, request);
    if let Some(busy) = reading::busy(read, clocks) {
        reasons.push(reading::held(component, &busy));
    }
    match request {
        DeployRequest::Stage { .. } => {
            reasons.extend(drift(read, component, &changes, true)?);
            reasons.extend(no_space(read, component, &changes));
        }
        DeployRequest::Apply { .. } => {
            let broken = reading::scan(read, clocks).unhealthy;
            reasons.extend(broken.into_iter().map(|fault| {
                Error::new(ErrorKind::Unhealthy, format!("{component}: {}", fault.what))
                    .consequence("nothing was changed")
                    .hint(fault.remedy)
            }));
            reasons.extend(drift(read, component, &changes, true)?);
        }
        DeployRequest::RollBack { .. } => {
            // What was kept is seen by the job itself, which stops before any effect where it is not enough.
            reasons.extend(drift(read, component, &changes, false)?);
        }
        _ => {}
    }
    Ok(Standing::of(reasons))
}

/// The evidence that every change is there and whole; none where one is not.
pub(crate) fn holds(
    read: &AptScan,
    changes: &[&PatchChange],
    as_of: Timestamp,
) -> Option<Evidence> {
    let there = reading::installed(read);
    let is_so = |change: &&&PatchChange| match (there.get(&change.patch), &change.to) {
        (Some((_, package)), Some(to)) => {
            package.is_whole()
                && package.version.as_ref().map(DebVersion::as_str) == Some(to.as_str())
        }
        (None, None) => true,
        _ => false,
    };
    let right = changes.iter().filter(is_so).count();
    let total = changes.len();
    if total == 0 || right != total {
        return None;
    }
    let facts: serde_json::Map<String, serde_json::Value> = changes
        .iter()
        .map(|c| {
            let version = there.get(&c.patch).and_then(|(_, p)| p.version.as_ref());
            (c.patch.to_string(), version.map(DebVersion::as_str).into())
        })
        .collect();
    let saw = format!("dpkg: {right} of {total} at the planned version");
    Some(Evidence::observed(as_of, saw).with_facts(facts.into()))
}

/// Where what is there, or what can be had, is not what was approved.
fn drift(
    read: &AptScan,
    component: &ComponentId,
    changes: &[&PatchChange],
    must_be_served: bool,
) -> Result<Vec<Error>> {
    let there = reading::installed(read);
    let mut drift = Vec::new();
    for change in changes {
        let patch = &change.patch;
        let installed = there.get(patch);
        let found = installed
            .and_then(|(_, p)| p.version.as_ref())
            .map(DebVersion::as_str);
        let (from, to) = (
            change.from.as_ref().map(Version::as_str),
            change.to.as_ref().map(Version::as_str),
        );
        // One that stands there half-configured is unhealthy, which is said elsewhere, and has not drifted.
        if found == to {
            continue;
        }
        if found != from {
            drift.push(
                drifted(format!("{component}: {patch} is not as approved"))
                    .expected(from.unwrap_or("not installed"))
                    .found(found.unwrap_or("not installed")),
            );
        }
        let Some(to) = to.filter(|_| must_be_served) else {
            continue;
        };
        let (name, arch) = PackageName::parse_qualified(patch.as_str())?;
        let version = DebVersion::parse(to)?;
        let arch = installed
            .map(|(arch, _)| (*arch).clone())
            .or(arch)
            .unwrap_or_else(|| read.facts.arch.clone());
        if !read.can_get(&name, &arch, &version) {
            let error = drifted(format!(
                "{component}: the repository no longer has {patch} {to}"
            ));
            let newest = read.served.get(&name).and_then(|v| v.last());
            drift.push(match newest {
                Some(newest) => error.expected(to).found(newest.as_str()),
                None => error.expected(to).found("no version of it"),
            });
        }
        let served = read.upgrades.as_ref().ok().and_then(|u| {
            u.pending
                .iter()
                .find(|p| p.name == name && p.to.as_str() == to)
                .and_then(|p| p.sha256.clone())
        });
        if let (patchcore::estate::Pin::Artifact { sha256 }, Some(served)) = (&change.pin, served)
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
fn no_space(read: &AptScan, component: &ComponentId, changes: &[&PatchChange]) -> Option<Error> {
    let upgrades = read.upgrades.as_ref().ok()?;
    let bytes: u64 = upgrades
        .pending
        .iter()
        .filter(|p| {
            let id = reading::patch_id(&p.name, &p.arch, &read.facts);
            changes.iter().any(|c| c.patch == id)
        })
        .filter_map(|p| p.size)
        .sum();
    // The old packages are about as large as the new ones.
    let needed = bytes.saturating_mul(2);
    let disk = read
        .disks
        .iter()
        .filter(|d| "/var/cache/apt/archives/".starts_with(d.mount.as_str()))
        .max_by_key(|d| d.mount.len())?;
    (disk.free < needed).then(|| {
        Error::new(
            ErrorKind::DiskFull,
            format!("{component}: {} has too little space to fetch", disk.mount),
        )
        .expected(format!("{needed} bytes free"))
        .found(format!("{} bytes", disk.free))
        .consequence("nothing was changed")
        .hint("free space there, for example with apt-get clean")
    })
}
