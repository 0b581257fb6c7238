//! Small scans: what a machine says of the packages that a change names, without what apt would do with the others.
//!
//! They are types of their own, because what nobody asked about must not look like what is not there.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::{Error, ErrorKind, Result};

use super::{
    dpkg::{self, Installed, PackageKey, Unhealthy},
    facts::{Disk, Facts, LockHolder, disks},
    offers::{Offer, offers},
    package::{Architecture, PackageName},
    reading::patch_id,
    scan::{AptScan, Pending, SCAN, can_get, not_understood, script, versions},
    section::{Sections, text_of},
};
use crate::{transport::Script, vercmp::deb::DebVersion};

/// A package that a change names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The package.
    pub name: PackageName,
    /// Its architecture, where it is not the machine's own.
    pub arch: Option<Architecture>,
    /// The version that it comes to; absent where it goes.
    pub to: Option<DebVersion>,
}

impl Named {
    /// What the small scans call it.
    fn word(&self) -> String {
        match &self.arch {
            Some(arch) => format!("{}:{arch}", self.name),
            None => self.name.to_string(),
        }
    }

    /// Whether it is this package of dpkg or of a repository.
    fn is(&self, name: &PackageName, arch: &Architecture, facts: &Facts) -> bool {
        patch_id(name, arch, facts) == *self.word()
    }
}

/// How the packages stand that a change names.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NamedScan {
    /// The machine.
    pub facts: Facts,
    /// Who holds a lock of apt or dpkg.
    pub locks: Vec<LockHolder>,
    asked: BTreeSet<PackageName>,
    packages: BTreeMap<PackageKey, Installed>,
}

/// What it takes to judge whether a change can begin.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WantedScan {
    /// How its packages stand.
    pub named: NamedScan,
    /// Which of their versions can be had.
    pub served: BTreeMap<PackageName, BTreeSet<DebVersion>>,
    /// The package files that are on the machine already, as apt names them.
    pub cached: BTreeSet<String>,
    /// Packages that are broken already, whether the change names them or not.
    pub unhealthy: Vec<Unhealthy>,
    /// Free space of the file systems that matter.
    pub disks: Vec<Disk>,
    /// Size and digest of the wanted versions, by name, architecture and version.
    offers: BTreeMap<(String, String, String), Offer>,
}

/// The script of a [`NamedScan`]. It changes nothing and needs no root.
///
/// # Errors
/// None for well-formed names; the signature leaves room for what no shell can hold.
pub fn named_script(id: &str, packages: &[Named]) -> Result<Script> {
    Ok(script(id, "named")?
        .set("NAMED", &names(packages))?
        .text(&SCAN))
}

/// A script about a job, which also brings what [`NamedScan::behind`] reads where that job is done.
///
/// # Errors
/// As [`named_script`].
pub(crate) fn with_named(job: Script, id: &str, packages: &[Named]) -> Result<Script> {
    Ok(job
        .set("ID", Script::new(id).id())?
        .set("ONLY", "named")?
        .set("NAMED", &names(packages))?
        .text("case $phase in 'done')")
        .text(&SCAN)
        .text(";; esac"))
}

/// The script of a [`WantedScan`]. It changes nothing and needs no root.
///
/// # Errors
/// As [`named_script`].
pub fn wanted_script(id: &str, packages: &[Named]) -> Result<Script> {
    let versions: Vec<String> = packages
        .iter()
        .filter_map(|package| Some(format!("{}={}", package.word(), package.to.as_ref()?)))
        .collect();
    let names = names(packages);
    Ok(script(id, "wanted")?
        .set("NAMED", &names)?
        .set("ASK", &names)?
        .set("WANT", &versions.join(" "))?
        .text(&SCAN))
}

fn names(packages: &[Named]) -> String {
    let names: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    names.into_iter().collect::<Vec<_>>().join(" ")
}

fn asked(packages: &[Named]) -> BTreeSet<PackageName> {
    packages.iter().map(|p| p.name.clone()).collect()
}

impl NamedScan {
    /// Reads the answer of [`named_script`] about these packages.
    ///
    /// # Errors
    /// [`ErrorKind::ProviderFault`] for an answer that is not understood, with the line.
    pub fn parse(id: &str, answer: &[u8], packages: &[Named]) -> Result<Self> {
        let text = text_of(answer);
        let read = || {
            let sections = Sections::parse(Script::new(id).id(), &text)?;
            let all = dpkg::named(sections.text("named")?)?;
            Self::read(&sections, all, packages)
        };
        read().map_err(not_understood)
    }

    /// Takes the answer apart of a script that [`with_named`] made: what the job says, and the rest where there is one.
    /// The mark between the two is of this one question; no log that was written before has it.
    pub(crate) fn behind<'a>(id: &str, answer: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>) {
        let mark = format!("\n@{} begin ", Script::new(id).id());
        match memchr::memmem::find(answer, mark.as_bytes()) {
            Some(at) => (&answer[..at], Some(&answer[at..])),
            None => (answer, None),
        }
    }

    fn read(
        sections: &Sections<'_>,
        mut packages: BTreeMap<PackageKey, Installed>,
        of: &[Named],
    ) -> Result<Self> {
        let facts = Facts::parse(sections)?;
        let asked = asked(of);
        packages.retain(|(name, _), _| asked.contains(name));
        Ok(Self {
            locks: LockHolder::parse(sections, &facts)?,
            facts,
            asked,
            packages,
        })
    }

    /// The same of a large scan, which knows more packages than these.
    pub(crate) fn of(read: &AptScan, packages: &[Named]) -> Self {
        let asked = asked(packages);
        let packages = read.installed.iter();
        Self {
            facts: read.facts.clone(),
            locks: read.locks.clone(),
            packages: packages
                .filter(|((name, _), _)| asked.contains(name))
                .map(|(key, package)| (key.clone(), package.clone()))
                .collect(),
            asked,
        }
    }

    /// What dpkg has of a package, wherever its files are.
    ///
    /// # Errors
    /// [`ErrorKind::ProviderFault`] for a package that nobody asked about.
    pub(crate) fn package(&self, package: &Named) -> Result<Option<(&Architecture, &Installed)>> {
        if !self.asked.contains(&package.name) {
            return Err(Error::new(
                ErrorKind::ProviderFault,
                format!("{} was not asked about", package.name),
            ));
        }
        let mut same = self.packages.iter().filter(|((name, arch), installed)| {
            installed.is_there() && package.is(name, arch, &self.facts)
        });
        // Of two, as of a package that went from one architecture to all, the last counts.
        Ok(same.next_back().map(|((_, arch), found)| (arch, found)))
    }
}

impl WantedScan {
    /// Reads the answer of [`wanted_script`] about these packages.
    ///
    /// # Errors
    /// As [`NamedScan::parse`].
    pub fn parse(id: &str, answer: &[u8], packages: &[Named]) -> Result<Self> {
        let text = text_of(answer);
        let read = || {
            let sections = Sections::parse(Script::new(id).id(), &text)?;
            let all = dpkg::named(sections.text("named")?)?;
            let (served, cached) = versions(sections.text("versions")?)?;
            Ok(Self {
                served,
                cached,
                unhealthy: dpkg::unhealthy(
                    &all,
                    sections.get("audit")?.text,
                    sections.text("interrupted")?,
                ),
                disks: disks(sections.get("disk")?.text)?,
                offers: offers(sections.get("offers")?.text)?,
                named: NamedScan::read(&sections, all, packages)?,
            })
        };
        read().map_err(not_understood)
    }

    /// The same of a large scan that was asked about these packages. It knows only such versions that apt would choose.
    #[must_use]
    pub fn of(read: AptScan, packages: &[Named]) -> Self {
        let named = NamedScan::of(&read, packages);
        let pending = read.upgrades.map(|u| u.pending).unwrap_or_default();
        let is_wanted = |p: &Pending| {
            let mut same = packages.iter().filter(|n| n.to.as_ref() == Some(&p.to));
            same.any(|n| n.is(&p.name, &p.arch, &named.facts))
        };
        let mut served = read.served;
        served.retain(|name, _| named.asked.contains(name));
        Self {
            served,
            cached: read.cached,
            unhealthy: read.unhealthy,
            disks: read.disks,
            offers: pending
                .into_iter()
                .filter(is_wanted)
                .map(|p| {
                    let key = (p.name.to_string(), p.arch.to_string(), p.to.to_string());
                    let offer = Offer {
                        size: p.size,
                        sha256: p.sha256,
                    };
                    (key, offer)
                })
                .collect(),
            named,
        }
    }

    /// Whether a version can be had, from its repository or from a file that is here already.
    pub(crate) fn can_get(
        &self,
        name: &PackageName,
        arch: &Architecture,
        version: &DebVersion,
    ) -> bool {
        can_get(&self.served, &self.cached, (name, arch, version))
    }

    /// The offers of the version that is wanted of a package, by their architecture.
    fn offers_of(&self, package: &Named) -> impl Iterator<Item = (Architecture, &Offer)> {
        let facts = &self.named.facts;
        self.offers
            .iter()
            .filter_map(move |((name, arch, version), offer)| {
                let to = package.to.as_ref()?;
                let (name, arch) = (
                    PackageName::parse(name).ok()?,
                    Architecture::parse(arch).ok()?,
                );
                (version == to.as_str() && package.is(&name, &arch, facts)).then_some((arch, offer))
            })
    }

    /// What is offered as the version that is wanted of a package, where anything is.
    pub(crate) fn offer(&self, package: &Named) -> Option<(Architecture, &Offer)> {
        self.offers_of(package).next()
    }

    /// Whether each wanted version that is served is on offer once. Where it is so for two architectures, only a
    /// simulation tells which of them apt would take, and where it is on none, why.
    pub(crate) fn is_plain(&self, packages: &[Named]) -> bool {
        packages.iter().all(|package| {
            let Some(to) = &package.to else { return true };
            let is_served = self
                .served
                .get(&package.name)
                .is_some_and(|versions| versions.contains(to));
            self.offers_of(package).count() == usize::from(is_served)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: &str = include_str!("../../../tests/fixtures/scan-wanted.txt");

    fn named(name: &str) -> Named {
        let (name, arch) = PackageName::parse_qualified(name).unwrap();
        let to = Some(DebVersion::parse("1.1-1").unwrap());
        Named { name, arch, to }
    }

    fn read(change: &[(&str, &str)], packages: &[Named]) -> WantedScan {
        let text = change.iter().fold(WANTED.to_owned(), |text, (from, to)| {
            let changed = text.replace(from, to);
            assert_ne!(changed, text, "{from}");
            changed
        });
        WantedScan::parse("fixture", text.as_bytes(), packages).unwrap()
    }

    #[test]
    fn what_nobody_asked_about_is_no_package_that_is_not_there() {
        let read = read(&[], &[named("pc-hello"), named("pc-newdep")]).named;
        assert!(read.package(&named("pc-hello")).unwrap().is_some());
        assert!(read.package(&named("pc-newdep")).unwrap().is_none());
        // Its record came all the same, because it is broken.
        let error = read.package(&named("pc-badpost")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProviderFault);
        assert!(error.message().contains("pc-badpost was not asked about"));
    }

    #[test]
    fn what_is_broken_is_told_of_all_packages() {
        let read = read(&[], &[named("pc-newdep")]);
        let broken: Vec<_> = read.unhealthy.iter().map(|u| u.package.as_str()).collect();
        assert_eq!(broken, ["pc-badpost"]);
    }

    #[test]
    fn an_offer_is_plain_where_it_is_the_only_one() {
        let hello = [named("pc-hello")];
        assert!(read(&[], &hello).is_plain(&hello));
        let offer = read(&[], &hello)
            .offer(&hello[0])
            .map(|(arch, o)| (arch, o.size));
        assert_eq!(
            offer,
            Some((Architecture::parse("all").unwrap(), Some(748)))
        );
        for change in [
            // Served, and nothing known of its file.
            ("Package: pc-hello", "Package: pc-other"),
            // Known from elsewhere than a repository.
            ("served pc-hello 1.1-1\n", ""),
            // Twice.
            (
                "Package: pc-hello\n",
                "Package: pc-hello\nVersion: 1.1-1\nArchitecture: amd64\n\nPackage: pc-hello\n",
            ),
        ] {
            assert!(!read(&[change], &hello).is_plain(&hello), "{change:?}");
        }
        // That of another architecture is another package.
        let foreign = ("Architecture: all", "Architecture: i386");
        let i386 = [named("pc-hello:i386")];
        assert!(!read(&[foreign], &hello).is_plain(&hello));
        assert!(read(&[foreign], &i386).is_plain(&i386));
        assert!(read(&[foreign], &i386).offer(&i386[0]).is_some());
    }

    #[test]
    fn a_small_answer_is_no_large_one_and_a_large_one_is_no_small_one() {
        let states = include_bytes!("../../../tests/fixtures/scan-states.txt");
        let error = WantedScan::parse("fixture", states, &[]).unwrap_err();
        assert!(error.to_string().contains("section named"), "{error}");
        let error = NamedScan::parse("fixture", states, &[]).unwrap_err();
        assert!(error.to_string().contains("section named"), "{error}");
        let error = AptScan::parse("fixture", WANTED.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("section installed"), "{error}");
        for cut in ["of 7", "of 0"] {
            let text = WANTED.replace("\nof 7", &format!("\n{}", cut.replace("of 7", "")));
            let error = WantedScan::parse("fixture", text.as_bytes(), &[]).unwrap_err();
            assert!(
                error.to_string().contains("at least one package"),
                "{error}"
            );
        }
    }
}
