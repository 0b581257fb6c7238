//! One line of `apt-get -s`: `Inst`, `Conf`, `Remv` or `Purg`.
//!
//! The form, as apt's simulation prints it (observed with apt 2.6):
//! `Inst NAME [OLD] (NEW LABEL:VERSION/SUITE, … [ARCH]) [A on B] [C D ]`. The suffixes name packages
//! that are broken at this point of the order; they may be empty.

use patchcore::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::package::{Architecture, PackageName};
use crate::vercmp::deb::DebVersion;

/// Where a version comes from: one entry of a repository's Release file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The label, such as `Debian-Security`; absent for a repository without one.
    pub label: Option<String>,
    /// The release's version, such as `12.15`.
    pub version: Option<String>,
    /// The suite, such as `oldstable-security`, or the host of a repository without a Release file.
    pub suite: String,
}

/// A package that another one waits for at some point of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// The package that is broken for the moment, as apt prints it.
    pub package: String,
    /// What it needs first, where apt says so.
    pub on: Option<String>,
}

/// An `Inst` or `Conf` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Install {
    pub(crate) name: PackageName,
    pub(crate) arch: Architecture,
    pub(crate) from: Option<DebVersion>,
    pub(crate) to: DebVersion,
    pub(crate) origins: Vec<Origin>,
    pub(crate) waits: Vec<Waits>,
}

/// A line of the simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    Install(Install),
    Configure(Install),
    Remove {
        name: PackageName,
        arch: Option<Architecture>,
        from: Option<DebVersion>,
    },
}

impl Line {
    /// Reads a line; nothing where it is not one of these.
    pub(crate) fn parse(line: &str) -> Option<Result<Self>> {
        let (word, rest) = line.split_once(' ')?;
        let parsed = match word {
            "Inst" => install(rest).map(Self::Install),
            "Conf" => install(rest).map(Self::Configure),
            "Remv" | "Purg" => remove(rest),
            _ => return None,
        };
        Some(parsed.map_err(|e| e.context("line", line.chars().take(300).collect::<String>())))
    }
}

fn mismatch(expected: &str, found: &str) -> Error {
    Error::new(
        ErrorKind::ProviderFault,
        "a line of apt-get -s is not understood",
    )
    .expected(expected)
    .found(format!("{:?}", found.chars().take(120).collect::<String>()))
    .consequence("nothing of this scan is used, because a patch could be missing from it")
}

fn install(rest: &str) -> Result<Install> {
    let (name, mut rest) = word(rest)?;
    let (name, _) = PackageName::parse_qualified(name)?;
    let mut from = None;
    if let Some(old) = rest.strip_prefix('[') {
        let (old, after) = old
            .split_once("] ")
            .ok_or_else(|| mismatch("[OLD] after the name", rest))?;
        from = Some(DebVersion::parse(old)?);
        rest = after;
    }
    let inner = rest
        .strip_prefix('(')
        .ok_or_else(|| mismatch("(NEW ORIGIN [ARCH])", rest))?;
    let (inner, suffix) = inner
        .split_once("])")
        .ok_or_else(|| mismatch("(NEW ORIGIN [ARCH])", rest))?;
    let (to, inner) = inner
        .split_once(' ')
        .ok_or_else(|| mismatch("NEW ORIGIN [ARCH]", inner))?;
    let (origins, arch) = match inner.rsplit_once(" [") {
        Some(parts) => parts,
        // A version that is in no repository has no origin.
        None => (
            "",
            inner
                .strip_prefix('[')
                .ok_or_else(|| mismatch("[ARCH]", inner))?,
        ),
    };
    Ok(Install {
        name,
        arch: Architecture::parse(arch)?,
        from,
        to: DebVersion::parse(to)?,
        origins: origins
            .split(", ")
            .filter(|o| !o.is_empty())
            .map(origin)
            .collect(),
        waits: waits(suffix)?,
    })
}

fn remove(rest: &str) -> Result<Line> {
    let (name, rest) = word(rest)?;
    let (name, arch) = PackageName::parse_qualified(name)?;
    let (from, suffix) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((old, suffix)) if !old.contains(' ') && !old.is_empty() => {
            (Some(DebVersion::parse(old)?), suffix)
        }
        _ => (None, rest),
    };
    waits(suffix)?;
    Ok(Line::Remove { name, arch, from })
}

/// A label may hold spaces and colons, a suite slashes; a version holds neither.
fn origin(text: &str) -> Origin {
    let (label, rest) = match text.rsplit_once(':') {
        Some((label, rest)) => (Some(label.to_owned()), rest),
        None => (None, text),
    };
    let (version, suite) = match rest.split_once('/') {
        Some((version, suite)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
            (Some(version.to_owned()), suite)
        }
        _ => (None, rest),
    };
    Origin {
        label,
        version,
        suite: suite.to_owned(),
    }
}

fn waits(suffix: &str) -> Result<Vec<Waits>> {
    let mut found = Vec::new();
    let mut rest = suffix.trim_start();
    while !rest.is_empty() {
        let (inside, after) = rest
            .strip_prefix('[')
            .and_then(|r| r.split_once(']'))
            .ok_or_else(|| mismatch("nothing more or [PACKAGE …] at the end", rest))?;
        match inside.split_once(" on ") {
            Some((package, on)) => found.push(Waits {
                package: package.to_owned(),
                on: Some(on.to_owned()),
            }),
            None => found.extend(inside.split_whitespace().map(|p| Waits {
                package: p.to_owned(),
                on: None,
            })),
        }
        rest = after.trim_start();
    }
    Ok(found)
}

/// The first word and what follows its space.
fn word(text: &str) -> Result<(&str, &str)> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    if word.is_empty() {
        Err(mismatch("a package name", text))
    } else {
        Ok((word, rest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Install {
        match Line::parse(line).unwrap().unwrap() {
            Line::Install(install) | Line::Configure(install) => install,
            Line::Remove { .. } => panic!("{line}"),
        }
    }

    #[test]
    fn the_wide_grammar_is_read() {
        fn check(
            line: &str,
            name: &str,
            from: &str,
            to: &str,
            arch: &str,
            origins: &[(&str, &str, &str)],
            waits: &[(&str, &str)],
        ) {
            let found = read(line);
            let text = |o: &Option<String>| o.clone().unwrap_or_default();
            assert_eq!(found.name.as_str(), name);
            assert_eq!(
                found.from.as_ref().map_or("", DebVersion::as_str),
                from,
                "{line}"
            );
            assert_eq!(
                (found.to.as_str(), found.arch.as_str()),
                (to, arch),
                "{line}"
            );
            let found_origins: Vec<_> = found
                .origins
                .iter()
                .map(|o| (text(&o.label), text(&o.version), o.suite.clone()))
                .collect();
            let expect: Vec<_> = origins
                .iter()
                .map(|(l, v, s)| ((*l).to_owned(), (*v).to_owned(), (*s).to_owned()))
                .collect();
            assert_eq!(found_origins, expect, "{line}");
            let found_waits: Vec<_> = found
                .waits
                .iter()
                .map(|w| (w.package.clone(), text(&w.on)))
                .collect();
            let expect: Vec<_> = waits
                .iter()
                .map(|(p, o)| ((*p).to_owned(), (*o).to_owned()))
                .collect();
            assert_eq!(found_waits, expect, "{line}");
        }
        check(
            "Inst base-files [12.4+deb12u11] (12.4+deb12u15 Debian:12.15/oldstable [amd64])",
            "base-files",
            "12.4+deb12u11",
            "12.4+deb12u15",
            "amd64",
            &[("Debian", "12.15", "oldstable")],
            &[],
        );
        check(
            "Inst libgcrypt20-dev [1.10.1-3] (1.10.1-3+deb12u1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64]) []",
            "libgcrypt20-dev",
            "1.10.1-3",
            "1.10.1-3+deb12u1",
            "amd64",
            &[
                ("Debian", "12.15", "oldstable"),
                ("Debian-Security", "12", "oldstable-security"),
            ],
            &[],
        );
        check(
            "Inst libpam-modules-bin [1.5.2-6+deb12u1] (1.5.2-6+deb12u2 Debian:12.15/oldstable [amd64]) [libpam-modules:amd64 on libpam-modules-bin:amd64] [libpam-modules:amd64 ]",
            "libpam-modules-bin",
            "1.5.2-6+deb12u1",
            "1.5.2-6+deb12u2",
            "amd64",
            &[("Debian", "12.15", "oldstable")],
            &[
                ("libpam-modules:amd64", "libpam-modules-bin:amd64"),
                ("libpam-modules:amd64", ""),
            ],
        );
        check(
            "Inst pc-newdep (1.1-1 PatchCore-Security:pc-security [all])",
            "pc-newdep",
            "",
            "1.1-1",
            "all",
            &[("PatchCore-Security", "", "pc-security")],
            &[],
        );
        check(
            "Inst libc6:i386 [2.36-9] (2.36-9+deb12u1 home:me:x:stable/updates [i386])",
            "libc6",
            "2.36-9",
            "2.36-9+deb12u1",
            "i386",
            &[("home:me:x", "", "stable/updates")],
            &[],
        );
        check(
            "Inst tool [1] (2 localhost [all])",
            "tool",
            "1",
            "2",
            "all",
            &[("", "", "localhost")],
            &[],
        );
        check(
            "Conf perl-base (5.36.0-7+deb12u4 Debian-Security:12/oldstable-security [amd64])",
            "perl-base",
            "",
            "5.36.0-7+deb12u4",
            "amd64",
            &[("Debian-Security", "12", "oldstable-security")],
            &[],
        );
    }

    #[test]
    fn removals_are_read() {
        for line in [
            "Remv old-pkg [1.0-1]",
            "Purg old-pkg [1.0-1]",
            "Remv old-pkg [1.0-1] [b:amd64 ]",
        ] {
            let Line::Remove { name, from, .. } = Line::parse(line).unwrap().unwrap() else {
                panic!("{line}")
            };
            assert_eq!(
                (name.as_str(), from.unwrap().as_str()),
                ("old-pkg", "1.0-1"),
                "{line}"
            );
        }
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error_with_the_place() {
        fn check(line: &str, expect: &str) {
            let error = Line::parse(line).unwrap().unwrap_err();
            assert!(error.to_string().contains(expect), "{line}: {error}");
            assert_eq!(error.facts()[0].1, line);
        }
        check("Inst bash", "expected (NEW ORIGIN [ARCH]) but found \"\"");
        check("Inst bash [1.0", "expected [OLD] after the name");
        check("Inst bash [1.0] (1.1)", "expected (NEW ORIGIN [ARCH])");
        check(
            "Inst bash [1.0] (1.1 Debian:12/stable [amd64]) trailing",
            "at the end but found \"trailing\"",
        );
        check(
            "Inst bash [v1] (1.1 Debian:12/stable [amd64])",
            "does not start with a digit",
        );
        check(
            "Inst b$sh [1] (1.1 Debian:12/stable [amd64])",
            "a package name is malformed",
        );
        check("Remv ", "a package name");
        assert!(Line::parse("Reading package lists...").is_none());
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(text in ".*", near in "(Inst|Conf|Remv) [a-z\\[\\]() .:/]{0,60}") {
            let _ = Line::parse(&text);
            let _ = Line::parse(&near);
        }
    }
}
