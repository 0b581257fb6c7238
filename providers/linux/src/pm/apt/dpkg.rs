//! What dpkg has: the installed packages, and what is wrong with some of them.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::Result;
use serde::{Deserialize, Serialize};

use super::{
    package::{Architecture, PackageName},
    section::bad_line,
};
use crate::vercmp::deb::DebVersion;

/// How far dpkg has come with a package (dpkg(1), "package states").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Removed, its configuration is kept.
    ConfigFiles,
    /// Its installation was begun and broke off.
    HalfInstalled,
    /// Its files are there, it is not configured.
    Unpacked,
    /// Its configuration was begun and broke off.
    HalfConfigured,
    /// It waits for another package's trigger.
    TriggersAwaited,
    /// Its own trigger is still to run.
    TriggersPending,
    /// Unpacked and configured.
    Installed,
}

impl State {
    const ALL: [(&'static str, Self); 7] = [
        ("config-files", Self::ConfigFiles),
        ("half-installed", Self::HalfInstalled),
        ("unpacked", Self::Unpacked),
        ("half-configured", Self::HalfConfigured),
        ("triggers-awaited", Self::TriggersAwaited),
        ("triggers-pending", Self::TriggersPending),
        ("installed", Self::Installed),
    ];

    /// The state as dpkg writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, state)| *state == self)
            .map_or("installed", |(word, _)| word)
    }
}

/// A package that dpkg knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The version of its files; absent where they are gone.
    pub version: Option<DebVersion>,
    /// How far dpkg has come with it.
    pub state: State,
    /// Whether somebody has put it on hold in dpkg.
    pub hold: bool,
    /// Whether dpkg asks to install it again.
    pub reinstall_required: bool,
    /// The version that was last configured, where that is another one.
    pub config_version: Option<DebVersion>,
    /// The source package; advisories are keyed by it.
    pub source: PackageName,
    /// The version of the source package.
    pub source_version: DebVersion,
}

impl Installed {
    /// Whether its files are there, configured or not.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self.state, State::ConfigFiles | State::HalfInstalled)
    }

    /// Whether its files are in place and configured, and nothing is left to do.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.state == State::Installed && !self.reinstall_required
    }
}

/// The key of a package in dpkg's database.
pub type PackageKey = (PackageName, Architecture);

/// A package that is broken before anything was begun.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unhealthy {
    /// Its name, or `dpkg` for what concerns the whole database.
    pub package: String,
    /// What is wrong, in dpkg's words.
    pub what: String,
}

/// Reads the answer of `dpkg-query -W` about all packages.
pub(crate) fn installed(text: &str) -> Result<BTreeMap<PackageKey, Installed>> {
    let packages = some(text)?;
    if packages.is_empty() {
        return Err(bad_line("installed", "at least one package", "none"));
    }
    Ok(packages)
}

/// Reads a part of that answer, followed by a line `of N` with the number of all packages: without it, none of those
/// that were asked for and no answer would look alike.
pub(crate) fn named(text: &str) -> Result<BTreeMap<PackageKey, Installed>> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let (packages, last) = text.rsplit_once('\n').unwrap_or(("", text));
    let all: Option<usize> = last.strip_prefix("of ").and_then(|n| n.parse().ok());
    let expected = "of N, with at least one package, at the end";
    let all = all
        .filter(|all| *all > 0)
        .ok_or_else(|| bad_line("named", expected, last))?;
    let packages = some(packages)?;
    if packages.len() > all {
        return Err(bad_line("named", "no more packages than there are", last));
    }
    Ok(packages)
}

fn some(text: &str) -> Result<BTreeMap<PackageKey, Installed>> {
    let mut packages = Vec::new();
    let mut last: Option<Architecture> = None;
    for line in text.lines() {
        let [
            name,
            arch,
            version,
            want,
            state,
            flag,
            config_version,
            source,
            source_version,
        ] = fields(line).ok_or_else(|| bad_line("installed", "nine fields", line))?;
        // A package that somebody only asked about leaves an entry without an architecture.
        if state == "not-installed" {
            continue;
        }
        let maybe = |text: &str| {
            if text.is_empty() {
                Ok(None)
            } else {
                DebVersion::parse(text).map(Some)
            }
        };
        let read = || -> Result<(PackageKey, Installed)> {
            let name = PackageName::parse(name)?;
            // Most packages have the architecture of the one before them, and the name and version of their source:
            // that is then one text and not two.
            let arch = match &last {
                Some(last) if last.as_str() == arch => last.clone(),
                _ => Architecture::parse(arch)?,
            };
            let version = maybe(version)?;
            let installed = Installed {
                state: State::ALL
                    .iter()
                    .find(|(word, _)| *word == state)
                    .map(|(_, state)| *state)
                    .ok_or_else(|| bad_line("installed", "a state of dpkg", state))?,
                hold: want == "hold",
                reinstall_required: match flag {
                    "ok" => false,
                    "reinstreq" => true,
                    _ => return Err(bad_line("installed", "ok or reinstreq", flag)),
                },
                config_version: maybe(config_version)?,
                source: match name.as_str() == source {
                    true => name.clone(),
                    false => PackageName::parse(source)?,
                },
                source_version: match &version {
                    Some(version) if version.as_str() == source_version => version.clone(),
                    _ => DebVersion::parse(source_version)?,
                },
                version,
            };
            Ok(((name, arch), installed))
        };
        let package = read().map_err(|e| e.context("line", line))?;
        last = Some(package.0.1.clone());
        packages.push(package);
    }
    // A tree that is made of all at once is half as large as one that grew.
    packages.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut pairs = packages.iter().zip(packages.iter().skip(1));
    if let Some((((name, arch), _), _)) = pairs.find(|(one, next)| one.0 == next.0) {
        let found = format!("{name}:{arch} twice");
        return Err(bad_line("installed", "each package once", &found));
    }
    let packages = packages.into_iter().collect();
    Ok(packages)
}

/// The fields of a line, where it has as many as we asked for.
fn fields(line: &str) -> Option<[&str; 9]> {
    let mut fields = [""; 9];
    let mut ends = memchr::memchr_iter(b'\t', line.as_bytes()).chain([line.len()]);
    let mut from = 0;
    for field in &mut fields {
        let end = ends.next()?;
        *field = line.get(from..end)?;
        from = end + 1;
    }
    ends.next().is_none().then_some(fields)
}

/// Everything that keeps a machine from being patched: states that are not whole, what `dpkg --audit`
/// says beyond them, and a run of dpkg that was cut off.
pub(crate) fn unhealthy(
    packages: &BTreeMap<PackageKey, Installed>,
    audit: &str,
    interrupted: &str,
) -> Vec<Unhealthy> {
    let mut found = BTreeSet::new();
    for ((name, _), package) in packages {
        if !package.is_whole()
            && (package.state != State::ConfigFiles || package.reinstall_required)
        {
            let what = if package.reinstall_required {
                "reinst-required"
            } else {
                package.state.as_str()
            };
            found.insert(Unhealthy {
                package: name.to_string(),
                what: what.to_owned(),
            });
        }
    }
    let known: BTreeSet<String> = found.iter().map(|u| u.package.clone()).collect();
    let mut heading = String::new();
    let mut in_list = false;
    for line in audit.lines() {
        if let Some(entry) = line.strip_prefix(' ') {
            in_list = true;
            let name = entry.split_whitespace().next().unwrap_or_default();
            let bare = name.split(':').next().unwrap_or_default();
            if !name.is_empty() && !known.contains(bare) {
                found.insert(Unhealthy {
                    package: name.to_owned(),
                    what: heading.trim().to_owned(),
                });
            }
        } else {
            if in_list {
                heading.clear();
                in_list = false;
            }
            heading.push_str(line.trim());
            heading.push(' ');
        }
    }
    // Words of the audit without any package are a finding as well.
    if !in_list && !heading.trim().is_empty() {
        found.insert(Unhealthy {
            package: "dpkg".to_owned(),
            what: heading.trim().to_owned(),
        });
    }
    if !interrupted.trim().is_empty() {
        found.insert(Unhealthy {
            package: "dpkg".to_owned(),
            what: "a run of dpkg was interrupted".to_owned(),
        });
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "bash\tamd64\t5.2.15-2+b8\tinstall\tinstalled\tok\t\tbash\t5.2.15-2\n";

    #[test]
    fn every_line_counts() {
        let packages = installed(GOOD).unwrap();
        let key = (
            PackageName::parse("bash").unwrap(),
            Architecture::parse("amd64").unwrap(),
        );
        assert_eq!(packages[&key].source_version.as_str(), "5.2.15-2");
        assert!(packages[&key].is_whole());
        fn check(from: &str, to: &str, expect: &str) {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD);
            let error = installed(&text).unwrap_err();
            assert!(error.to_string().contains(expect), "{text}: {error}");
        }
        check("\tbash", "", "nine fields");
        check(
            "\tinstalled",
            "\tfine",
            "a state of dpkg in section installed but found \"fine\"",
        );
        check("\tok", "\tgood", "ok or reinstreq");
        check("5.2.15-2+b8", "v5", "does not start with a digit");
        check("bash", "b", "a package name is malformed");
        check("\tamd64", "\t", "an architecture is malformed");
        assert!(
            installed("")
                .unwrap_err()
                .to_string()
                .contains("at least one package")
        );
        assert!(
            installed(&GOOD.repeat(2))
                .unwrap_err()
                .to_string()
                .contains("each package once")
        );
        let asked = format!("{GOOD}vim\t\t\tunknown\tnot-installed\tok\t\tvim\t\n");
        assert_eq!(installed(&asked).unwrap().len(), 1);
    }

    #[test]
    fn what_is_broken_is_named_once() {
        let half = GOOD.replace("\tinstalled", "\thalf-configured");
        let gone = GOOD.replace("\tinstalled", "\tconfig-files");
        let audit = "The following packages are only half configured, probably due to problems\nconfiguring them the first time.  The configuration should be retried using\n\
                     dpkg --configure <package> or the configure menu option in dselect:\n bash                 GNU Bourne Again SHell\n\n\
                     The following packages are missing the md5sums control file in the\ndatabase, they need to be reinstalled:\n oldpkg:i386          something\n";
        let found = |text: &str, audit: &str, updates: &str| -> Vec<(String, String)> {
            unhealthy(&installed(text).unwrap(), audit, updates)
                .into_iter()
                .map(|u| (u.package, u.what))
                .collect()
        };
        assert!(found(GOOD, "", "").is_empty());
        assert!(found(&gone, "", "").is_empty());
        let both = found(&half, audit, "0001\n");
        assert_eq!(both[0], ("bash".to_owned(), "half-configured".to_owned()));
        assert_eq!(both[1].0, "dpkg");
        assert_eq!(both[2].0, "oldpkg:i386");
        assert!(
            both[2]
                .1
                .starts_with("The following packages are missing the md5sums"),
            "{both:?}"
        );
        assert_eq!(both.len(), 3);
        assert_eq!(found(GOOD, "dpkg: error: something\n", "").len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).*", at in 0..GOOD.len(), with in ".{0,3}") {
            let _ = installed(&text);
            let _ = unhealthy(&BTreeMap::new(), &text, &text);
            let _ = installed(&format!("{}{with}{}", &GOOD[..at], &GOOD[at..]));
        }
    }
}
